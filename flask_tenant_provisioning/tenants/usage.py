"""How many tenants count against a limit: exact under any number of writers, and free where there is no limit.

A limited installation keeps a counter row, and so does each limited partner: every create and delete changes them
inside its own transaction. An unlimited installation keeps none, so a process counts the tenants anew before it first
enforces a limit. An unlimited partner keeps none either; see `limit`.
"""

from __future__ import annotations

import dataclasses

from sqlalchemy import BigInteger, Column, MetaData, PrimaryKeyConstraint, Table, text

from ..database import Session, Storage, instant
from ..database.tables import prefixed
from ..database.types import Instant, ordered_text
from ..licensing import LicenseSource
from ..partners.standing import standings
from ..web.mount import Mount
from .counting import EVERYBODY, Limit, UsageSQL, recount, take
from .plans import require_allowed
from .room import Room

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
        Column("reserved", BigInteger, nullable=False, server_default=text("0")),
        Column("most", BigInteger),
        Column("doubtful_until", Instant),
        PrimaryKeyConstraint("partner_id"),
        sqlite_with_rowid=False,
    )


@dataclasses.dataclass(eq=False)
class Allowance:
    """What lets a tenant come into being: a licence in force, and room under every limit.

    `plans_of` is the partner whose allowed plans are to be asked for; None where any will do. `room`, where it is
    given, is what was reserved under the limits, and then stands for them.
    """

    license: LicenseSource
    limits: tuple[Limit, ...]
    plans_of: str | None = None
    room: Room | None = None

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
        if self.room is not None:
            self.room.require()
            self.room.take()
            return
        for limit in self.limits:
            take(session, limit)


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
            take(session, Limit(receiver))
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
        session.run(sql.forget_limit, {"scope": partner})
        return
    until = instant(session.storage.clock() + memory + SETTLING)
    session.run(sql.limit, {"scope": partner, "limit": most, "none": 0, "until": until})


def _licensed(storage: Storage, license: LicenseSource) -> Allowance:
    most = license.max_tenants
    if most is None:
        return Allowance(license, ())
    sql, generation = storage.once(UsageSQL), license.generation
    if sql.counted.get(EVERYBODY) != generation:
        storage.transaction(recount)
        sql.counted[EVERYBODY] = generation
    return Allowance(license, (Limit(EVERYBODY, most),))
