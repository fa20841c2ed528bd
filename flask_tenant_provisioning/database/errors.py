"""Classification of database errors, the same for SQLAlchemy's wrappers and bare drivers on every database."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from sqlalchemy import Engine, Inspector, MetaData, UniqueConstraint, inspect
from sqlalchemy.exc import DBAPIError, TimeoutError

SERIALIZATION = {"40001", "40P01"}
MISSING_TABLE = {"42P01", "42703", "3F000"}
#: The connection is unusable: it broke, was terminated, or the server is shutting down or starting.
DISCONNECTED = ("08", "57P", "25P03", "25P04")
#: Resources, operator, system, authorization, catalogue, internal; and (40003) an unknown outcome.
UNREACHABLE = ("53", "57", "58", "28", "3D", "XX", "40003")
#: SQLSTATEs (and a missing one) too general to classify, whose messages are searched for words. None of these messages
#: quotes a value that a partner sent.
VAGUE = {"", "08P01", "0A000", "55000", "XX000"}
#: Messages for a read-only server by drivers, poolers and standbys that do not send SQLSTATE 25006.
READ_ONLY_WORDS = ("in a read-only transaction", "recovery is in progress", "in a hot standby", "during recovery")
#: A prepared statement that belongs to another client of a pooler, or that no longer exists.
UNPREPARED = {"26000", "42P05"}
UNPREPARED_WORDS = "prepared statement"
#: A prepared statement whose tables have been altered.
OUTDATED_PLAN_WORDS = "cached plan must not change result type"
#: Message with which PgBouncer and similar poolers refuse a parameter in the startup packet.
STARTUP_WORDS = "unsupported startup parameter"
UNUSABLE_FILE = (
    "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_FULL", "SQLITE_PERM",
    "SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_PROTOCOL", "SQLITE_NOMEM",
)  # fmt: skip

#: Names of UNIQUE constraints by their columns, each written as "table.column".
Constraints = Mapping[frozenset[str], str]


class FailureKind(Enum):
    """Kind of a database failure, which decides how it is handled."""

    RETRY = auto()
    UNIQUE_VIOLATION = auto()
    LOCKED = auto()
    DISCONNECTED = auto()
    UNREACHABLE = auto()
    READ_ONLY = auto()
    UNPREPARED = auto()
    OUTDATED_PLAN = auto()
    STARTUP_REFUSED = auto()
    EXHAUSTED = auto()
    MISSING_TABLE = auto()
    FORBIDDEN = auto()
    UNSUITABLE = auto()
    BUG = auto()


class UniqueViolation(Exception):
    """A row with this key exists already; `constraint` is the name of the unique constraint."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class LockTimeout(Exception):
    """Another transaction held a lock for longer than this session waits (`Session.wait_for_locks`)."""


class UnsuitableDatabase(Exception):
    """The database or its connections cannot run transactions safely; the message says how to fix it."""


class StaleRead(Exception):
    """A row changed after this unit of work read it. The unit runs again from its beginning."""


class LeaseLost(Exception):
    """A worker's claim is no longer valid: another worker has claimed the work, or it is done, cancelled or gone."""


def map_unique_constraints(metadata: MetaData) -> Constraints:
    """Return the name of every UNIQUE constraint of these tables by its columns: SQLite reports only the columns."""
    return {
        frozenset(f"{table.name}.{column.name}" for column in constraint.columns): str(constraint.name)
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    }


def classify_failure(error: BaseException) -> FailureKind:
    """Return the kind of an exception raised by a driver or by SQLAlchemy; any other exception is a `BUG`."""
    if isinstance(error, StaleRead):
        return FailureKind.RETRY
    if isinstance(error, TimeoutError):
        return FailureKind.EXHAUSTED
    if isinstance(error, LockTimeout):
        return FailureKind.LOCKED
    if isinstance(error, UnsuitableDatabase):
        return FailureKind.UNSUITABLE
    driver = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    name = getattr(driver, "sqlite_errorname", None)
    return _classify_sqlite(name, str(driver)) if name else _classify_sqlstate(driver)


def find_unique_constraint(error: BaseException, constraints: Constraints) -> str:
    """Return the name of the unique constraint that was violated; empty if the driver does not report it."""
    driver = getattr(error, "orig", None) or error
    diagnosis = getattr(driver, "diag", None)
    if diagnosis is not None:
        return diagnosis.constraint_name or ""
    columns = str(driver).partition(": ")[2].split(", ")
    return constraints.get(frozenset(columns), "")


def find_violated_constraint(error: DBAPIError, engine: Engine) -> str | None:
    """Return the name of the constraint that was violated, on a table of the API or of the host; None if unknown.

    For a UNIQUE constraint SQLite reports only the columns. Its name is looked up on another connection, because this
    one cannot be used after a failed flush.
    """
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is not None:
        return diagnosis.constraint_name or None
    kind, _, names = str(error.orig).partition(" constraint failed: ")
    if kind == "CHECK":
        return names
    table, _, _ = names.partition(".")
    columns = [column.rpartition(".")[2] for column in names.split(", ")]
    return _find_unique_key(table, columns, inspect(engine)) if kind == "UNIQUE" and names else None


def _find_unique_key(table: str, columns: list[str], inspector: Inspector) -> str | None:
    keys = [*inspector.get_unique_constraints(table), *inspector.get_indexes(table)]
    names = (str(key["name"]) for key in keys if key["column_names"] == columns and key["name"])
    return next(names, None)


def _classify_sqlite(name: str, message: str) -> FailureKind:
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return FailureKind.RETRY
    if name in ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"):
        return FailureKind.UNIQUE_VIOLATION
    if message.startswith(("no such table", "no such column")) or "has no column" in message:
        return FailureKind.MISSING_TABLE
    if name.startswith("SQLITE_READONLY"):
        return FailureKind.READ_ONLY
    if name.startswith(UNUSABLE_FILE):
        return FailureKind.UNREACHABLE
    return FailureKind.BUG


def _classify_sqlstate(driver: Any) -> FailureKind:
    """Classify a driver's error by its SQLSTATE; an error that never reached the server has none."""
    if not hasattr(driver, "sqlstate") and not hasattr(driver, "pgcode"):
        return FailureKind.BUG
    state = getattr(driver, "sqlstate", None) or getattr(driver, "pgcode", None) or ""
    message = str(driver) if state in VAGUE else ""
    if state in SERIALIZATION:
        return FailureKind.RETRY
    if state == "23505":
        return FailureKind.UNIQUE_VIOLATION
    if state == "55P03":
        return FailureKind.LOCKED
    if state == "42501":
        return FailureKind.FORBIDDEN
    if state in MISSING_TABLE:
        return FailureKind.MISSING_TABLE
    if state == "25006" or any(words in message for words in READ_ONLY_WORDS):
        return FailureKind.READ_ONLY
    if STARTUP_WORDS in message:
        return FailureKind.STARTUP_REFUSED
    if OUTDATED_PLAN_WORDS in message:
        return FailureKind.OUTDATED_PLAN
    if state in UNPREPARED or UNPREPARED_WORDS in message:
        return FailureKind.UNPREPARED
    if state.startswith(DISCONNECTED):
        return FailureKind.DISCONNECTED
    if not state:
        # A connection lost at COMMIT behind a pooler raises InternalError in psycopg and DatabaseError in psycopg2.
        kinds = {kind.__name__ for kind in type(driver).__mro__}
        is_plain = type(driver).__name__ == "DatabaseError"
        is_lost = is_plain or kinds & {"OperationalError", "InterfaceError", "InternalError"}
        return FailureKind.UNREACHABLE if is_lost else FailureKind.BUG
    return FailureKind.UNREACHABLE if state.startswith(UNREACHABLE) else FailureKind.BUG
