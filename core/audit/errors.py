"""Why an audit itself fails. The messages name the fix and never a file."""


class AuditError(Exception):
    """The audit could not be done."""


class AuditMisconfigured(AuditError):
    """A setting is missing or makes no sense."""


class StorageUnreachable(AuditError):
    """The storage does not answer, or is empty where it should not be."""


class StorageForbidden(AuditError):
    """The server may not look into the storage."""
