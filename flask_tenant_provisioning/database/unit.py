"""One unit of work on one connection: it runs statements, and says what their failures mean."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from .errors import Constraints, LockTimeout, Meaning, UniqueViolation, Unsuitable, constraint_of, meaning, violated
from .statements import Statement

if TYPE_CHECKING:
    from sqlalchemy.orm import Session as OrmSession

#: libpq's transaction status after a failed statement, in psycopg and psycopg2.
_IN_ERROR = 3


class Unit:
    """What runs on `connection` until it commits; `woken` and `recorded` are told of then."""

    __slots__ = ("_connection", "_constraints", "_driver", "_engine", "_orm", "recorded", "woken")

    def __init__(self, connection: Connection, engine: Engine, constraints: Constraints) -> None:
        self._connection = connection
        self._engine = engine
        self._constraints = constraints
        self._driver: Any = connection.connection.dbapi_connection
        self._orm: OrmSession | None = None
        self.woken: list[tuple[str, ...]] = []
        self.recorded: list[dict[str, Any]] = []

    def wake(self, key: tuple[str, ...]) -> None:
        """Let a worker look at this piece of work once the transaction has committed."""
        self.woken.append(key)

    def run(self, statement: Statement, values: dict[str, Any]) -> Any:
        """Run `statement` and return the driver's cursor: ``fetchone``, ``fetchall``, ``rowcount``.

        Raises `UniqueViolation` with the constraint's name, else the driver's own exception.
        """
        return self._execute(statement.text, statement.bind(values))

    def run_many(self, statement: Statement, rows: Sequence[dict[str, Any]]) -> None:
        """Run `statement` once for each of `rows`; raises what `run` does."""
        self._execute(statement.text, [statement.bind(values) for values in rows], many=True)

    def _execute(self, sql: str, values: Any = (), *, many: bool = False) -> Any:
        cursor = self._driver.cursor()
        try:
            (cursor.executemany if many else cursor.execute)(sql, values)
        except Exception as error:
            found = meaning(error)
            if found is Meaning.TAKEN:
                raise UniqueViolation(constraint_of(error, self._constraints)) from error
            if found is Meaning.LOCKED:
                raise LockTimeout from error
            self._forget_dead_connection(error, cursor)
            raise
        except BaseException:
            # Interrupted: the driver may still wait for the answer, and would give it to whoever comes next.
            self._connection.invalidate()
            raise
        return cursor

    @property
    def orm(self) -> OrmSession:
        """An ORM session in this same transaction, for the host's own models; its `commit` waits for the unit's end."""
        if self._orm is None:
            from sqlalchemy.orm import Session as OrmSession

            self._orm = OrmSession(bind=self._connection, join_transaction_mode="rollback_only")
        return self._orm

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what happens inside, and only that, if it raises."""
        woken, recorded = len(self.woken), len(self.recorded)
        with self._connection.begin_nested():
            try:
                yield
                self.flush()
            except BaseException:
                self._orm = None
                del self.woken[woken:], self.recorded[recorded:]
                if not getattr(self._driver, "in_transaction", True):
                    # SQLite has rolled back all of it, as on a full disk: there is no savepoint to go back to.
                    self._connection.invalidate()
                raise

    def wait_for_locks(self, seconds: float) -> None:
        """Wait no longer than this for anybody's lock until the transaction ends; then `run` raises `LockTimeout`.

        SQLite needs none of it: a unit of work holds its only lock from the beginning.
        """
        if self._engine.dialect.name == "postgresql":
            self._execute(f"SET LOCAL lock_timeout = {int(seconds * 1000)}")

    def takes_writes(self) -> bool:
        """Return whether the database takes writes on this connection: neither server, role nor file is read-only."""
        if self._engine.dialect.name == "postgresql":
            return bool(self._execute("SHOW transaction_read_only").fetchone()[0] == "off")
        url = self._engine.url
        if self._execute("PRAGMA query_only").fetchone()[0] or url.query.get("mode") == "ro":
            return False
        return str(url.database).startswith("file:") or os.access(str(url.database), os.W_OK)

    def hold(self, name: str) -> None:
        """Let no other unit of work hold this name until the transaction ends: it waits.

        SQLite needs none of it: a unit of work holds its only lock from the beginning.
        """
        if self._engine.dialect.name == "postgresql":
            self._execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))

    def flush(self) -> None:
        """Send what the host put into `orm`, so that it commits with the rest."""
        if self._orm is not None:
            self._orm.flush()

    def constraint_of(self, error: DBAPIError) -> str | None:
        """The name of the constraint, the host's own too, that a statement violated; None where there is no telling."""
        return violated(error, self._engine)

    def require_autocommit(self, wanted: bool) -> None:
        """Raise `Unsuitable` unless the driver commits each statement by itself, or does not, as this unit needs it."""
        if (getattr(self._driver, "autocommit", False) is True) != wanted:
            raise Unsuitable("The engine's isolation level has changed since the API was mounted: set it before.")

    def require_whole(self) -> None:
        """Raise `RuntimeError` where COMMIT would succeed and yet keep less than what ran.

        So it is once somebody has caught a failed statement, or rolled back: PostgreSQL then answers COMMIT with
        ROLLBACK and no error, SQLite has nothing left to commit.
        """
        driver = self._driver
        status = getattr(getattr(driver, "info", None), "transaction_status", None)
        lost = status == _IN_ERROR or not getattr(driver, "in_transaction", True)
        if lost or not self._connection.in_transaction():
            raise RuntimeError("a unit of work lost its transaction: roll back no further than to a savepoint")

    def _forget_dead_connection(self, error: Exception, cursor: Any) -> None:
        """Let SQLAlchemy meet a dead connection itself: it then drops every older one from the pool."""
        dialect = self._engine.dialect
        if isinstance(error, dialect.loaded_dbapi.Error) and dialect.is_disconnect(error, self._driver, cursor):
            with contextlib.suppress(Exception):
                self._connection.exec_driver_sql("SELECT 1")


def prepare_nothing(driver: Any) -> None:
    """Let a connection prepare no statement: behind a pooler, its next transaction may run in another session."""
    if hasattr(driver, "prepare_threshold"):
        driver.prepare_threshold = None


def begin_immediately(connection: Connection) -> None:
    """Take SQLite's write lock now: a lock taken at the first write can fail after reads have been believed."""
    driver: Any = connection.connection.dbapi_connection
    if driver.in_transaction:  # a host's function that listens to `begin` has begun one that takes no lock
        driver.execute("ROLLBACK")
    driver.execute("BEGIN IMMEDIATE")
