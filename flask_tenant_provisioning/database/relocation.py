"""Rows that go from one partner to another: written anew there and removed here.

No row changes the column that its key begins with: a database that is sharded by it takes no such update.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, and_, bindparam, column, select
from sqlalchemy.engine import Dialect

from .statements import Runner, Statement


class Relocation:
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
