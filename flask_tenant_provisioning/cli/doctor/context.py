"""Input and result of a check: `DoctorContext` and `Finding`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from flask import Flask
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ...access.authority import Authority
from ...config import Config
from ...database import migration
from ...database.requirements import connect
from ...mount import Mount
from ...mounts import get_mounts

OK, WARN, FAIL = "ok", "warn", "fail"
#: The configuration key of the keys that encrypt secrets in the database.
ENCRYPTION_KEYS = "PROVISIONING_ENCRYPTION_KEYS"
REDACTED = "***"
#: Advice if code of the host runs before the API.
ISOLATE_ADVICE = "set PROVISIONING_MOUNT = 'isolated'"
#: Subject and partner of the tokens that checks make.
PROBE_SUBJECT = "provisioning-doctor"
_SECRET_KEYS = ("SECRET_KEY", "SECRET_KEY_FALLBACKS", "JWT_SECRET_KEY", "JWT_PRIVATE_KEY")


class Finding(NamedTuple):
    """Result of a check: the status, the state in words, and the advice if there is something to do."""

    status: str
    detail: str
    advice: str = ""


@dataclasses.dataclass(eq=False)
class DoctorContext:
    """The app and the mount that the checks look at."""

    app: Flask
    mount: Mount
    #: The `sub` of the tokens that checks make.
    subject: str = PROBE_SUBJECT
    #: Database connections that were opened while the app was created; 0 if it has served requests since.
    open_connections: int = dataclasses.field(init=False, default=0)

    def __post_init__(self) -> None:
        has_served = any(app._got_first_request for app in (self.app, self.mount.app))
        if self.is_served and not has_served:
            self.open_connections = _count_connections(self.mount.storage.engine.pool)

    def make_claims(self) -> dict[str, Any]:
        """Return the claims of a partner's token, except the subject, with the first configured role."""
        config = self.mount.config
        return {config.roles_claim: [*config.roles][:1], config.partner_claim: PROBE_SUBJECT}

    def open_request(self, method: str = "GET", token: str = "") -> AbstractContextManager[Any]:
        """Return the context of a partner's request to `/tenants`, which is not dispatched."""
        path = f"{self.mount.config.url_prefix}/tenants"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body: dict[str, Any] = {"json": {}} if method == "POST" else {}
        return self.app.test_request_context(path, method=method, headers=headers, **body)

    @property
    def is_served(self) -> bool:
        """True if the app serves the mount's routes."""
        return self.mount.is_mounted

    @property
    def mounts(self) -> Iterable[Mount]:
        """All mounts of the app, including this one."""
        return get_mounts(self.app).values()

    @property
    def is_isolated(self) -> bool:
        """True if the mount is isolated, so that no code of the app runs before it."""
        return self.mount.app is not self.app

    @property
    def authority(self) -> Authority:
        """The app whose JWT settings and manager verify the mount's tokens."""
        return self.mount.authority

    @functools.cached_property
    def connection_error(self) -> Exception | None:
        """The exception that a first connection to the database raised, or None. Tried only once."""
        try:
            with connect(self.mount.storage.engine) as connection:
                connection.exec_driver_sql("SELECT 1")
        except Exception as error:
            return error
        return None

    def connect(self) -> Connection:
        """Return a connection to the mount's database. Raises `DatabaseUnreachable` if the first connection failed."""
        if self.connection_error is not None:
            raise DatabaseUnreachable
        return self.mount.storage.engine.connect()

    def make_skip_finding(self, purpose: str) -> Finding | None:
        """Return a finding if the database cannot be checked for `purpose`, else None. Raises `DatabaseUnreachable`."""
        if not self.is_served:
            return Finding(OK, f"nothing is mounted, so nothing is {purpose}")
        self.connect().close()
        revision = migration.get_current_revision(self.mount.storage.engine, self.mount.config.table_prefix)
        if revision != migration.get_head_revision():
            return Finding(OK, "not checked: the tables are not those of this release")
        return None

    def describe_error(self, error: Exception) -> str:
        """Return the class and message of `error` in one line, with every secret of this app redacted."""
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        message = " ".join(str(cause).split())
        for secret in sorted(self._iter_secrets(), key=len, reverse=True):
            message = message.replace(secret, REDACTED)
        return f"{type(cause).__name__}: {message}" if message else type(cause).__name__

    def _iter_secrets(self) -> Iterator[str]:
        yield from _iter_texts([self.app.config.get(name) for name in _SECRET_KEYS])
        for field in dataclasses.fields(Config):
            if field.metadata["secret"]:
                yield from _iter_texts(getattr(self.mount.config, field.name))
        if "storage" in vars(self.mount):
            url = self.mount.storage.engine.url
            yield from _iter_texts([url.password, *url.query.values()])


class DatabaseUnreachable(Exception):
    """The database could not be reached in an earlier check."""

    def __str__(self) -> str:
        return "the database cannot be reached"


def _count_connections(pool: Any) -> int:
    """Return the number of open connections of a pool. Its own figures also count connections that are not open."""
    idle = getattr(getattr(pool, "_pool", None), "queue", ())
    open_count = sum(record.dbapi_connection is not None for record in idle)
    return open_count + getattr(pool, "checkedout", lambda: 0)()


def get_qualified_name(function: Any) -> str:
    """Return the module and name of a function, or of the class of a callable object."""
    kind = function if hasattr(function, "__qualname__") else type(function)
    return f"{kind.__module__}.{kind.__qualname__}"


def _iter_texts(value: Any) -> Iterator[str]:
    """Yield every text in `value`, at any depth, as it is and with white space collapsed."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        yield from {value, " ".join(value.split())} - {""}
    elif isinstance(value, Mapping):
        yield from _iter_texts([*value.values()])
    elif isinstance(value, list | tuple | set | frozenset):
        for member in value:
            yield from _iter_texts(member)
