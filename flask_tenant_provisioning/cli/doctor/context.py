"""What a check of `doctor` works with, and what it returns: `DoctorContext` and `Finding`."""

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

OK, WARN, FAIL = "ok", "warn", "fail"
#: The setting that names what seals the secrets in the database.
ENCRYPTION_KEYS = "PROVISIONING_ENCRYPTION_KEYS"
REDACTED = "***"
#: What helps where something of the host's comes before the API.
ISOLATE_ADVICE = "set PROVISIONING_MOUNT = 'isolated'"
#: The caller and partner of probes.
PROBE_SUBJECT = "provisioning-doctor"
_SECRET_KEYS = ("SECRET_KEY", "SECRET_KEY_FALLBACKS", "JWT_SECRET_KEY", "JWT_PRIVATE_KEY")


class Finding(NamedTuple):
    """How it is, in words, and what to do about it where something is to be done."""

    status: str
    detail: str
    advice: str = ""


@dataclasses.dataclass(eq=False)
class DoctorContext:
    """The app and the mount that are looked at."""

    app: Flask
    mount: Mount
    #: Whom the probes name as the caller.
    subject: str = PROBE_SUBJECT
    #: How many connections to the database the app has opened while it was made; 0 where it has served since.
    open_connections: int = dataclasses.field(init=False, default=0)

    def __post_init__(self) -> None:
        served = any(app._got_first_request for app in (self.app, self.mount.app))
        if self.is_served and not served:
            self.open_connections = _count_connections(self.mount.storage.engine.pool)

    def claims(self) -> dict[str, Any]:
        """Return what a partner's token claims beside its subject, in the first role that there is."""
        settings = self.mount.config
        return {settings.roles_claim: [*settings.roles][:1], settings.partner_claim: PROBE_SUBJECT}

    def request(self, method: str = "GET", token: str = "") -> AbstractContextManager[Any]:
        """The context of a request of a partner's for its tenants, which nothing answers."""
        path = f"{self.mount.config.url_prefix}/tenants"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body: dict[str, Any] = {"json": {}} if method == "POST" else {}
        return self.app.test_request_context(path, method=method, headers=headers, **body)

    @property
    def is_served(self) -> bool:
        """Whether the mount's routes are served."""
        return self.mount.is_mounted

    @property
    def mounts(self) -> Iterable[Mount]:
        """Every mount of the app, this one too."""
        found: dict[str, Mount] = self.app.extensions["tenant_provisioning"]
        return found.values()

    @property
    def isolated(self) -> bool:
        """Whether nothing of the app's comes before the mount."""
        return self.mount.app is not self.app

    @property
    def authority(self) -> Authority:
        """By whose settings and manager the mount verifies tokens."""
        return self.mount.authority

    @functools.cached_property
    def connection_error(self) -> Exception | None:
        """Why the database does not answer, None where it does; asked once."""
        try:
            with connect(self.mount.storage.engine) as connection:
                connection.exec_driver_sql("SELECT 1")
        except Exception as error:
            return error
        return None

    def connect(self) -> Connection:
        """A connection to the mount's database. Raises `DatabaseUnreachable` where it is known not to answer."""
        if self.connection_error is not None:
            raise DatabaseUnreachable
        return self.mount.storage.engine.connect()

    def make_skip_finding(self, purpose: str) -> Finding | None:
        """Why nothing in the database is looked at for `purpose`, else None. Raises `DatabaseUnreachable`."""
        if not self.is_served:
            return Finding(OK, f"nothing is mounted, and nothing to be {purpose}")
        self.connect().close()
        if (
            migration.get_current_revision(self.mount.storage.engine, self.mount.config.table_prefix)
            != migration.get_head_revision()
        ):
            return Finding(OK, "not looked at: the tables are not those of this release")
        return None

    def reason(self, error: Exception) -> str:
        """What `error` says in one line, without any secret of this app."""
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        said = " ".join(str(cause).split())
        for secret in sorted(self._iter_secrets(), key=len, reverse=True):
            said = said.replace(secret, REDACTED)
        return f"{type(cause).__name__}: {said}" if said else type(cause).__name__

    def _iter_secrets(self) -> Iterator[str]:
        settings = self.mount.config
        yield from _iter_texts([self.app.config.get(name) for name in _SECRET_KEYS])
        for field in dataclasses.fields(Config):
            if field.metadata["secret"]:
                yield from _iter_texts(getattr(settings, field.name))
        if "storage" in vars(self.mount):
            yield from _iter_texts(
                [self.mount.storage.engine.url.password, *self.mount.storage.engine.url.query.values()]
            )


class DatabaseUnreachable(Exception):
    """The database did not answer an earlier check."""

    def __str__(self) -> str:
        return "the database does not answer"


def _count_connections(pool: Any) -> int:
    """Return how many connections a pool has; it may also have empty places, which its own figures count."""
    idle = getattr(getattr(pool, "_pool", None), "queue", ())
    return sum(place.dbapi_connection is not None for place in idle) + getattr(pool, "checkedout", lambda: 0)()


def get_qualified_name(function: Any) -> str:
    """Where a function is defined; the class, for an object that is called like one."""
    kind = function if hasattr(function, "__qualname__") else type(function)
    return f"{kind.__module__}.{kind.__qualname__}"


def _iter_texts(value: Any) -> Iterator[str]:
    """Every text somewhere in `value`, as it could be quoted."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        yield from {value, " ".join(value.split())} - {""}
    elif isinstance(value, Mapping):
        yield from _iter_texts([*value.values()])
    elif isinstance(value, list | tuple | set | frozenset):
        for member in value:
            yield from _iter_texts(member)
