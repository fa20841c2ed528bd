"""The database as the rest of the house sees it: reads, and units of work that commit whole or not at all."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, MetaData, Table
from sqlalchemy.exc import TimeoutError

from ..hooks import Hooks
from ..logs import reason_of
from ..problems import StorageUnavailable
from .demands import POOLER_ADVICE, PRIVILEGES_ADVICE, connect, is_pooled, require_suitable_connection
from .engine import connections_for_reads, connections_for_writes
from .errors import Meaning, constraints_of, meaning
from .forks import leave_to_parent
from .identifiers import uuid7, uuid7s
from .journal import Journal
from .tables import prefixed
from .unit import Unit, begin_immediately, prepare_nothing

logger = logging.getLogger(__name__)

#: How many seconds lie between two replacements of all connections: a server that takes no writes for an hour is not
#: asked for two new ones by each of them.
REPLACE_SECONDS = 1.0


class Reaction(Protocol):
    """What else happens in the transaction of an operation; a feature describes to it what it does."""

    def concerns(self, operation: str, tenant: Any = None) -> bool: ...
    def defers(self, session: Session, operation: str, tenant: Any) -> bool: ...
    def require_ready(self, session: Session, operation: str, tenant: Any) -> None: ...
    def __call__(self, session: Session, change: Any) -> None: ...


T = TypeVar("T")
Work = Callable[["Session"], T]


class Session(Unit):
    """A unit of work on the tables of a `storage`. What actions take instead of knowing where they run."""

    __slots__ = ("storage",)

    def __init__(self, storage: Storage, connection: Connection) -> None:
        super().__init__(connection, storage.engine, storage.constraints)
        self.storage = storage


class Storage:
    """The tables of one mount in one database; `hooks` is what its host registered, and runs in its `context`."""

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
        monotonic: Callable[[], float] = time.monotonic,
        autocommit: bool = False,
        pooler: str | None = None,
        hooks: Hooks | None = None,
        reactions: Sequence[Reaction] = (),
        context: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
        wake: Callable[[Sequence[tuple[str, ...]]], None] = lambda keys: None,
        announce: Callable[[Sequence[dict[str, Any]]], None] = lambda events: None,
        followers: Sequence[Callable[[Session, Any], None]] = (),
    ) -> None:
        self.engine = engine
        self.owns_engine = autocommit
        self.hooks = hooks or Hooks()
        self.reactions = reactions
        self.context = context
        self.metadata = metadata
        self.clock = clock
        self.new_id = new_id
        self.constraints = constraints_of(metadata)
        self._attempts = attempts
        self._patience = patience
        self._sleep = sleep
        self._monotonic = monotonic
        self._wake = wake
        self._announce = announce
        self.followers = followers
        self._lite = engine.dialect.name == "sqlite"
        self._reading, self._writing = connections_for_reads(engine), connections_for_writes(engine)
        self._journal = Journal(engine.url.database) if autocommit and self._lite else None
        self._pooler = pooler
        self._is_prepared = pooler != "transaction"
        self._is_examined = False
        self._replaced_at = -math.inf
        self._transaction = self._turn if self._lite else self._begun
        self._one_writer = threading.Lock()
        self._thread = threading.local()
        self._built: dict[Any, Any] = {}

    def table(self, name: str) -> Table:
        """The table `name`, whatever its prefix."""
        return self.metadata.tables[prefixed(self.metadata, name)]

    def once(self, factory: Callable[[Storage], T]) -> T:
        """What `factory` makes of this storage, made once: a feature's statements."""
        found: T | None = self._built.get(factory)
        return self._built.setdefault(factory, factory(self)) if found is None else found

    def new_ids(self, count: int) -> list[str]:
        """So many new identifiers, in ascending order."""
        return uuid7s(count) if self.new_id is uuid7 else [self.new_id() for _ in range(count)]

    def reacts(self, operation: str, tenant: Any = None) -> bool:
        """Whether anything else happens in the transaction of `operation`, or may where no `tenant` is told."""
        return any(reaction.concerns(operation, tenant) for reaction in self.reactions)

    def defers(self, session: Session, operation: str, tenant: Any = None) -> bool:
        """Whether `operation` only begins in its transaction."""
        return any(reaction.defers(session, operation, tenant) for reaction in self.reactions)

    def require_ready(self, session: Session, operation: str, tenant: Any) -> None:
        """Raise `InvalidState` where work on `tenant` is under way that `operation` would disturb."""
        for reaction in self.reactions:
            reaction.require_ready(session, operation, tenant)

    @property
    def running(self) -> Session | None:
        """The session of the unit of work that runs in this thread."""
        return getattr(self._thread, "session", None)

    def read(self, work: Work[T]) -> T:
        """Run a unit that only reads; one that met a dead connection runs once more."""
        return self._attempt(work, self._autocommit, attempts=2, again=_AFTER_READS)

    def statement(self, work: Work[T]) -> T:
        """Run a unit whose one statement commits by itself, in a transaction where the database needs one."""
        return self._attempt(work, self._transaction if self._lite else self._autocommit)

    def transaction(self, work: Work[T]) -> T:
        """Run a unit in one transaction. `work` may run several times, so it does nothing but talk to the database."""
        return self._attempt(work, self._transaction)

    def takes_writes(self) -> bool:
        """Return whether the database takes writes; asks again on a new connection where it does not."""
        if self.read(Session.takes_writes):
            return True
        return self._replace_connections(Meaning.READ_ONLY) and self.read(Session.takes_writes)

    def _attempt(
        self,
        work: Work[T],
        opened: Callable[[], contextlib.AbstractContextManager[Session]],
        attempts: int | None = None,
        again: tuple[Meaning, ...] = (Meaning.RETRY,),
    ) -> T:
        """Run `work` as this thread's one unit: a second would wait for what the first does not give back."""
        leave_to_parent()
        if getattr(self._thread, "busy", False):
            raise RuntimeError("a unit of work runs in this thread already: pass its session on")
        self._thread.busy = True
        try:
            done, session = self._repeat(work, opened, attempts or self._attempts, again)
        finally:
            self._thread.busy, self._thread.session = False, None
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
        nothing: what was sent last may have been committed, so a write that meets it is refused, not repeated. A server
        that takes no writes, and one that does not know a prepared statement, have done nothing either: once the
        connections are replaced, the unit runs on a new one.
        """
        end = self._monotonic() + self._patience
        for tried in itertools.count(1):
            try:
                with opened() as session:
                    self._thread.session = session
                    done = work(session)
            except Exception as error:
                what = meaning(error)
                repeats = self._replace_connections(what, error) or what in again
                if tried >= attempts or not repeats or self._monotonic() >= end:
                    _refuse(error, what)
                    raise
            else:
                return done, session
            self._sleep(random.uniform(0.001, 0.02) * 2**tried)
        raise AssertionError("unreachable")

    def _replace_connections(self, what: Meaning, error: Exception | None = None) -> bool:
        """Have the pool replace each connection that it has, where one of them met `what` is wrong with all.

        Return True where nothing has happened yet and a new connection may do better.
        """
        if what is Meaning.UNPREPARED and self._is_prepared:
            self._is_prepared = False
            logger.warning("%s (%s)", POOLER_ADVICE, reason_of(error) if error else "", extra={"pooler": "transaction"})
        elif what not in (Meaning.READ_ONLY, Meaning.DISCONNECTED, Meaning.UNPREPARED, Meaning.OUTDATED_PLAN):
            return False
        now = self._monotonic()
        if what is Meaning.READ_ONLY and now - self._replaced_at < REPLACE_SECONDS:
            return False
        self._replaced_at = now
        self.engine.pool._invalidate(None, error)  # type: ignore[arg-type]  # public for one connection alone
        return what is not Meaning.DISCONNECTED

    @contextlib.contextmanager
    def _autocommit(self) -> Iterator[Session]:
        if not self._is_examined:
            self._examine()
        with self._reading.connect() as connection:
            session = self._session(connection)
            if not self._lite:
                session.require_autocommit(True)
            yield session

    @contextlib.contextmanager
    def _begun(self) -> Iterator[Session]:
        if not self._is_examined:
            self._examine()
        with self._writing.connect() as connection:
            with connection.begin():
                session = self._session(connection)
                session.require_autocommit(False)
                if self._lite:
                    begin_immediately(connection)
                yield session
                session.flush()
                session.require_whole()
            if self._journal is not None:
                self._journal.keep_short(connection.connection.dbapi_connection)

    def _session(self, connection: Connection) -> Session:
        if not self._is_prepared:
            prepare_nothing(connection.connection.dbapi_connection)
        return Session(self, connection)

    def _examine(self) -> None:
        """Look at the database, on a connection as the engine makes it. Raises `Unsuitable`."""
        with connect(self.engine) as connection:
            require_suitable_connection(connection)
            if self._pooler is None and not self._lite and is_pooled(connection):
                self._is_prepared = False
                logger.warning("%s", POOLER_ADVICE, extra={"pooler": "transaction"})
        self._is_examined = True

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


#: What a unit that only reads may meet and run once more.
_AFTER_READS = (Meaning.RETRY, Meaning.UNREACHABLE, Meaning.DISCONNECTED)
#: What the problem says of a database that fails, None for the usual; and the log, before the driver's words.
_NOT_READY = "The database is not ready."
_AWAY = (None, "the database does not answer")
_REFUSALS = {
    Meaning.MISSING_TABLE: (_NOT_READY, "the tables are missing or outdated: run `flask provisioning db upgrade`"),
    Meaning.UNSUITABLE: (_NOT_READY, "the database cannot be used"),
    Meaning.STARTUP_REFUSED: (_NOT_READY, POOLER_ADVICE),
    Meaning.FORBIDDEN: (_NOT_READY, PRIVILEGES_ADVICE),
    Meaning.READ_ONLY: ("The database takes no writes at the moment.", "the database takes no writes"),
    Meaning.UNREACHABLE: _AWAY,
    Meaning.DISCONNECTED: _AWAY,
    Meaning.EXHAUSTED: _AWAY,
    Meaning.RETRY: _AWAY,
    Meaning.LOCKED: _AWAY,
    Meaning.UNPREPARED: _AWAY,
    Meaning.OUTDATED_PLAN: _AWAY,
}


def _refuse(error: Exception, found: Meaning) -> None:
    """Raise `StorageUnavailable` where it is the database that failed, and not the caller or the code."""
    if found in _REFUSALS:
        (detail, said), reason = _REFUSALS[found], reason_of(error)
        logger.error("%s: %s", said, reason, extra={"error": reason, "reason": found.name.lower()})
        raise StorageUnavailable(detail) from error
