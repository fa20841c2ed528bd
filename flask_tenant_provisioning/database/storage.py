"""The database as the rest of the house sees it: reads, and units of work that commit whole or not at all."""

from __future__ import annotations

import contextlib
import itertools
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, MetaData, Table
from sqlalchemy.exc import DBAPIError, TimeoutError

from ..hooks import Hooks
from ..problems import StorageUnavailable
from .errors import LockTimeout, Meaning, UniqueViolation, constraint_of, constraints_of, meaning, violated
from .identifiers import uuid7
from .statements import Statement
from .tables import prefixed

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session as OrmSession


class Reaction(Protocol):
    """What else happens in the transaction of an operation; a feature describes to it what it does."""

    def concerns(self, operation: str) -> bool: ...
    def defers(self, session: Session, operation: str, tenant: Any) -> bool: ...
    def __call__(self, session: Session, change: Any) -> None: ...


T = TypeVar("T")
Work = Callable[["Session"], T]

#: libpq's transaction status after a failed statement, in psycopg and psycopg2.
_IN_ERROR = 3


class Session:
    """One connection during one unit of work. What actions take instead of knowing where they run."""

    __slots__ = ("_connection", "_driver", "_orm", "recorded", "storage", "woken")

    def __init__(self, storage: Storage, connection: Connection) -> None:
        self.storage = storage
        self._connection = connection
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
                raise UniqueViolation(constraint_of(error, self.storage.constraints)) from error
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
        if self.storage.engine.dialect.name == "postgresql":
            self._execute(f"SET LOCAL lock_timeout = {int(seconds * 1000)}")

    def flush(self) -> None:
        """Send what the host put into `orm`, so that it commits with the rest."""
        if self._orm is not None:
            self._orm.flush()

    def constraint_of(self, error: DBAPIError) -> str | None:
        """The name of the constraint, the host's own too, that a statement violated; None where there is no telling."""
        return violated(error, self.storage.engine)

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
        dialect = self.storage.engine.dialect
        if isinstance(error, dialect.loaded_dbapi.Error) and dialect.is_disconnect(error, self._driver, cursor):
            with contextlib.suppress(Exception):
                self._connection.exec_driver_sql("SELECT 1")


class Storage:
    """The tables of one mount in one database; `hooks` is what its host registered."""

    def __init__(
        self,
        engine: Engine,
        metadata: MetaData,
        *,
        attempts: int = 6,
        patience: float = 5.0,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = uuid7,
        sleep: Callable[[float], None] = time.sleep,
        autocommit: bool = False,
        hooks: Hooks | None = None,
        reactions: Sequence[Reaction] = (),
        wake: Callable[[Sequence[tuple[str, ...]]], None] = lambda keys: None,
        announce: Callable[[Sequence[dict[str, Any]]], None] = lambda events: None,
        followers: Sequence[Callable[[Session, Any], None]] = (),
    ) -> None:
        self.engine = engine
        self.hooks = hooks or Hooks()
        self.reactions = reactions
        self.metadata = metadata
        self.clock = clock
        self.new_id = new_id
        self.constraints = constraints_of(metadata)
        self._attempts = attempts
        self._patience = patience
        self._sleep = sleep
        self._wake = wake
        self._announce = announce
        self.followers = followers
        self._lite = engine.dialect.name == "sqlite"
        self._reading = engine if autocommit else engine.execution_options(isolation_level="AUTOCOMMIT")
        self._writing = engine
        if autocommit and not self._lite:
            self._writing = engine.execution_options(isolation_level="READ COMMITTED")
        self._transaction = self._turn if self._lite else self._begun
        self._one_writer = threading.Lock()
        self._thread = threading.local()
        self._built: dict[Any, Any] = {}

    def table(self, name: str) -> Table:
        """The table `name`, whatever its prefix."""
        return self.metadata.tables[prefixed(self.metadata, name)]

    def once(self, factory: Callable[[Storage], T]) -> T:
        """What `factory` makes of this storage, made once: a feature's statements."""
        found = self._built.get(factory)
        if found is None:
            found = self._built.setdefault(factory, factory(self))
        return found  # type: ignore[no-any-return]

    def reacts(self, operation: str) -> bool:
        """Whether anything else happens in the transaction of `operation`."""
        return any(reaction.concerns(operation) for reaction in self.reactions)

    def defers(self, session: Session, operation: str, tenant: Any = None) -> bool:
        """Whether `operation` only begins in its transaction."""
        return any(reaction.defers(session, operation, tenant) for reaction in self.reactions)

    def read(self, work: Work[T]) -> T:
        """Run a unit that only reads; one that met a dead connection runs once more."""
        return self._attempt(work, self._autocommit, attempts=2, again=(Meaning.RETRY, Meaning.UNREACHABLE))

    def statement(self, work: Work[T]) -> T:
        """Run a unit whose one statement commits by itself, in a transaction where the database needs one."""
        return self._attempt(work, self._transaction if self._lite else self._autocommit)

    def transaction(self, work: Work[T]) -> T:
        """Run a unit in one transaction. `work` may run several times, so it does nothing but talk to the database."""
        return self._attempt(work, self._transaction)

    def _attempt(
        self,
        work: Work[T],
        opened: Callable[[], contextlib.AbstractContextManager[Session]],
        attempts: int | None = None,
        again: tuple[Meaning, ...] = (Meaning.RETRY,),
    ) -> T:
        """Run `work` as this thread's one unit: a second would wait for what the first does not give back."""
        if getattr(self._thread, "busy", False):
            raise RuntimeError("a unit of work runs in this thread already: pass its session on")
        self._thread.busy = True
        try:
            done, session = self._repeat(work, opened, attempts or self._attempts, again)
        finally:
            self._thread.busy = False
        if session.woken:
            self._wake(session.woken)
        if session.recorded:
            self._announce(session.recorded)
        return done

    def _repeat(
        self,
        work: Work[T],
        opened: Callable[[], contextlib.AbstractContextManager[Session]],
        attempts: int,
        again: tuple[Meaning, ...],
    ) -> tuple[T, Session]:
        """Run `work`, and once more for each failure in `again`, while neither attempts nor patience are used up.

        `RETRY` alone says that the database has undone everything, at COMMIT too. A connection that dies says
        nothing: what was sent last may have been committed, so a write that meets it is refused, not repeated.
        """
        end = time.monotonic() + self._patience
        for tried in itertools.count(1):
            try:
                with opened() as session:
                    done = work(session)
            except Exception as error:
                what = meaning(error)
                if tried >= attempts or what not in again or time.monotonic() >= end:
                    _refuse(error, what)
                    raise
            else:
                return done, session
            self._sleep(random.uniform(0.001, 0.02) * 2**tried)
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def _autocommit(self) -> Iterator[Session]:
        with self._reading.connect() as connection:
            yield Session(self, connection)

    @contextlib.contextmanager
    def _begun(self) -> Iterator[Session]:
        with self._writing.connect() as connection, connection.begin():
            session = Session(self, connection)
            if self._lite:
                begin_immediately(connection)
            yield session
            session.flush()
            session.require_whole()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[Session]:
        """SQLite takes one writer at a time: threads queue here, before they take a connection."""
        if not self._one_writer.acquire(timeout=self._patience):
            raise TimeoutError("other threads write for too long")
        try:
            with self._begun() as session:
                yield session
        finally:
            self._one_writer.release()


def _refuse(error: Exception, found: Meaning) -> None:
    """Raise `StorageUnavailable` where it is the database that failed, and not the caller or the code."""
    if found is Meaning.MISSING_TABLE:
        logger.error("the tables are missing or outdated: run `flask provisioning db upgrade` (%s)", error)
        raise StorageUnavailable("The database is not ready.") from error
    if found in (Meaning.UNREACHABLE, Meaning.EXHAUSTED, Meaning.RETRY, Meaning.LOCKED):
        logger.error("the database does not answer: %s", error)
        raise StorageUnavailable from error


def begin_immediately(connection: Connection) -> None:
    """Take SQLite's write lock now: a lock taken at the first write can fail after reads have been believed."""
    driver: Any = connection.connection.dbapi_connection
    if not driver.in_transaction:
        driver.execute("BEGIN IMMEDIATE")
