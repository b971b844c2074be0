"""What happens to stored files, for whoever wants to know."""

from django.dispatch import Signal

storage_violation_found = Signal()  # violation: a StorageViolation that no audit had seen before
