"""What happens to accounts and keys, for whoever wants to know. Signing in, failing to and signing out are
Django's own signals (`django.contrib.auth.signals`).

Every signal carries `request` (None for a command). `by` is the user who did it, None for a command.
"""

from django.dispatch import Signal

user_registered = Signal()  # user
email_verified = Signal()  # user
user_deactivated = Signal()  # user, by
user_activated = Signal()  # user, by
user_staff_changed = Signal()  # user (is_staff already changed), by
user_deleted = Signal()  # user (unsaved by now, but with its old id), by

api_key_created = Signal()  # api_key, by
api_key_revoked = Signal()  # api_key, by
api_key_used_revoked = Signal()  # api_key
