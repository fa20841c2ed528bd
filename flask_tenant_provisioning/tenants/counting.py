"""Counters of tenants: one row a scope, changed under its lock by whoever creates or deletes."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, bindparam, case, func, literal, null, select

from ..database import SQL, Session, Storage, instant
from ..problems import QuotaExceeded

#: The scope of the whole installation; other scopes are partners, none of which is called so.
EVERYBODY = ""


class Limit(NamedTuple):
    """At most `most` living tenants in `scope`; where that is None, as many as the counter's row says."""

    scope: str
    most: int | None = None

    def exceeded(self, most: int) -> QuotaExceeded:
        """The problem of whoever finds no room under `most`."""
        if self.scope == EVERYBODY:
            return QuotaExceeded(f"The limit of {most} tenants is reached.", limit=most)
        detail = f"The partner's limit of {most} tenants is reached."
        return QuotaExceeded(detail, limit=most, partner=self.scope)


class Counter(NamedTuple):
    """The tenants that count, the places that are `reserved` besides, and the most tenants that there may be."""

    tenants: int
    reserved: int
    most: int

    @property
    def free(self) -> int:
        """Return how many places are neither taken nor reserved."""
        return max(0, self.most - self.tenants - self.reserved)


def take(session: Session, limit: Limit) -> None:
    """Count one tenant more. Raises `QuotaExceeded` at the limit."""
    sql = session.storage.once(UsageSQL)
    if session.run(sql.take, {"scope": limit.scope, "most": limit.most}).rowcount == 1:
        return
    counter = lock_counter(session, limit)
    if counter is None:
        return
    if not counter.free:
        raise limit.exceeded(counter.most)
    session.run(sql.add, {"scope": limit.scope, "more": 1})


def recount(session: Session) -> None:
    """Lock the counter's row, then count: whoever creates or deletes under a limit waits for that lock."""
    sql = session.storage.once(UsageSQL)
    session.run(sql.open, {"scope": EVERYBODY, "none": 0})
    session.run(sql.count, {"scope": EVERYBODY})


def lock_counter(session: Session, limit: Limit) -> Counter | None:
    """The counter, locked until the transaction ends; None where there is no limit."""
    sql = session.storage.once(UsageSQL)
    row = session.run(sql.lock, {"scope": limit.scope, "most": limit.most}).fetchone()
    if row is None:
        return None if limit.most is None else Counter(limit.most, 0, limit.most)
    tenants, reserved, most, doubtful_until = row
    if most is None:
        return None
    if doubtful_until is not None:
        tenants = _true(session, limit.scope, doubtful_until)
    return Counter(tenants, reserved, most)


def _true(session: Session, partner: str, doubtful_until: str) -> int:
    """The number of a partner's tenants, counted anew; believed from now on where all know of its limit by now."""
    sql = session.storage.once(UsageSQL)
    (tenants,) = session.run(sql.living, {"scope": partner}).fetchone()
    until = doubtful_until if instant(session.storage.clock()) < doubtful_until else None
    session.run(sql.correct, {"scope": partner, "tenants": tenants, "until": until})
    return int(tenants)


class UsageSQL(SQL):
    """The statements of this storage, and which counters this process has verified, under which licence.

    `scope` is whose counter is meant, `most` a limit that counts before the one in its row.
    """

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        usage, tenants = storage.table("usage"), storage.table("tenants")
        u, living = usage.c, select(func.count()).select_from(tenants).where(tenants.c.live == 1)
        scope: Any = bindparam("scope", type_=u.partner_id.type)
        mine = usage.update().where(u.partner_id == scope)
        most = func.coalesce(bindparam("most", type_=BigInteger), u.most)
        less, more = (bindparam(name, type_=BigInteger) for name in ("less", "more"))
        insert = self._insert(usage)
        none = bindparam("none", type_=BigInteger)
        until, limit = bindparam("until", type_=u.doubtful_until.type), bindparam("limit", type_=BigInteger)
        self.open = self._compiled(_kept(insert.values(partner_id=scope, tenants=none), tenants=u.tenants))
        self.count = self._compiled(mine.values(tenants=living.scalar_subquery()))
        new = insert.values(partner_id=scope, tenants=none, most=limit, doubtful_until=until)
        later = case((u.most.is_(None), until), else_=u.doubtful_until)
        self.limit = self._compiled(_kept(new, most=limit, doubtful_until=later))
        self.unlimit = self._compiled(usage.delete().where(u.partner_id == scope, u.reserved == 0))
        self.forget_limit = self._compiled(mine.values(most=null(), doubtful_until=null()))
        room = mine.where(u.tenants + u.reserved < most, u.doubtful_until.is_(None))
        self.take = self._compiled(room.values(tenants=u.tenants + 1))
        self.add = self._compiled(mine.values(tenants=u.tenants + more))
        self.release = self._compiled(mine.values(tenants=_at_least_none(u.tenants - less)))
        places = bindparam("places", type_=BigInteger)
        counts = {"tenants": _at_least_none(u.tenants + more), "reserved": _at_least_none(u.reserved + places)}
        self.settle = self._compiled(mine.values(counts))
        found = select(u.tenants, u.reserved, most, u.doubtful_until).where(u.partner_id == scope)
        self.lock = self._compiled(found.with_for_update())
        self.living = self._compiled(living.where(tenants.c.partner_id == scope))
        counted = bindparam("tenants", type_=BigInteger)
        self.correct = self._compiled(mine.values(tenants=counted, doubtful_until=until))
        self.counted: dict[str, int] = {}


def _at_least_none(count: Any) -> Any:
    """The count; 0 where it is below."""
    return case((count > 0, count), else_=literal(0, BigInteger))


def _kept(insert: Any, **values: Any) -> Any:
    """The same where there is such a row, which then gets these values, and is locked."""
    return insert.on_conflict_do_update(index_elements=["partner_id"], set_=values)
