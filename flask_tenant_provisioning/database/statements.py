"""SQL that is compiled once and runs on the driver's own cursor.

The module also has the patterns that several features share: the update of one version of a row, many rows in one
parameter (a JSON array that the database reads as a table, which costs the client a tenth of binding each value), an
ordered union, a pair of inserts, and the transfer of rows from one partner to another. `partner_id`, with which each
key begins, is never updated, since a database sharded by it allows no such update: rows are inserted for the new
partner and deleted for the old one.
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
    Integer,
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

from .errors import StaleRead


class Runner(Protocol):
    """A session as far as statements need it."""

    def run(self, statement: Statement, values: dict[str, Any]) -> Any: ...


class Statement:
    """One SQL statement, compiled for one database. Its parameters are bound by name.

    Executing the compiled text on the driver costs a fifth of executing the SQLAlchemy construct. `defaults` are values
    in the clause itself; `order` are the names of positional parameters, None for a driver that takes names.
    """

    __slots__ = ("defaults", "order", "text")

    def __init__(self, clause: ClauseElement, dialect: Dialect) -> None:
        compiled = clause.compile(dialect=dialect)
        self.text = str(compiled)
        self.order: list[str] | None = getattr(compiled, "positiontup", None)
        self.defaults = {name: value for name, value in compiled.params.items() if value is not None}

    def bind(self, values: dict[str, Any]) -> Any:
        """Return the parameters in the shape that the driver expects: a mapping or a list."""
        values = {**self.defaults, **values}
        return values if self.order is None else [values[name] for name in self.order]


#: Maximum number of a feature's statements that are cached, since callers can ask for any number of variants.
_MAX_KINDS = 512


class SQL:
    """Base of a feature's statements for one database, compiled when constructed or, by `_once`, at first use."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._kinds: dict[Hashable, Statement] = {}

    def _compile(self, clause: Any) -> Statement:
        return Statement(clause, self._dialect)

    def _once(self, clause: Callable[..., Any], *kind: Hashable) -> Statement:
        """Return the compiled ``clause(*kind)``; `clause` is a method of this object. Cached for each `kind`."""
        statement = self._kinds.get((clause, *kind))
        if statement is None:
            if len(self._kinds) >= _MAX_KINDS:
                self._kinds.clear()
            statement = self._kinds[clause, *kind] = self._compile(clause(*kind))
        return statement

    def _insert(self, table: Table) -> Any:
        """Return an INSERT that supports ON CONFLICT."""
        return (sqlite if self._dialect.name == "sqlite" else postgresql).insert(table)


def match_key(table: Table, *names: str) -> ColumnElement[bool]:
    """Return the condition that each of these columns equals the parameter of its name."""
    return and_(*(table.c[name] == bindparam(name, type_=table.c[name].type) for name in names))


def match_version(table: Table) -> ColumnElement[bool]:
    """Return the condition of a row in the version ``expected``, with the parameters of `write_version`."""
    key = (column.name for column in table.primary_key)
    return and_(match_key(table, *key), table.c.version == bindparam("expected", type_=Integer))


def write_version(
    session: Runner, statement: Statement, key: Mapping[str, Any], version: int, values: Mapping[str, Any]
) -> None:
    """Write the new `values` of a row that was read in this version, by a statement with `match_version`.

    Raises `StaleRead` if there is a newer one; the unit of work then runs again.
    """
    if session.run(statement, {**key, "expected": version, **name_new_values(values)}).rowcount != 1:
        raise StaleRead(str(key))


def bind_columns(table: Table, prefix: str = "") -> dict[str, BindParameter[Any]]:
    """Return for each column, by name, a parameter of its type that is called `prefix` plus the column's name."""
    return {column.name: bindparam(prefix + column.name, type_=column.type) for column in table.columns}


def bind_new_values(columns: Any, names: Sequence[str]) -> dict[str, BindParameter[Any]]:
    """Return the ``values`` of an UPDATE of these columns: for each the parameter ``new_<name>``."""
    return {name: bindparam(f"new_{name}", type_=columns[name].type) for name in names}


def name_new_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` under the parameter names of `bind_new_values`."""
    return {f"new_{name}": value for name, value in values.items()}


class InsertPair:
    """Insertion of a row, and of a second one only if the first violated no unique key; `Session.insert_pair` runs it.

    PostgreSQL does both in one statement, atomic without a transaction (`is_atomic` is True). SQLite needs two
    statements (`steps`), which run in a transaction.
    """

    def __init__(self, first: Table, second: Table, dialect: Dialect) -> None:
        self.is_atomic = dialect.name == "postgresql"
        self.steps = [Statement(clause, dialect) for clause in self._clauses(first, second)]

    def _clauses(self, first: Table, second: Table) -> list[ClauseElement]:
        first_row, second_row = bind_columns(first, "a_"), bind_columns(second, "b_")
        if not self.is_atomic:
            return [
                sqlite.insert(first).values(first_row).on_conflict_do_nothing(),
                insert(second).values(second_row),
            ]
        key = list(first.primary_key)
        inserted = postgresql.insert(first).values(first_row).on_conflict_do_nothing().returning(*key).cte("made")
        return [insert(second).from_select(list(second_row), select(*second_row.values()).select_from(inserted))]


def select_incoming(dialect: Dialect, **columns: TypeEngine[Any]) -> Any:
    """Return a FROM clause of rows with these columns, read from the parameter `rows`, a JSON array of objects.

    A member that is null or missing is NULL. A JSON document is embedded as a member, not encoded as a string.
    """
    rows = bindparam("rows", type_=Text)
    if dialect.name == "postgresql":
        typed = [column(name, _get_native_type(kind, dialect)) for name, kind in columns.items()]
        read = func.json_to_recordset(cast(rows, JSON(none_as_null=True)))
        return read.table_valued(*typed).render_derived(name="incoming", with_types=True)
    row = func.json_each(rows).table_valued("value", name="each").c.value
    members = (func.json_extract(row, literal_column(f"'$.{name}'")).label(name) for name in columns)
    return select(*members).subquery("incoming")


def look_up_each(query: Select[Any], key: Column[Any], given: FromClause, dialect: Dialect) -> Select[Any]:
    """Return a query that runs `query` for each row of `given`, whose column `key` it looks up by its index.

    Without this, the planner guesses how many rows a parameter holds and how many a partner without statistics has, and
    might read millions of rows for each.
    """
    given_key = given.c[key.key]
    if dialect.name != "postgresql":
        return query.select_from(_OrderedJoin(given, key.table, key == given_key))
    matches = query.where(key == given_key).offset(0).lateral()
    return select(*matches.c).select_from(given).join(matches, true())


class _OrderedJoin(Join):
    """A join for which SQLite always reads the left table first (CROSS JOIN)."""


@compiles(_OrderedJoin, "sqlite")
def _compile_ordered_join(join: _OrderedJoin, compiler: Any, **options: Any) -> str:
    left, right = (compiler.process(side, **{**options, "asfrom": True}) for side in (join.left, join.right))
    return f"{left} CROSS JOIN {right} ON {compiler.process(join.onclause)}"


def encode_rows(values: Iterable[Mapping[str, Any]]) -> str:
    """Return dictionaries of JSON values as the parameter `rows` of `select_incoming`."""
    return json.dumps(list(values), separators=(",", ":"))


def _get_native_type(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    """Return the database's native type: our own types would convert values to text."""
    return kind.load_dialect_impl(dialect) if isinstance(kind, TypeDecorator) else kind


def union_ordered(
    parts: Sequence[Select[Any]], order: Sequence[ColumnElement[Any]], limit: ColumnElement[int], dialect: Dialect
) -> Subquery:
    """Return the union of `parts`, from which an outer select takes the first `limit` rows in `order`.

    PostgreSQL merges the parts without reading each to its end only if each has its own ORDER BY and LIMIT. SQLite does
    so without, and would sort a limited part a second time.
    """
    if dialect.name != "sqlite":
        parts = [part.order_by(*order).limit(limit) for part in parts]
    return union_all(*parts).subquery()


class RowTransfer:
    """Transfer of the rows of `table` with a given `partner_id` and `key` columns to another partner.

    `values` are expressions for columns that change. The parameters are `partner_id`, `new_partner_id`, the key columns
    and those that occur in `values`.
    """

    def __init__(self, table: Table, dialect: Dialect, key: tuple[str, ...], values: Mapping[str, Any]) -> None:
        condition = match_key(table, "partner_id", *key)
        new_values = {"partner_id": bindparam("new_partner_id", type_=table.c.partner_id.type), **values}
        # Untyped columns: the table's own would be converted to text.
        names = [column.name for column in table.c]
        rows = select(*(new_values.get(name, column(name)) for name in names)).select_from(table).where(condition)
        self._insert = Statement(table.insert().from_select(names, rows), dialect)
        self._delete = Statement(table.delete().where(condition), dialect)

    def run(self, session: Runner, values: dict[str, Any]) -> int:
        """Move the rows and return their number. Raises `UniqueViolation` if one conflicts at the new partner."""
        session.run(self._insert, values)
        return int(session.run(self._delete, values).rowcount)
