"""The database as the rest of the house sees it: reads, and units of work that commit whole or not at all."""

from __future__ import annotations

import contextlib
import itertools
import logging
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
from .errors import Meaning, constraints_of, meaning
from .identifiers import uuid7, uuid7s
from .journal import Journal
from .tables import prefixed
from .unit import Unit, begin_immediately

logger = logging.getLogger(__name__)


class Reaction(Protocol):
    """What else happens in the transaction of an operation; a feature describes to it what it does."""

    def concerns(self, operation: str, tenant: Any = None) -> bool: ...
    def defers(self, session: Session, operation: str, tenant: Any) -> bool: ...
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
        autocommit: bool = False,
        hooks: Hooks | None = None,
        reactions: Sequence[Reaction] = (),
        context: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
        wake: Callable[[Sequence[tuple[str, ...]]], None] = lambda keys: None,
        announce: Callable[[Sequence[dict[str, Any]]], None] = lambda events: None,
        followers: Sequence[Callable[[Session, Any], None]] = (),
    ) -> None:
        self.engine = engine
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
        self._wake = wake
        self._announce = announce
        self.followers = followers
        self._lite = engine.dialect.name == "sqlite"
        self._reading = engine if autocommit else engine.execution_options(isolation_level="AUTOCOMMIT")
        self._writing = engine
        if autocommit and not self._lite:
            self._writing = engine.execution_options(isolation_level="READ COMMITTED")
        self._journal = Journal(engine.url.database) if autocommit and self._lite else None
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

    @property
    def running(self) -> Session | None:
        """The session of the unit of work that runs in this thread."""
        return getattr(self._thread, "session", None)

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
        nothing: what was sent last may have been committed, so a write that meets it is refused, not repeated.
        """
        end = time.monotonic() + self._patience
        for tried in itertools.count(1):
            try:
                with opened() as session:
                    self._thread.session = session
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
        with self._writing.connect() as connection:
            with connection.begin():
                session = Session(self, connection)
                if self._lite:
                    begin_immediately(connection)
                yield session
                session.flush()
                session.require_whole()
            if self._journal is not None:
                self._journal.keep_short(connection.connection.dbapi_connection)

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
        reason = reason_of(error)
        logger.error(
            "the tables are missing or outdated: run `flask provisioning db upgrade` (%s)",
            reason,
            extra={"error": reason},
        )
        raise StorageUnavailable("The database is not ready.") from error
    if found in (Meaning.UNREACHABLE, Meaning.EXHAUSTED, Meaning.RETRY, Meaning.LOCKED):
        reason = reason_of(error)
        logger.error("the database does not answer: %s", reason, extra={"error": reason})
        raise StorageUnavailable from error
