"""SQL that is built and compiled once, and runs on the driver's own cursor.

Also the shapes that several features share: many rows in one parameter (a JSON array that the database reads as a
table, for a tenth of the client's cost of binding each value), an ordered union, a pair of inserts, and the transfer of
rows from one partner to another. No row changes the column that its key begins with: a database that is sharded by it
takes no such update, so rows are inserted for the new partner and deleted for the old one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    FromClause,
    Join,
    Select,
    Subquery,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    column,
    func,
    insert,
    literal_column,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.elements import BindParameter
from sqlalchemy.types import TypeDecorator, TypeEngine


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
_MAX_KINDS = 512


class SQL:
    """The statements of one feature for one database: built at once, or each kind at its first use."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._kinds: dict[Hashable, Statement] = {}

    def _compile(self, clause: Any) -> Statement:
        return Statement(clause, self._dialect)

    def _once(self, clause: Callable[..., Any], *kind: Hashable) -> Statement:
        """The statement that ``clause(*kind)`` says, a method of this object."""
        found = self._kinds.get((clause, *kind))
        if found is None:
            if len(self._kinds) >= _MAX_KINDS:
                self._kinds.clear()
            found = self._kinds[clause, *kind] = self._compile(clause(*kind))
        return found

    def _insert(self, table: Table) -> Any:
        """An INSERT that knows conflicts."""
        return (sqlite if self._dialect.name == "sqlite" else postgresql).insert(table)


def bind_columns(table: Table, prefix: str = "") -> dict[str, BindParameter[Any]]:
    """A named parameter for each column, typed as the column is."""
    return {column.name: bindparam(prefix + column.name, type_=column.type) for column in table.columns}


def bind_new_values(columns: Any, names: Sequence[str]) -> dict[str, BindParameter[Any]]:
    """What an update gives these columns: of each the parameter ``new_<name>``."""
    return {name: bindparam(f"new_{name}", type_=columns[name].type) for name in names}


def name_new_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` by the names of those parameters."""
    return {f"new_{name}": value for name, value in values.items()}


class InsertPair:
    """Insert a row, and a second one only if no unique key refused the first.

    One round trip, atomic by itself, where the database takes an INSERT inside an INSERT (PostgreSQL);
    elsewhere two statements, for which the caller holds a transaction.
    """

    def __init__(self, first: Table, second: Table, dialect: Dialect) -> None:
        self.atomic = dialect.name == "postgresql"
        self._steps = [Statement(clause, dialect) for clause in self._clauses(first, second)]

    def _clauses(self, first: Table, second: Table) -> list[ClauseElement]:
        one, two = bind_columns(first, "a_"), bind_columns(second, "b_")
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


def select_incoming(dialect: Dialect, **columns: TypeEngine[Any]) -> Any:
    """What a statement selects from: rows of these columns out of its parameter `rows`, a JSON array of objects.

    A member that is null or not there is NULL; a JSON document is a member as it stands.
    """
    rows = bindparam("rows", type_=Text)
    if dialect.name == "postgresql":
        typed = [column(name, _get_native_type(kind, dialect)) for name, kind in columns.items()]
        read = func.json_to_recordset(cast(rows, JSON(none_as_null=True)))
        return read.table_valued(*typed).render_derived(name="incoming", with_types=True)
    row = func.json_each(rows).table_valued("value", name="each").c.value
    members = (func.json_extract(row, literal_column(f"'$.{name}'")).label(name) for name in columns)
    return select(*members).subquery("incoming")


def look_up_each(found: Select[Any], key: Column[Any], given: FromClause, dialect: Dialect) -> Select[Any]:
    """What the query `found` finds for each row of `given`, which names the `key`: by its index, row by row.

    Left to themselves, databases guess how many rows a parameter holds, and how many a partner that is new to them has
    of millions: they might read all of them for each.
    """
    wanted = given.c[key.key]
    if dialect.name != "postgresql":
        return found.select_from(_OrderedJoin(given, key.table, key == wanted))
    one = found.where(key == wanted).offset(0).lateral()
    return select(*one.c).select_from(given).join(one, true())


class _OrderedJoin(Join):
    """A join that reads the table on its left first, whatever SQLite makes of it."""


@compiles(_OrderedJoin, "sqlite")
def _compile_ordered_join(join: _OrderedJoin, compiler: Any, **options: Any) -> str:
    left, right = (compiler.process(side, **{**options, "asfrom": True}) for side in (join.left, join.right))
    return f"{left} CROSS JOIN {right} ON {compiler.process(join.onclause)}"


def encode_rows(values: Iterable[Mapping[str, Any]]) -> str:
    """Rows as that parameter: a dictionary each, of what JSON has a form for."""
    return json.dumps(list(values), separators=(",", ":"))


def _get_native_type(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    """The type as the database knows it: ours would turn values into text on their way."""
    return kind.load_dialect_impl(dialect) if isinstance(kind, TypeDecorator) else kind


def union_ordered(
    parts: Sequence[Select[Any]], order: Sequence[ColumnElement[Any]], limit: ColumnElement[int], dialect: Dialect
) -> Subquery:
    """The rows of all `parts`, of which an outer select takes the first `limit` in `order`.

    PostgreSQL reads parts side by side, each as far as it must, only where each is ordered and limited by itself;
    SQLite does so unasked, and would sort anew what is limited.
    """
    if dialect.name != "sqlite":
        parts = [part.order_by(*order).limit(limit) for part in parts]
    return union_all(*parts).subquery()


class RowTransfer:
    """Moves the rows of `table` that have the values of their parameters in these `key` columns, with `values` new.

    Parameters are `partner_id`, `new_partner_id`, those of the key, and those in `values`.
    """

    def __init__(self, table: Table, dialect: Dialect, key: tuple[str, ...], values: Mapping[str, Any]) -> None:
        c = table.c
        mine = and_(*(c[name] == bindparam(name, type_=c[name].type) for name in ("partner_id", *key)))
        new = {"partner_id": bindparam("new_partner_id", type_=c.partner_id.type), **values}
        # Bare columns: those of the table would be turned into text on their way.
        found = select(*(new.get(one.name, column(one.name)) for one in c)).select_from(table).where(mine)
        self._write = Statement(table.insert().from_select([one.name for one in c], found), dialect)
        self._remove = Statement(table.delete().where(mine), dialect)

    def run(self, session: Runner, values: dict[str, Any]) -> int:
        """Move the rows; returns how many there were. Raises `UniqueViolation` where one has no place there."""
        session.run(self._write, values)
        return int(session.run(self._remove, values).rowcount)
