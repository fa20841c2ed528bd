"""What the operator has to mend."""

from __future__ import annotations

from typing import Any

from .root import ProvisioningError


class SecretUnavailable(ProvisioningError):
    """A secret in the database cannot be opened: the operator's encryption key for it is missing (503)."""

    status = 503
    code = "secret-unavailable"
    title = "Secret unavailable"
    remedy = "The operator must give `PROVISIONING_ENCRYPTION_KEYS` the key back; or have a new secret made."

    def __init__(self, detail: str | None = None, **members: Any) -> None:
        members.setdefault("headers", {"Retry-After": "60"})
        super().__init__(detail, **members)


class StorageUnavailable(ProvisioningError):
    """The database is unreachable, busy beyond patience, or its tables are missing (503)."""

    status = 503
    code = "storage-unavailable"
    title = "Storage unavailable"
    remedy = "Repeat the request after `Retry-After` seconds."

    def __init__(self, detail: str | None = None, **members: Any) -> None:
        members.setdefault("headers", {"Retry-After": "2"})
        super().__init__(detail or "The database does not answer at the moment.", **members)


class ServerBusy(ProvisioningError):
    """As many slow bodies, uploads, progress streams and downloads are under way as the server can hold (503)."""

    status = 503
    code = "server-busy"
    title = "Server busy"
    remedy = "Repeat the request after `Retry-After` seconds."

    def __init__(self, detail: str | None = None, **members: Any) -> None:
        members.setdefault("headers", {"Retry-After": "5"})
        super().__init__(detail or "The server has as many long requests under way as it can hold.", **members)
