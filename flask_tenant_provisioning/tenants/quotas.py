"""Tenant quotas of the installation and of each partner: exact under any number of writers, free where there is none.

An installation with a quota keeps a counter row, and so does each partner with one: every create and delete changes
them inside its own transaction. Without a quota there is no counter, so a process recounts before it first enforces
one. A partner without a quota keeps none either; see `set_partner_quota`.

A transaction that creates thousands of tenants would lock the counters for as long as it lasts. It therefore reserves
places in a short transaction before, and settles the reservation with its last statement.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    bindparam,
    case,
    func,
    literal,
    null,
    select,
    text,
)

from ..database.ids import format_instant
from ..database.session import Session, Storage
from ..database.statements import SQL
from ..database.types import Instant, name_table, ordered_text
from ..errors import QuotaExceeded
from ..licensing.source import LicenseSource
from ..mount import Mount
from ..partners.actions import UPDATE_OPERATION
from ..partners.cache import get_partner_cache
from .plans import require_plan_allowed

#: How much longer than processes remember a partner its new counter is not believed, in seconds: what they began while
#: they knew of no limit has ended by then.
SETTLING_SECONDS = 60.0


def usage_table(metadata: MetaData) -> Table:
    """One counter a scope; `most` is its partner's limit, and until `doubtful_until` some may not have counted."""
    return Table(
        name_table(metadata, "usage"),
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
    limits: tuple[Quota, ...]
    plans_of: str | None = None
    room: RemainingPlaces | None = None

    def within(self, partner: str) -> Allowance:
        """The same for a tenant of `partner`, of which it is not known whether it has a limit."""
        return Allowance(self.license, (*self.limits, Quota(partner)), partner)

    def take(self, session: Session, plan: str | None = None) -> None:
        """Count one tenant more, on `plan`.

        Raises `LicenseExpired`, `PlanNotAllowed`, or `QuotaExceeded` at a limit.
        """
        self.license.require_provisioning()
        if self.plans_of is not None:
            require_plan_allowed(session, self.plans_of, plan)
        if self.room is not None:
            self.room.require()
            self.room.take()
            return
        for limit in self.limits:
            consume_quota(session, limit)


def resolve_allowance(mount: Mount, partner: str | None = None) -> Allowance:
    """What the licence allows at this moment, and what `partner` may have as far as this process knows.

    The licence's counter is made true first, once a process and licence; and the partner is registered, so that nobody
    has tenants whom no list shows.
    """
    found = _resolve_license_allowance(mount.storage, mount.license)
    if partner is None:
        return found
    known = get_partner_cache(mount).named(partner)
    limits = found.limits if known.max_tenants is None else (*found.limits, Quota(known.partner_id))
    return Allowance(found.license, limits, None if known.allowed_plans is None else known.partner_id)


def release_quota(session: Session, partner: str, count: int = 1) -> None:
    """Count so many tenants of `partner` less, where somebody counts."""
    rows = [{"scope": scope, "less": count} for scope in (INSTALLATION, partner)]
    session.run_many(session.storage.once(QuotaSQL).release, rows)


def transfer_quota(session: Session, giver: str, receiver: str) -> None:
    """Count a tenant of `giver` as one of `receiver`. Raises `QuotaExceeded` at the receiver's limit.

    Counters are locked in the order of their scopes, as everywhere.
    """
    sql = session.storage.once(QuotaSQL)
    for scope in sorted((giver, receiver)):
        if scope == receiver:
            consume_quota(session, Quota(receiver))
        else:
            session.run(sql.release, {"scope": giver, "less": 1})


def set_partner_quota(session: Session, partner: str, most: int | None, memory: float) -> None:
    """Let a partner have `most` tenants, None being any number, in the transaction in which its row says so too.

    Who creates for it without counting, since it remembers for `memory` seconds that there was no limit, is found by
    those who count: until all know of it, they lock the counter's row and count the tenants, each anew.
    """
    sql = session.storage.once(QuotaSQL)
    if most is None:
        session.run(sql.unlimit, {"scope": partner})
        session.run(sql.forget_limit, {"scope": partner})
        return
    until = format_instant(session.storage.clock() + memory + SETTLING_SECONDS)
    session.run(sql.limit, {"scope": partner, "limit": most, "none": 0, "until": until})


def _resolve_license_allowance(storage: Storage, license: LicenseSource) -> Allowance:
    most = license.max_tenants
    if most is None:
        return Allowance(license, ())
    sql, generation = storage.once(QuotaSQL), license.generation
    if sql.counted.get(INSTALLATION) != generation:
        storage.transaction(recount_installation)
        sql.counted[INSTALLATION] = generation
    return Allowance(license, (Quota(INSTALLATION, most),))


#: The scope of the whole installation; other scopes are partners, none of which is called so.
INSTALLATION = ""


class Quota(NamedTuple):
    """At most `most` living tenants in `scope`; where that is None, as many as the counter's row says."""

    scope: str
    most: int | None = None

    def exceeded(self, most: int) -> QuotaExceeded:
        """The problem of whoever finds no room under `most`."""
        if self.scope == INSTALLATION:
            return QuotaExceeded(f"The limit of {most} tenants is reached.", limit=most)
        detail = f"The partner's limit of {most} tenants is reached."
        return QuotaExceeded(detail, limit=most, partner=self.scope)


class QuotaCounter(NamedTuple):
    """The tenants that count, the places that are `reserved` besides, and the most tenants that there may be."""

    tenants: int
    reserved: int
    most: int

    @property
    def free(self) -> int:
        """Return how many places are neither taken nor reserved."""
        return max(0, self.most - self.tenants - self.reserved)


def consume_quota(session: Session, limit: Quota) -> None:
    """Count one tenant more. Raises `QuotaExceeded` at the limit."""
    sql = session.storage.once(QuotaSQL)
    if session.run(sql.take, {"scope": limit.scope, "most": limit.most}).rowcount == 1:
        return
    counter = lock_counter(session, limit)
    if counter is None:
        return
    if not counter.free:
        raise limit.exceeded(counter.most)
    session.run(sql.add, {"scope": limit.scope, "more": 1})


def recount_installation(session: Session) -> None:
    """Lock the counter's row, then count: whoever creates or deletes under a limit waits for that lock."""
    sql = session.storage.once(QuotaSQL)
    session.run(sql.open, {"scope": INSTALLATION, "none": 0})
    session.run(sql.count, {"scope": INSTALLATION})


def lock_counter(session: Session, limit: Quota) -> QuotaCounter | None:
    """The counter, locked until the transaction ends; None where there is no limit."""
    sql = session.storage.once(QuotaSQL)
    row = session.run(sql.lock, {"scope": limit.scope, "most": limit.most}).fetchone()
    if row is None:
        return None if limit.most is None else QuotaCounter(limit.most, 0, limit.most)
    tenants, reserved, most, doubtful_until = row
    if most is None:
        return None
    if doubtful_until is not None:
        tenants = _recount_partner(session, limit.scope, doubtful_until)
    return QuotaCounter(tenants, reserved, most)


def _recount_partner(session: Session, partner: str, doubtful_until: str) -> int:
    """The number of a partner's tenants, counted anew; believed from now on where all know of its limit by now."""
    sql = session.storage.once(QuotaSQL)
    (tenants,) = session.run(sql.living, {"scope": partner}).fetchone()
    until = doubtful_until if format_instant(session.storage.clock()) < doubtful_until else None
    session.run(sql.correct, {"scope": partner, "tenants": tenants, "until": until})
    return int(tenants)


class QuotaSQL(SQL):
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
        self.open = self._compile(_update_on_conflict(insert.values(partner_id=scope, tenants=none), tenants=u.tenants))
        self.count = self._compile(mine.values(tenants=living.scalar_subquery()))
        new = insert.values(partner_id=scope, tenants=none, most=limit, doubtful_until=until)
        later = case((u.most.is_(None), until), else_=u.doubtful_until)
        self.limit = self._compile(_update_on_conflict(new, most=limit, doubtful_until=later))
        self.unlimit = self._compile(usage.delete().where(u.partner_id == scope, u.reserved == 0))
        self.forget_limit = self._compile(mine.values(most=null(), doubtful_until=null()))
        room = mine.where(u.tenants + u.reserved < most, u.doubtful_until.is_(None))
        self.take = self._compile(room.values(tenants=u.tenants + 1))
        self.add = self._compile(mine.values(tenants=u.tenants + more))
        self.release = self._compile(mine.values(tenants=_at_least_zero(u.tenants - less)))
        places = bindparam("places", type_=BigInteger)
        counts = {"tenants": _at_least_zero(u.tenants + more), "reserved": _at_least_zero(u.reserved + places)}
        self.settle = self._compile(mine.values(counts))
        found = select(u.tenants, u.reserved, most, u.doubtful_until).where(u.partner_id == scope)
        self.lock = self._compile(found.with_for_update())
        self.living = self._compile(living.where(tenants.c.partner_id == scope))
        counted = bindparam("tenants", type_=BigInteger)
        self.correct = self._compile(mine.values(tenants=counted, doubtful_until=until))
        self.counted: dict[str, int] = {}


def _at_least_zero(count: Any) -> Any:
    """The count; 0 where it is below."""
    return case((count > 0, count), else_=literal(0, BigInteger))


def _update_on_conflict(insert: Any, **values: Any) -> Any:
    """The same where there is such a row, which then gets these values, and is locked."""
    return insert.on_conflict_do_update(index_elements=["partner_id"], set_=values)


class TooFewPlaces(Exception):
    """More tenants were to be made than places were asked for: the caller reserves more and begins again."""


class RemainingPlaces:
    """Places that are left for new tenants; None where there is no limit. `problem` is what the next one meets."""

    def __init__(self, left: int | None = None, problem: QuotaExceeded | None = None) -> None:
        self.left, self.problem = left, problem

    def require(self) -> None:
        """Raise `QuotaExceeded` where no place is left; `TooFewPlaces` where more may be had."""
        if self.left == 0:
            raise self.problem or TooFewPlaces

    def take(self, count: int = 1) -> None:
        """Take so many places, which must be there."""
        if self.left is not None:
            self.left -= count


class ReservedPlaces(NamedTuple):
    """Numbers of reserved places under each limit: the same under both, or 0 where nothing is counted."""

    license: int = 0
    partner: int = 0


class FreePlaces(NamedTuple):
    """The places that are free under all limits: `granted` of them, counted `under` these scopes.

    `problem` is what a tenant beyond them meets; None where as many are granted as were wanted. `is_contended` says
    that others have reserved places under a limit that was met, and may yet give some back.
    """

    granted: int
    under: frozenset[str] = frozenset()
    problem: QuotaExceeded | None = None
    is_contended: bool = False


def find_free_places(session: Session, limits: Iterable[Quota], wanted: int) -> FreePlaces:
    """Up to `wanted` places, as many as are free under all `limits`.

    The counters stay locked until the transaction ends, which is to be soon.
    """
    found = FreePlaces(wanted)
    for limit in limits:
        counter = lock_counter(session, limit)
        if counter is None:
            continue
        found = found._replace(under=found.under | {limit.scope})
        if counter.free < found.granted:
            is_contended = found.is_contended or counter.reserved > 0
            problem = limit.exceeded(counter.most)
            found = found._replace(granted=counter.free, problem=problem, is_contended=is_contended)
    return found


def reserve_places(session: Session, partner: str, found: FreePlaces) -> ReservedPlaces:
    """Reserve the places that `look` has found in this transaction."""
    places = ReservedPlaces(found.granted * (INSTALLATION in found.under), found.granted * (partner in found.under))
    _change_counters(session, partner, places, 0)
    return places


def settle_reservation(session: Session, partner: str, places: ReservedPlaces, more: int) -> None:
    """Give back reserved places, and count so many tenants of `partner` `more`, or less; the last that is done.

    It counts where there is a counter, also where there was none when the places were reserved.
    """
    _change_counters(session, partner, ReservedPlaces(-places.license, -places.partner), more)


def _change_counters(session: Session, partner: str, places: ReservedPlaces, more: int) -> None:
    """Change the counters, everybody's before the partner's, as all do."""
    scopes = zip((INSTALLATION, partner), places, strict=True)
    rows = [{"scope": scope, "places": count, "more": more} for scope, count in scopes if count or more]
    if rows:
        session.run_many(session.storage.once(QuotaSQL).settle, rows)


class QuotaListener:
    """What one mount does about limits when a partner changes; processes remember partners for `memory` seconds."""

    def __init__(self, memory: float) -> None:
        self._memory = memory

    def concerns(self, operation: str, tenant: Any = None) -> bool:
        """Whether something happens with `operation`."""
        return operation == UPDATE_OPERATION

    def defers(self, session: Session, operation: str, tenant: Any) -> bool:
        """A limit ends with its transaction."""
        return False

    def require_ready(self, session: Session, operation: str, tenant: Any) -> None:
        """No work on limits is under way."""

    def __call__(self, session: Session, change: Any) -> None:
        """Count from now on, by another limit, or no more."""
        if change.operation != UPDATE_OPERATION:
            return
        before = change.before.max_tenants if change.before else None
        if change.after.max_tenants != before:
            set_partner_quota(session, change.after.partner_id, change.after.max_tenants, self._memory)
