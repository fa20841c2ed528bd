"""SQL that is built and compiled once, and runs on the driver's own cursor."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Table, bindparam, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.elements import BindParameter


class Runner(Protocol):
    """What a statement needs of a session."""

    def run(self, statement: Statement, values: dict[str, Any]) -> Any: ...


class Statement:
    """One SQL statement for one database. Its parameters are bound by name.

    Compiling SQLAlchemy's construct once and handing the text to the driver costs a fifth of executing the
    construct; the construct remains the one place where the SQL is written.
    """

    __slots__ = ("_defaults", "_order", "text")

    def __init__(self, clause: ClauseElement, dialect: Dialect) -> None:
        compiled = clause.compile(dialect=dialect)
        self.text = str(compiled)
        self._order: list[str] | None = getattr(compiled, "positiontup", None)
        self._defaults = {name: value for name, value in compiled.params.items() if value is not None}

    def bind(self, values: dict[str, Any]) -> Any:
        """The parameters in the shape that the driver wants."""
        if self._defaults:
            values = {**self._defaults, **values}
        return values if self._order is None else [values[name] for name in self._order]


#: How many kinds of a feature's statements are kept; callers decide how many there are.
_MOST_KINDS = 512


class SQL:
    """The statements of one feature for one database: built at once, or each kind at its first use."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._kinds: dict[Hashable, Statement] = {}

    def _compiled(self, clause: Any) -> Statement:
        return Statement(clause, self._dialect)

    def _once(self, clause: Callable[..., Any], *kind: Hashable) -> Statement:
        """The statement that ``clause(*kind)`` says, a method of this object."""
        found = self._kinds.get((clause, *kind))
        if found is None:
            if len(self._kinds) >= _MOST_KINDS:
                self._kinds.clear()
            found = self._kinds[clause, *kind] = self._compiled(clause(*kind))
        return found

    def _insert(self, table: Table) -> Any:
        """An INSERT that knows conflicts."""
        return (sqlite if self._dialect.name == "sqlite" else postgresql).insert(table)


def parameters(table: Table, prefix: str = "") -> dict[str, BindParameter[Any]]:
    """A named parameter for each column, typed as the column is."""
    return {column.name: bindparam(prefix + column.name, type_=column.type) for column in table.columns}


def renewed(columns: Any, names: Sequence[str]) -> dict[str, BindParameter[Any]]:
    """What an update gives these columns: of each the parameter ``new_<name>``."""
    return {name: bindparam(f"new_{name}", type_=columns[name].type) for name in names}


def renewal(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` by the names of those parameters."""
    return {f"new_{name}": value for name, value in values.items()}


class GuardedInsert:
    """Insert a row, and a second one only if no unique key refused the first.

    One round trip, atomic by itself, where the database takes an INSERT inside an INSERT (PostgreSQL);
    elsewhere two statements, for which the caller holds a transaction.
    """

    def __init__(self, first: Table, second: Table, dialect: Dialect) -> None:
        self.atomic = dialect.name == "postgresql"
        self._steps = [Statement(clause, dialect) for clause in self._clauses(first, second)]

    def _clauses(self, first: Table, second: Table) -> list[ClauseElement]:
        one, two = parameters(first, "a_"), parameters(second, "b_")
        if not self.atomic:
            return [sqlite.insert(first).values(one).on_conflict_do_nothing(), insert(second).values(two)]
        key = list(first.primary_key)
        made = postgresql.insert(first).values(one).on_conflict_do_nothing().returning(*key).cte("made")
        return [insert(second).from_select(list(two), select(*two.values()).select_from(made))]

    def run(self, session: Runner, first: dict[str, Any], second: dict[str, Any]) -> bool:
        """Insert both rows; False where a unique key refused the first, and then nothing is written."""
        values = {f"a_{name}": value for name, value in first.items()}
        values.update({f"b_{name}": value for name, value in second.items()})
        return all(session.run(step, values).rowcount == 1 for step in self._steps)
