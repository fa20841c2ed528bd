"""The database as the rest of the house sees it: reads, and units of work that commit whole or not at all."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Engine, MetaData, Table

from ..problems import StorageUnavailable
from .errors import Meaning, UniqueViolation, constraint_of, constraints_of, meaning
from .identifiers import uuid7
from .statements import Statement
from .tables import prefixed

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session as OrmSession

T = TypeVar("T")
Work = Callable[["Session"], T]


class Session:
    """One connection during one unit of work. What actions take instead of knowing where they run."""

    __slots__ = ("_connection", "_driver", "_orm", "storage")

    def __init__(self, storage: Storage, connection: Connection) -> None:
        self.storage = storage
        self._connection = connection
        self._driver: Any = connection.connection.dbapi_connection
        self._orm: OrmSession | None = None

    def run(self, statement: Statement, values: dict[str, Any]) -> Any:
        """Run `statement` and return the driver's cursor: ``fetchone``, ``fetchall``, ``rowcount``.

        Raises `UniqueViolation` with the constraint's name, else the driver's own exception.
        """
        cursor = self._driver.cursor()
        try:
            cursor.execute(statement.text, statement.bind(values))
        except Exception as error:
            if meaning(error) is Meaning.TAKEN:
                raise UniqueViolation(constraint_of(error, self.storage.constraints)) from error
            self._forget_dead_connection(error, cursor)
            raise
        return cursor

    @property
    def orm(self) -> OrmSession:
        """An ORM session in this same transaction, for the host's own models."""
        if self._orm is None:
            from sqlalchemy.orm import Session as OrmSession

            self._orm = OrmSession(bind=self._connection, join_transaction_mode="control_fully")
        return self._orm

    def flush(self) -> None:
        """Send what the host put into `orm`, so that it commits with the rest."""
        if self._orm is not None:
            self._orm.flush()

    def _forget_dead_connection(self, error: Exception, cursor: Any) -> None:
        """Let SQLAlchemy meet a dead connection itself: it then drops every older one from the pool."""
        dialect = self.storage.engine.dialect
        if isinstance(error, dialect.loaded_dbapi.Error) and dialect.is_disconnect(error, self._driver, cursor):
            with contextlib.suppress(Exception):
                self._connection.exec_driver_sql("SELECT 1")


class Storage:
    """The tables of one mount in one database."""

    def __init__(
        self,
        engine: Engine,
        metadata: MetaData,
        *,
        attempts: int = 6,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = uuid7,
        sleep: Callable[[float], None] = time.sleep,
        autocommit: bool = False,
    ) -> None:
        self.engine = engine
        self.metadata = metadata
        self.clock = clock
        self.new_id = new_id
        self.constraints = constraints_of(metadata)
        self._attempts = attempts
        self._sleep = sleep
        self._lite = engine.dialect.name == "sqlite"
        self._reading = engine if autocommit else engine.execution_options(isolation_level="AUTOCOMMIT")
        self._writing = engine
        if autocommit and not self._lite:
            self._writing = engine.execution_options(isolation_level="READ COMMITTED")
        self._one_writer: contextlib.AbstractContextManager[Any] = (
            threading.RLock() if self._lite else contextlib.nullcontext()
        )
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
        left = attempts or self._attempts
        while True:
            left -= 1
            try:
                with opened() as session:
                    return work(session)
            except Exception as error:
                found = meaning(error)
                if not left or found not in again:
                    raise self._refusal(error, found) from error
                self._sleep(random.uniform(0.001, 0.02) * 2 ** ((attempts or self._attempts) - left))

    def _refusal(self, error: Exception, found: Meaning) -> Exception:
        if found is Meaning.MISSING_TABLE:
            logger.error("the tables are missing or outdated: run `flask provisioning db upgrade` (%s)", error)
            return StorageUnavailable("The database is not ready.")
        if found in (Meaning.UNREACHABLE, Meaning.EXHAUSTED, Meaning.RETRY):
            logger.error("the database does not answer: %s", error)
            return StorageUnavailable()
        return error

    @contextlib.contextmanager
    def _autocommit(self) -> Iterator[Session]:
        with self._reading.connect() as connection:
            yield Session(self, connection)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Session]:
        with self._one_writer, self._writing.connect() as connection, connection.begin():
            session = Session(self, connection)
            if self._lite:
                begin_immediately(connection)
            yield session
            session.flush()


def begin_immediately(connection: Connection) -> None:
    """Take SQLite's write lock now: a lock taken at the first write can fail after reads have been believed."""
    driver: Any = connection.connection.dbapi_connection
    if not driver.in_transaction:
        driver.execute("BEGIN IMMEDIATE")
