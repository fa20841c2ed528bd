"""Many rows in one parameter: a JSON array that the database itself reads as a table.

For thousands of rows at a time it costs the client a tenth of binding each value.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    FromClause,
    Join,
    Select,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeDecorator, TypeEngine


def incoming(dialect: Dialect, **columns: TypeEngine[Any]) -> Any:
    """What a statement selects from: rows of these columns out of its parameter `rows`, a JSON array of objects.

    A member that is null or not there is NULL; a JSON document is a member as it stands.
    """
    rows = bindparam("rows", type_=Text)
    if dialect.name == "postgresql":
        typed = [column(name, _native(kind, dialect)) for name, kind in columns.items()]
        read = func.json_to_recordset(cast(rows, JSON(none_as_null=True)))
        return read.table_valued(*typed).render_derived(name="incoming", with_types=True)
    row = func.json_each(rows).table_valued("value", name="each").c.value
    members = (func.json_extract(row, literal_column(f"'$.{name}'")).label(name) for name in columns)
    return select(*members).subquery("incoming")


def each(found: Select[Any], key: Column[Any], given: FromClause, dialect: Dialect) -> Select[Any]:
    """What the query `found` finds for each row of `given`, which names the `key`: by its index, row by row.

    Left to themselves, databases guess how many rows a parameter holds, and how many a partner that is new to them has
    of millions: they might read all of them for each.
    """
    wanted = given.c[key.key]
    if dialect.name != "postgresql":
        return found.select_from(_InOrder(given, key.table, key == wanted))
    one = found.where(key == wanted).offset(0).lateral()
    return select(*one.c).select_from(given).join(one, true())


class _InOrder(Join):
    """A join that reads the table on its left first, whatever SQLite makes of it."""


@compiles(_InOrder, "sqlite")
def _in_order(join: _InOrder, compiler: Any, **options: Any) -> str:
    left, right = (compiler.process(side, **{**options, "asfrom": True}) for side in (join.left, join.right))
    return f"{left} CROSS JOIN {right} ON {compiler.process(join.onclause)}"


def rows(values: Iterable[Mapping[str, Any]]) -> str:
    """Rows as that parameter: a dictionary each, of what JSON has a form for."""
    return json.dumps(list(values), separators=(",", ":"))


def _native(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    """The type as the database knows it: ours would turn values into text on their way."""
    return kind.load_dialect_impl(dialect) if isinstance(kind, TypeDecorator) else kind
