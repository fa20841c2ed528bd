"""Sessions and transactions: reads, and units of work that commit as a whole or not at all.

A unit of work is a function that takes a `Session`. It runs again if the database rolled it back for a reason that
another attempt may not meet.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, MetaData, Table
from sqlalchemy.exc import DBAPIError, TimeoutError as PoolTimeout

from ..encoding import format_error
from ..errors import StorageUnavailable
from ..registry import Registry
from ..telemetry.base import OFF, Telemetry
from .engine import disable_prepared_statements, drop_inherited_connections, make_read_connect, make_write_connect
from .errors import (
    FailureKind,
    LockTimeout,
    UniqueViolation,
    UnsuitableDatabase,
    classify_failure,
    find_unique_constraint,
    find_violated_constraint,
    map_unique_constraints,
)
from .ids import add_microsecond, format_instant, make_uuid7, make_uuid7s
from .requirements import POOLER_ADVICE, PRIVILEGES_ADVICE, connect, is_behind_pooler, require_suitable_connection
from .sqlite import WriteAheadLog, begin_immediate, take_write_lock
from .statements import InsertPair, Statement
from .types import name_table

if TYPE_CHECKING:
    from sqlalchemy.orm import Session as OrmSession


#: Number of a table's rows from which its statistics lead to plans that use the right index.
ENOUGH_ROWS = 1000
#: libpq's transaction status after a failed statement, in psycopg and psycopg2.
_TRANSACTION_IN_ERROR = 3


class Session:
    """A unit of work on the tables of a `storage`: the statements that run on `connection` until it commits.

    It is the first argument of every action. After the commit, workers are notified of `due_work` (keys), and
    subscribers of `events`. If `is_discarded` is set, the unit of work is rolled back at its end, and nothing is
    notified.
    """

    __slots__ = ("_connection", "_driver", "_engine", "_orm", "due_work", "events", "is_discarded", "storage")

    def __init__(self, storage: Storage, connection: Connection) -> None:
        self.storage = storage
        self._connection = connection
        self._engine = storage.engine
        self._driver: Any = connection.connection.dbapi_connection
        if not storage.is_prepared:
            disable_prepared_statements(self._driver)
        self._orm: OrmSession | None = None
        self.is_discarded = False
        self.due_work: list[tuple[str, ...]] = []
        self.events: list[dict[str, Any]] = []

    def run_reactions(self, change: Change) -> None:
        """Run the hooks, steps and other reactions to `change`, in this transaction."""
        for reaction in self.storage.reactions_to(change.operation):
            reaction(self, change)

    def notify_worker(self, key: tuple[str, ...]) -> None:
        """Notify workers of the work with this key once the transaction has committed.

        A key begins with the name of its kind of work (``workers/kinds.py``).
        """
        self.due_work.append(key)

    def run(self, statement: Statement, values: dict[str, Any]) -> Any:
        """Run `statement` and return the driver's cursor (``fetchone``, ``fetchall``, ``rowcount``).

        Raises `UniqueViolation` with the constraint's name, `LockTimeout` (see `wait_for_locks`), or the driver's own
        exception.
        """
        if statement.defaults:
            values = {**statement.defaults, **values}
        order = statement.order
        return self._execute(statement.text, values if order is None else [values[name] for name in order])

    def run_many(self, statement: Statement, rows: Sequence[dict[str, Any]]) -> None:
        """Run `statement` once for each of `rows`. Raises as `run` does."""
        self._execute(statement.text, [statement.bind(values) for values in rows], many=True)

    def insert_pair(self, pair: InsertPair, first: dict[str, Any], second: dict[str, Any]) -> bool:
        """Insert both rows of `pair` and return True; write nothing and return False if the first is a duplicate."""
        values = {f"a_{name}": value for name, value in first.items()}
        values.update({f"b_{name}": value for name, value in second.items()})
        return all(self.run(step, values).rowcount == 1 for step in pair.steps)

    def _execute(self, sql: str, values: Any = (), *, many: bool = False) -> Any:
        cursor = self._driver.cursor()
        try:
            (cursor.executemany if many else cursor.execute)(sql, values)
        except Exception as error:
            kind = classify_failure(error)
            if kind is FailureKind.UNIQUE_VIOLATION:
                raise UniqueViolation(find_unique_constraint(error, self.storage.constraints)) from error
            if kind is FailureKind.LOCKED:
                raise LockTimeout from error
            self._drop_dead_connection(error, cursor)
            raise
        except BaseException:
            # Interrupted: the driver may still expect a result, and would return it for the next statement.
            self._connection.invalidate()
            raise
        return cursor

    @property
    def orm(self) -> OrmSession:
        """ORM session in the same transaction, for the host's own models; its `commit` does not commit the unit."""
        if self._orm is None:
            from sqlalchemy.orm import Session as OrmSession

            self._orm = OrmSession(bind=self._connection, join_transaction_mode="rollback_only")
        return self._orm

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Context manager that rolls back to its beginning if its body raises."""
        work_count, event_count = len(self.due_work), len(self.events)
        with self._connection.begin_nested():
            try:
                yield
                self.flush()
            except BaseException:
                self._orm = None
                del self.due_work[work_count:], self.events[event_count:]
                if not getattr(self._driver, "in_transaction", True):
                    # SQLite has rolled back the whole transaction, as on a full disk: the savepoint is gone.
                    self._connection.invalidate()
                raise

    def wait_for_locks(self, seconds: float) -> None:
        """Limit the wait for each lock in this transaction; after that, `run` raises `LockTimeout`.

        Does nothing on SQLite, where a unit of work holds the only lock from its beginning.
        """
        if self._engine.dialect.name == "postgresql":
            self._execute(f"SET LOCAL lock_timeout = {int(seconds * 1000)}")

    def takes_writes(self) -> bool:
        """Return True if this connection can write: neither the server, the role nor the file is read-only."""
        if self._engine.dialect.name == "postgresql":
            return bool(self._execute("SHOW transaction_read_only").fetchone()[0] == "off")
        url = self._engine.url
        if self._execute("PRAGMA query_only").fetchone()[0] or url.query.get("mode") == "ro":
            return False
        return str(url.database).startswith("file:") or os.access(str(url.database), os.W_OK)

    def lock_name(self, name: str) -> None:
        """Take an exclusive lock on `name` until the transaction ends; other units of work wait for it.

        Does nothing on SQLite, where a unit of work holds the only lock from its beginning.
        """
        if self._engine.dialect.name == "postgresql":
            self._execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))

    def analyze_new_table(self, table: Table) -> bool:
        """Collect the planner's statistics of a table that had few rows when they were last collected.

        Returns True once there are statistics of `ENOUGH_ROWS`; autovacuum keeps them current from then on. Until they
        exist, PostgreSQL may read all of a partner's index to look up a single row. Does nothing on SQLite, and, with a
        warning of the server's, for a role that does not own the table.
        """
        if self._engine.dialect.name != "postgresql":
            return True
        (rows,) = self._execute("SELECT reltuples FROM pg_class WHERE oid = to_regclass(%s)", (table.name,)).fetchone()
        if rows < ENOUGH_ROWS:
            self._execute(f'ANALYZE (SKIP_LOCKED) "{table.name}"')
        return bool(rows >= ENOUGH_ROWS)

    def flush(self) -> None:
        """Flush the host's objects in `orm`, so that they commit with the rest."""
        if self._orm is not None:
            self._orm.flush()

    def constraint_of(self, error: DBAPIError) -> str | None:
        """Return the name of the violated constraint, which may be the host's own; None if unknown."""
        return find_violated_constraint(error, self._engine)

    def require_autocommit(self, expected: bool) -> None:
        """Raise `UnsuitableDatabase` unless the driver's autocommit mode is as this unit of work needs it."""
        if (getattr(self._driver, "autocommit", False) is True) != expected:
            raise UnsuitableDatabase(
                "The engine's isolation level has changed since the API was mounted: set it before."
            )

    def require_transaction(self) -> None:
        """Raise `RuntimeError` if COMMIT would succeed without saving every statement that ran.

        This happens after code has caught the error of a failed statement, or has rolled back: PostgreSQL then turns
        COMMIT into ROLLBACK without an error, and SQLite has nothing left to commit.
        """
        driver = self._driver
        status = getattr(getattr(driver, "info", None), "transaction_status", None)
        is_lost = status == _TRANSACTION_IN_ERROR or not getattr(driver, "in_transaction", True)
        if is_lost or not self._connection.in_transaction():
            raise RuntimeError("a unit of work lost its transaction: roll back no further than to a savepoint")

    def _drop_dead_connection(self, error: Exception, cursor: Any) -> None:
        """Run a statement on a dead connection, so that SQLAlchemy notices and drops all older ones from the pool."""
        dialect = self._engine.dialect
        if isinstance(error, dialect.loaded_dbapi.Error) and dialect.is_disconnect(error, self._driver, cursor):
            with contextlib.suppress(Exception):
                self._connection.exec_driver_sql("SELECT 1")


logger = logging.getLogger(__name__)
#: Minimum time between two replacements of all connections, in seconds. Without it, each write to a read-only server
#: would open new connections.
RECONNECT_SECONDS = 1.0


class Change(Protocol):
    """A change of a tenant or a partner; reactions are chosen by its `operation`, such as ``tenant.create``."""

    @property
    def operation(self) -> str: ...


class Reaction(Protocol):
    """A callable that takes part in the transaction of an operation, such as hooks, steps, quotas and settings.

    `concerns` depends only on what the host has registered, and decides whether the other methods are called.
    """

    def concerns(self, operation: str) -> bool: ...
    def defers(self, session: Session, operation: str, tenant: Any) -> bool: ...
    def require_ready(self, session: Session, operation: str, tenant: Any) -> None: ...
    def __call__(self, session: Session, change: Any) -> None: ...


T = TypeVar("T")
Work = Callable[[Session], T]


class Storage:
    """The tables of one mount in one database, and the transactions on them.

    `registry` is what the host registered; its functions run inside `context`. `reactions` take part in transactions
    that change tenants or partners, `publish_reactions` in those that publish events. `telemetry` knows the trace that
    rows keep. `attempts` and `patience` (seconds) limit how often and how long a unit of work is retried. `owns_engine`
    is True for an engine created by the API. After a commit, `wake_workers` is called with the keys of work that is
    due.
    """

    def __init__(
        self,
        engine: Engine,
        metadata: MetaData,
        *,
        attempts: int = 6,
        patience: float = 5.0,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = make_uuid7,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        owns_engine: bool = False,
        pooler: str | None = None,
        registry: Registry | None = None,
        reactions: Sequence[Reaction] = (),
        context: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
        publish_reactions: Sequence[Callable[[Session, Any], None]] = (),
        telemetry: Telemetry = OFF,
    ) -> None:
        self.engine = engine
        self.telemetry = telemetry
        self.owns_engine = owns_engine
        self.registry = registry or Registry()
        self._reactions = reactions
        self._reactions_by_operation: dict[tuple[int, str], tuple[Reaction, ...]] = {}
        self.context = context
        self.metadata = metadata
        self.clock = clock
        self.new_id = new_id
        self.constraints = map_unique_constraints(metadata)
        self._attempts = attempts
        self._patience = patience
        self._sleep = sleep
        self._monotonic = monotonic
        self.publish_reactions = publish_reactions
        self.wake_workers: Callable[[Sequence[tuple[str, ...]]], None] = lambda keys: None
        self._subscribers: list[Callable[[Sequence[dict[str, Any]]], None]] = []
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._connect_to_read, self._connect_to_write = make_read_connect(engine), make_write_connect(engine)
        self._journal = WriteAheadLog(engine.url.database) if owns_engine and self._is_sqlite else None
        self._pooler = pooler
        self.is_prepared = pooler != "transaction"
        self._is_checked = False
        self._replaced_at = -math.inf
        self._process = os.getpid()
        self._one_writer = threading.Lock()
        self._thread = threading.local()
        self._made_once: dict[Any, Any] = {}

    def table(self, name: str) -> Table:
        """Return the table `name`, given without its prefix."""
        return self.metadata.tables[name_table(self.metadata, name)]

    def once(self, factory: Callable[[Storage], T]) -> T:
        """Return ``factory(self)``, called once for each factory: a feature's compiled statements."""
        made: T | None = self._made_once.get(factory)
        return self._made_once.setdefault(factory, factory(self)) if made is None else made

    def subscribe(self, receive: Callable[[Sequence[dict[str, Any]]], None]) -> None:
        """Call `receive` after each commit with the events that it recorded."""
        self._subscribers.append(receive)

    def make_ids(self, count: int) -> list[str]:
        """Return `count` new ids in ascending order."""
        return make_uuid7s(count) if self.new_id is make_uuid7 else [self.new_id() for _ in range(count)]

    def next_timestamp(self, last_change: str, now: str | None = None) -> str:
        """Return the current instant (`now`, if given), or one just after `last_change` if that is later.

        The feed is ordered by these instants, and the clock of the process that wrote last may be ahead.
        """
        return max(now or format_instant(self.clock()), add_microsecond(last_change))

    def reactions_to(self, operation: str) -> tuple[Reaction, ...]:
        """Return the reactions that take part in `operation`, as of its latest registered hook or step."""
        key = self.registry.revision, operation
        reactions = self._reactions_by_operation.get(key)
        if reactions is None:
            reactions = tuple(reaction for reaction in self._reactions if reaction.concerns(operation))
            self._reactions_by_operation[key] = reactions
        return reactions

    def is_deferred(self, session: Session, operation: str, tenant: Any = None) -> bool:
        """Return True if `operation` only begins in its transaction and is completed later by steps."""
        return any(reaction.defers(session, operation, tenant) for reaction in self.reactions_to(operation))

    def require_ready(self, session: Session, operation: str, tenant: Any) -> None:
        """Raise `InvalidState` if unfinished work on `tenant` does not allow `operation`."""
        for reaction in self.reactions_to(operation):
            reaction.require_ready(session, operation, tenant)

    @property
    def current_session(self) -> Session | None:
        """Session of the unit of work that runs in this thread; None if there is none."""
        return getattr(self._thread, "session", None)

    def read(self, work: Work[T]) -> T:
        """Run a unit of work that only reads, and return its result. It runs again after a lost connection."""
        return self._run(work, self._open_autocommit, attempts=2, retried=_RETRIED_FOR_READS)

    def run_autocommit(self, work: Work[T]) -> T:
        """Run a unit of work of a single statement in autocommit mode (on SQLite in a transaction)."""
        return self._run(work, self._open_transaction if self._is_sqlite else self._open_autocommit)

    def transaction(self, work: Work[T]) -> T:
        """Run `work` in one transaction and return its result.

        `work` may run several times, so it must have no side effects outside the database. Raises
        `StorageUnavailable` if the database fails, and `RuntimeError` if a unit of work already runs in this thread.
        """
        return self._run(work, self._open_transaction)

    def takes_writes(self) -> bool:
        """Return True if the database can be written to. If not, tries once more on a new connection."""
        if self.read(Session.takes_writes):
            return True
        return self._replace_connections(FailureKind.READ_ONLY) and self.read(Session.takes_writes)

    def _run(
        self,
        work: Work[T],
        open_session: Callable[[], contextlib.AbstractContextManager[Session]],
        attempts: int | None = None,
        retried: tuple[FailureKind, ...] = (FailureKind.RETRY,),
    ) -> T:
        """Run `work` as the only unit of work of this thread: a second one could wait forever for the first."""
        if self._process != os.getpid():
            drop_inherited_connections()
            self._process = os.getpid()
        if getattr(self._thread, "busy", False):
            raise RuntimeError("a unit of work runs in this thread already: pass its session on")
        self._thread.busy = True
        try:
            result, session = self._run_with_retries(work, open_session, attempts or self._attempts, retried)
        finally:
            self._thread.busy, self._thread.session = False, None
        if (session.events or session.due_work) and not session.is_discarded:
            self._report(session)
        return result

    def _report(self, session: Session) -> None:
        """Notify workers and subscribers of what a committed unit of work has recorded."""
        if session.due_work:
            self.wake_workers(session.due_work)
        if session.events:
            for receive in self._subscribers:
                receive(session.events)

    def run_in(self, host_session: OrmSession, work: Work[T]) -> T:
        """Run `work` in the transaction of the host's ORM session, which the host commits or rolls back.

        Workers and subscribers are notified after the commit. Raises `StorageUnavailable` if the database fails, also
        if another transaction was faster, and `RuntimeError` for a session on another database or in autocommit mode.
        """
        bind: Any = host_session.get_bind()
        if bind.engine.pool is not self.engine.pool:
            raise RuntimeError("the session is on another database than the API: both need the same engine")
        connection = host_session.connection(bind_arguments={"bind": bind})
        if getattr(connection.connection.dbapi_connection, "autocommit", False) is True:
            raise RuntimeError("the session commits each statement at once: it needs an isolation level of its own")
        session = Session(self, connection)
        if self._is_sqlite:
            take_write_lock(connection)
        try:
            result = work(session)
        except Exception as error:
            _raise_unavailable(error, classify_failure(error))
            raise
        if session.due_work or session.events:
            _call_after_commit(host_session, partial(self._report, session))
        return result

    def _run_with_retries(
        self,
        work: Work[T],
        open_session: Callable[[], contextlib.AbstractContextManager[Session]],
        attempts: int,
        retried: tuple[FailureKind, ...],
    ) -> tuple[T, Session]:
        """Run `work`, and retry it after the failures in `retried` until attempts or patience are used up.

        Only `RETRY` guarantees that the database has rolled everything back, at COMMIT too. After a lost connection the
        last statement may have been committed, so a write is refused and not repeated. A read-only server, and one that
        does not know a prepared statement, have changed nothing either: the connections are replaced and the unit runs
        on a new one.
        """
        end = self._monotonic() + self._patience
        for attempt in itertools.count(1):
            try:
                with open_session() as session:
                    self._thread.session = session
                    result = work(session)
            except Exception as error:
                kind = classify_failure(error)
                is_retried = self._replace_connections(kind, error) or kind in retried
                if attempt >= attempts or not is_retried or self._monotonic() >= end:
                    _raise_unavailable(error, kind)
                    raise
            else:
                return result, session
            self._sleep(random.uniform(0.001, 0.02) * 2**attempt)
        raise AssertionError("unreachable")

    def _replace_connections(self, kind: FailureKind, error: Exception | None = None) -> bool:
        """Replace every connection of the pool if a failure of this `kind` affects all of them.

        Return True if nothing was changed by the failed attempt and a new connection may succeed.
        """
        if kind is FailureKind.UNPREPARED and self.is_prepared:
            self.is_prepared = False
            logger.warning(
                "%s (%s)", POOLER_ADVICE, format_error(error) if error else "", extra={"pooler": "transaction"}
            )
        elif kind not in (
            FailureKind.READ_ONLY,
            FailureKind.DISCONNECTED,
            FailureKind.UNPREPARED,
            FailureKind.OUTDATED_PLAN,
        ):
            return False
        now = self._monotonic()
        if kind is FailureKind.READ_ONLY and now - self._replaced_at < RECONNECT_SECONDS:
            return False
        self._replaced_at = now
        self.engine.pool._invalidate(None, error)  # type: ignore[arg-type]  # public for one connection alone
        return kind is not FailureKind.DISCONNECTED

    @contextlib.contextmanager
    def _open_autocommit(self) -> Iterator[Session]:
        if not self._is_checked:
            self._check_database()
        with self._connect_to_read() as connection:
            session = Session(self, connection)
            if not self._is_sqlite:
                session.require_autocommit(True)
            yield session

    @contextlib.contextmanager
    def _open_transaction(self) -> Iterator[Session]:
        if not self._is_checked:
            self._check_database()
        # SQLite has one writer: threads queue here before they take a connection.
        lock = self._one_writer if self._is_sqlite else None
        if lock is not None and not lock.acquire(timeout=self._patience):
            raise PoolTimeout("other threads write for too long")
        try:
            with self._connect_to_write() as connection:
                with connection.begin() as transaction:
                    session = Session(self, connection)
                    session.require_autocommit(False)
                    if lock is not None:
                        begin_immediate(connection)
                    yield session
                    session.flush()
                    session.require_transaction()
                    if session.is_discarded:
                        transaction.rollback()
                if self._journal is not None:
                    self._journal.truncate_if_long(connection.connection.dbapi_connection)
        finally:
            if lock is not None:
                lock.release()

    def _check_database(self) -> None:
        """Check the database on an unmodified connection of the engine. Raises `UnsuitableDatabase`."""
        with connect(self.engine) as connection:
            require_suitable_connection(connection)
            if self._pooler is None and not self._is_sqlite and is_behind_pooler(connection):
                self.is_prepared = False
                logger.warning("%s", POOLER_ADVICE, extra={"pooler": "transaction"})
        self._is_checked = True


#: The key in the `info` of a host's ORM session of the functions to call after its commit, each with the transaction
#: that it waits for; None once that has committed.
_AFTER_COMMIT = "flask_tenant_provisioning"


def _call_after_commit(host_session: OrmSession, function: Callable[[], None]) -> None:
    """Call `function` once after the host's session has committed; it may use the session.

    It is not called at all if the session, or the savepoint that is active now, is rolled back or closed.
    """
    if _AFTER_COMMIT not in host_session.info:
        from sqlalchemy import event

        host_session.info[_AFTER_COMMIT] = []
        event.listen(host_session, "after_commit", _follow_commit)
        event.listen(host_session, "after_transaction_end", _call_waiting)
    transaction = host_session.get_nested_transaction() or host_session.get_transaction()
    host_session.info[_AFTER_COMMIT].append((transaction, function))


def _follow_commit(host_session: OrmSession) -> None:
    """Let functions that wait for a committed savepoint wait for the transaction around it. None wait for a committed
    transaction.
    """
    nested: Any = host_session.get_nested_transaction()
    ended = nested or host_session.get_transaction()
    outer = nested and nested.parent
    while outer and outer.parent and not outer.nested:
        outer = outer.parent
    host_session.info[_AFTER_COMMIT] = [
        (outer if transaction is ended else transaction, function)
        for transaction, function in host_session.info[_AFTER_COMMIT]
    ]


def _call_waiting(host_session: OrmSession, ended: Any) -> None:
    """Call the functions whose transaction has committed, and drop those that still wait for the one that ended."""
    waiting = host_session.info[_AFTER_COMMIT]
    host_session.info[_AFTER_COMMIT] = [each for each in waiting if each[0] not in (None, ended)]
    for transaction, function in waiting:
        if transaction is None:
            function()


class TracedStorage(Storage):
    """Storage whose units of work that write are spans of the current trace."""

    def run_autocommit(self, work: Work[T]) -> T:
        """Run a unit of work of a single statement in autocommit mode (on SQLite in a transaction)."""
        if not self.telemetry.is_tracing():
            return super().run_autocommit(work)
        with self.telemetry.trace_transaction():
            return super().run_autocommit(work)

    def transaction(self, work: Work[T]) -> T:
        """Run `work` in one transaction and return its result, as `Storage.transaction` does."""
        if not self.telemetry.is_tracing():
            return super().transaction(work)
        with self.telemetry.trace_transaction():
            return super().transaction(work)


#: Failures after which a unit of work that only reads runs again.
_RETRIED_FOR_READS = (FailureKind.RETRY, FailureKind.UNREACHABLE, FailureKind.DISCONNECTED)
#: For each failure the problem's `detail` (None for the default) and the log message, followed by the driver's.
_NOT_READY = "The database is not ready."
_UNREACHABLE = (None, "the database does not answer")
_UNAVAILABLE = {
    FailureKind.MISSING_TABLE: (_NOT_READY, "the tables are missing or outdated: run `flask provisioning db upgrade`"),
    FailureKind.UNSUITABLE: (_NOT_READY, "the database cannot be used"),
    FailureKind.STARTUP_REFUSED: (_NOT_READY, POOLER_ADVICE),
    FailureKind.FORBIDDEN: (_NOT_READY, PRIVILEGES_ADVICE),
    FailureKind.READ_ONLY: ("The database takes no writes at the moment.", "the database takes no writes"),
    FailureKind.UNREACHABLE: _UNREACHABLE,
    FailureKind.DISCONNECTED: _UNREACHABLE,
    FailureKind.EXHAUSTED: _UNREACHABLE,
    FailureKind.RETRY: _UNREACHABLE,
    FailureKind.LOCKED: _UNREACHABLE,
    FailureKind.UNPREPARED: _UNREACHABLE,
    FailureKind.OUTDATED_PLAN: _UNREACHABLE,
}


def _raise_unavailable(error: Exception, kind: FailureKind) -> None:
    """Log the failure and raise `StorageUnavailable` if the database is the cause, not the caller or the code."""
    if kind in _UNAVAILABLE:
        (detail, message), reason = _UNAVAILABLE[kind], format_error(error)
        logger.error("%s: %s", message, reason, extra={"error": reason, "reason": kind.name.lower()})
        raise StorageUnavailable(detail) from error
