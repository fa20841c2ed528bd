"""How many tenants count against a limit: exact under any number of writers, and free where there is no limit.

A limited installation keeps a counter row, and so does each limited partner: every create and delete changes them
inside its own transaction. An unlimited installation keeps none, so a process counts the tenants anew before it first
enforces a limit. An unlimited partner keeps none either; see `limit`.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from sqlalchemy import BigInteger, Column, MetaData, PrimaryKeyConstraint, Table

from ..database import Session, Storage, instant
from ..database.tables import prefixed
from ..database.types import Instant, ordered_text
from ..licensing import LicenseSource
from ..partners.standing import standings
from ..problems import QuotaExceeded
from ..web.mount import Mount
from .counting import UsageSQL
from .plans import require_allowed

#: The scope of the whole installation; other scopes are partners, none of which is called so.
EVERYBODY = ""
#: How much longer than processes remember a partner its new counter is not believed, in seconds: what they began while
#: they knew of no limit has ended by then.
SETTLING = 60.0


def usage_table(metadata: MetaData) -> Table:
    """One counter a scope; `most` is its partner's limit, and until `doubtful_until` some may not have counted."""
    return Table(
        prefixed(metadata, "usage"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("tenants", BigInteger, nullable=False),
        Column("most", BigInteger),
        Column("doubtful_until", Instant),
        PrimaryKeyConstraint("partner_id"),
        sqlite_with_rowid=False,
    )


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


@dataclasses.dataclass(eq=False)
class Allowance:
    """What lets a tenant come into being: a licence in force, and room under every limit.

    `plans_of` is the partner whose allowed plans are to be asked for; None where any will do.
    """

    license: LicenseSource
    limits: tuple[Limit, ...]
    plans_of: str | None = None
    _met: QuotaExceeded | None = None

    def within(self, partner: str) -> Allowance:
        """The same for a tenant of `partner`, of which it is not known whether it has a limit."""
        return Allowance(self.license, (*self.limits, Limit(partner)), partner)

    def take(self, session: Session, plan: str | None = None) -> None:
        """Count one tenant more, on `plan`.

        Raises `LicenseExpired`, `PlanNotAllowed`, or `QuotaExceeded` at a limit.
        """
        self.license.require_provisioning()
        if self.plans_of is not None:
            require_allowed(session, self.plans_of, plan)
        for limit in self.limits:
            _take(session, limit)

    def reserve(self, session: Session, count: int) -> int:
        """Count up to `count` tenants more, as many as there is room for; returns how many."""
        found = count
        for number, limit in enumerate(self.limits):
            room = self._reserved(session, limit, found)
            for before in self.limits[:number]:
                _give_back(session, before, found - room)
            found = room
        return found

    def give_back(self, session: Session, count: int) -> None:
        """Count so many less, which did not come into being."""
        for limit in self.limits:
            _give_back(session, limit, count)

    def exceeded(self) -> QuotaExceeded:
        """The problem of whoever found less room than it wanted to `reserve`."""
        return self._met or QuotaExceeded()

    def _reserved(self, session: Session, limit: Limit, count: int) -> int:
        counter = _counter(session, limit)
        if counter is None:
            return count
        tenants, most = counter
        room = max(0, min(count, most - tenants))
        session.run(session.storage.once(UsageSQL).add, {"scope": limit.scope, "more": room})
        if room < count:
            self._met = limit.exceeded(most)
        return room


def allowance(mount: Mount, partner: str | None = None) -> Allowance:
    """What the licence allows at this moment, and what `partner` may have as far as this process knows.

    The licence's counter is made true first, once a process and licence; and the partner is registered, so that nobody
    has tenants whom no list shows.
    """
    found = _licensed(mount.storage, mount.license)
    if partner is None:
        return found
    known = standings(mount).named(partner)
    limits = found.limits if known.max_tenants is None else (*found.limits, Limit(known.partner_id))
    return Allowance(found.license, limits, None if known.allowed_plans is None else known.partner_id)


def release(session: Session, partner: str, count: int = 1) -> None:
    """Count so many tenants of `partner` less, where somebody counts."""
    rows = [{"scope": scope, "less": count} for scope in (EVERYBODY, partner)]
    session.run_many(session.storage.once(UsageSQL).release, rows)


def transfer(session: Session, giver: str, receiver: str) -> None:
    """Count a tenant of `giver` as one of `receiver`. Raises `QuotaExceeded` at the receiver's limit.

    Counters are locked in the order of their scopes, as everywhere.
    """
    sql = session.storage.once(UsageSQL)
    for scope in sorted((giver, receiver)):
        if scope == receiver:
            _take(session, Limit(receiver))
        else:
            session.run(sql.release, {"scope": giver, "less": 1})


def limit(session: Session, partner: str, most: int | None, memory: float) -> None:
    """Let a partner have `most` tenants, None being any number, in the transaction in which its row says so too.

    Who creates for it without counting, since it remembers for `memory` seconds that there was no limit, is found by
    those who count: until all know of it, they lock the counter's row and count the tenants, each anew.
    """
    sql = session.storage.once(UsageSQL)
    if most is None:
        session.run(sql.unlimit, {"scope": partner})
        return
    until = instant(session.storage.clock() + memory + SETTLING)
    session.run(sql.limit, {"scope": partner, "limit": most, "none": 0, "until": until})


def _licensed(storage: Storage, license: LicenseSource) -> Allowance:
    most = license.max_tenants
    if most is None:
        return Allowance(license, ())
    sql, generation = storage.once(UsageSQL), license.generation
    if sql.counted.get(EVERYBODY) != generation:
        storage.transaction(_recount)
        sql.counted[EVERYBODY] = generation
    return Allowance(license, (Limit(EVERYBODY, most),))


def _take(session: Session, limit: Limit) -> None:
    sql = session.storage.once(UsageSQL)
    if session.run(sql.take, {"scope": limit.scope, "most": limit.most}).rowcount == 1:
        return
    counter = _counter(session, limit)
    if counter is None:
        return
    tenants, most = counter
    if tenants >= most:
        raise limit.exceeded(most)
    session.run(sql.add, {"scope": limit.scope, "more": 1})


def _counter(session: Session, limit: Limit) -> tuple[int, int] | None:
    """How many tenants there are, and how many there may be, under the counter's lock; None where there is no limit."""
    sql = session.storage.once(UsageSQL)
    row = session.run(sql.lock, {"scope": limit.scope, "most": limit.most}).fetchone()
    if row is None:
        return None if limit.most is None else (limit.most, limit.most)
    tenants, most, doubtful_until = row
    if most is None:
        return None
    return (tenants if doubtful_until is None else _true(session, limit.scope, doubtful_until)), most


def _true(session: Session, partner: str, doubtful_until: str) -> int:
    """The number of a partner's tenants, counted anew; believed from now on where all know of its limit by now."""
    sql = session.storage.once(UsageSQL)
    (tenants,) = session.run(sql.living, {"scope": partner}).fetchone()
    until = doubtful_until if instant(session.storage.clock()) < doubtful_until else None
    session.run(sql.correct, {"scope": partner, "tenants": tenants, "until": until})
    return int(tenants)


def _give_back(session: Session, limit: Limit, count: int) -> None:
    if count:
        session.run(session.storage.once(UsageSQL).add, {"scope": limit.scope, "more": -count})


def _recount(session: Session) -> None:
    """Lock the counter's row, then count: whoever creates or deletes under a limit waits for that lock."""
    sql = session.storage.once(UsageSQL)
    session.run(sql.open, {"scope": EVERYBODY, "none": 0})
    session.run(sql.count, {"scope": EVERYBODY})
