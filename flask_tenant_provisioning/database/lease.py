"""Leases: how one of several workers claims a row for a limited time.

A row has a *fence*, a fencing token, and a column with the end of its lease. A *claim* raises the fence and sets the
end. It has no effect if the row is not free or its fence is no longer the one that was seen, so of several workers only
one wins. The worker that holds the claim renews the lease while it works, and writes only where the fence is still its
own. The end of a claim raises the fence too, so that a late renewal does not bring the lease back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Integer, Table, and_, bindparam, null, or_
from sqlalchemy.engine import Dialect

from .ids import format_instant
from .session import Session
from .statements import Statement, match_key

#: Attempts of a worker to claim something while other workers win.
CLAIM_ATTEMPTS = 3


class Claim(Protocol):
    """A claimed row: its primary key, by column, and the fence that the claim has given it."""

    @property
    def key(self) -> dict[str, Any]: ...
    @property
    def fence(self) -> int: ...


class Lease:
    """The leases on the rows of a table; the column named `end` holds the end of each.

    Rows are locked in the order of their keys, so that two workers do not wait for each other.

    `is_free` is the condition of rows that can be claimed at the parameter `now`. `claimed` are expressions for further
    columns that a claim sets.
    """

    def __init__(
        self, table: Table, dialect: Dialect, end: str, is_free: ColumnElement[bool], claimed: Mapping[str, Any]
    ) -> None:
        c = table.c
        self._key = [column.name for column in table.primary_key]
        #: The condition that a claim still holds its row, with the parameters of `bind_claim`.
        self.is_held = and_(match_key(table, *self._key), c.fence == bindparam("fence", type_=Integer))
        #: The columns that the end of a claim sets.
        self.released: dict[str, Any] = {"fence": c.fence + 1, end: null()}
        lease = {end: bindparam("lease", type_=c[end].type)}
        held = table.update().where(self.is_held)
        self._claim = Statement(held.where(is_free).values({**claimed, "fence": c.fence + 1, **lease}), dialect)
        self._renew = Statement(held.where(c[end].is_not(None)).values(lease), dialect)
        self._release = Statement(held.values(self.released), dialect)

    def claim(self, session: Session, rows: Iterable[tuple[Any, ...]], seconds: float) -> list[dict[str, Any]]:
        """Claim each of `rows`, which are keys with the fence that was seen. Return the keys of those that were won."""
        now, won = session.storage.clock(), []
        times = {"now": format_instant(now), "lease": format_instant(now + seconds)}
        for *values, fence in sorted(rows):
            key = dict(zip(self._key, values, strict=True))
            if session.run(self._claim, {**key, **times, "fence": fence}).rowcount == 1:
                won.append(key)
        return won

    def renew(self, session: Session, claims: Iterable[Claim], seconds: float) -> None:
        """Extend the leases of `claims` to `seconds` from now. Claims that were lost are left alone."""
        end = format_instant(session.storage.clock() + seconds)
        for claim in sorted(claims, key=lambda claim: tuple(claim.key.values())):
            session.run(self._renew, {**bind_claim(claim), "lease": end})

    def release(self, session: Session, claim: Claim) -> None:
        """End a claim, so that the row is free. Do nothing if the claim was lost."""
        session.run(self._release, bind_claim(claim))


def bind_claim(claim: Claim) -> dict[str, Any]:
    """Return the parameters of `Lease.is_held`."""
    return {**claim.key, "fence": claim.fence}


def is_over(column: ColumnElement[Any], now: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that the instant in `column` is not later than `now`, or that there is none."""
    return or_(column.is_(None), column <= now)
