"""Tenant quotas of the installation and of each partner: exact with concurrent writers, and without cost if unused.

There is one counter row for the installation's quota and one for each partner with a quota. Every create and delete
updates them in its own transaction. Without a quota there is no counter. A process therefore recounts the installation
before it first enforces a licence's quota; for partners, see `set_partner_quota`.

A transaction that creates thousands of tenants would keep the counters locked until it ends. It therefore reserves
places in a short transaction first, and settles the reservation with its last statement.
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
from ..partners.cache import PartnerCache
from .plans import require_plan_allowed

#: Seconds after the partner cache has expired during which a new counter is still recounted: requests that began
#: without knowing of the quota have ended by then.
SETTLING_SECONDS = 60.0


def usage_table(metadata: MetaData) -> Table:
    """Build the table of counters, one row per scope.

    `most` is the partner's quota. Until `doubtful_until` some processes may not yet update the counter.
    """
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
    """The conditions for a new tenant: a valid licence, an allowed plan, and a free place under every quota.

    `partner_with_plans` is the partner whose allowed plans are checked, None if all plans are allowed. `places` are
    places that were reserved before; if they are given, they are used in place of the quotas.
    """

    license: LicenseSource
    quotas: tuple[Quota, ...]
    partner_with_plans: str | None = None
    places: RemainingPlaces | None = None

    def for_partner(self, partner: str) -> Allowance:
        """Return the allowance for a tenant of `partner`, whether or not the partner has a quota."""
        return Allowance(self.license, (*self.quotas, Quota(partner)), partner)

    def consume(self, session: Session, plan: str | None = None) -> None:
        """Use the allowance for one tenant on `plan`. Raises `LicenseExpired`, `PlanNotAllowed` or `QuotaExceeded`."""
        self.license.require_provisioning()
        if self.partner_with_plans is not None:
            require_plan_allowed(session, self.partner_with_plans, plan)
        if self.places is not None:
            self.places.require_place()
            self.places.use()
            return
        for quota in self.quotas:
            consume_quota(session, quota)


def resolve_allowance(mount: Mount, partner: str | None = None) -> Allowance:
    """Return the allowance of the licence and, if given, of `partner` as cached in this process.

    Recounts the installation first, once per process and licence, and registers the partner if it is new, so that
    every tenant belongs to a listed partner.
    """
    license, quotas = mount.license, tuple[Quota, ...]()
    limit = license.max_tenants
    if limit is not None:
        sql, generation = mount.storage.once(QuotaSQL), license.generation
        if sql.verified_generations.get(INSTALLATION) != generation:
            mount.storage.transaction(recount_installation)
            sql.verified_generations[INSTALLATION] = generation
        quotas = (Quota(INSTALLATION, limit),)
    if partner is None:
        return Allowance(license, quotas)
    cached = mount.once(PartnerCache).get_or_register(partner)
    if cached.max_tenants is not None:
        quotas = (*quotas, Quota(cached.partner_id))
    return Allowance(license, quotas, None if cached.allowed_plans is None else cached.partner_id)


def subtract_tenants(session: Session, partner: str, count: int = 1) -> None:
    """Subtract `count` tenants of `partner` from the counters that exist."""
    rows = [{"scope": scope, "less": count} for scope in (INSTALLATION, partner)]
    session.run_many(session.storage.once(QuotaSQL).subtract, rows)


def transfer_quota(session: Session, giver: str, receiver: str) -> None:
    """Count a tenant of `giver` as one of `receiver`. Raises `QuotaExceeded` if the receiver's quota is used up.

    Counters are locked in the order of their scopes, as everywhere, to avoid deadlocks.
    """
    sql = session.storage.once(QuotaSQL)
    for scope in sorted((giver, receiver)):
        if scope == receiver:
            consume_quota(session, Quota(receiver))
        else:
            session.run(sql.subtract, {"scope": giver, "less": 1})


def set_partner_quota(session: Session, partner: str, limit: int | None, memory: float) -> None:
    """Set a partner's quota to `limit` tenants, None for no quota, in the transaction that updates the partner.

    Other processes cache for `memory` seconds that there was no quota, and create tenants without counting them. Until
    that time is over, each check locks the counter's row and recounts the tenants.
    """
    sql = session.storage.once(QuotaSQL)
    if limit is None:
        session.run(sql.delete_counter, {"scope": partner})
        session.run(sql.clear_quota, {"scope": partner})
        return
    until = format_instant(session.storage.clock() + memory + SETTLING_SECONDS)
    session.run(sql.set_quota, {"scope": partner, "limit": limit, "none": 0, "until": until})


#: The scope of the whole installation. All other scopes are partner ids, which are never empty.
INSTALLATION = ""


class Quota(NamedTuple):
    """At most `limit` living tenants in `scope`; None means the quota stored in the counter's row."""

    scope: str
    limit: int | None = None

    def make_problem(self, limit: int) -> QuotaExceeded:
        """Build the problem for a quota of `limit` that is used up."""
        if self.scope == INSTALLATION:
            return QuotaExceeded(f"The limit of {limit} tenants is reached.", limit=limit)
        detail = f"The partner's limit of {limit} tenants is reached."
        return QuotaExceeded(detail, limit=limit, partner=self.scope)


class QuotaCounter(NamedTuple):
    """The state of a counter: existing tenants, reserved places, and the quota."""

    tenants: int
    reserved: int
    limit: int

    @property
    def free(self) -> int:
        """The number of places that are neither used nor reserved."""
        return max(0, self.limit - self.tenants - self.reserved)


def consume_quota(session: Session, quota: Quota) -> None:
    """Count one more tenant. Raises `QuotaExceeded` if the quota is used up."""
    sql = session.storage.once(QuotaSQL)
    if session.run(sql.consume, {"scope": quota.scope, "most": quota.limit}).rowcount == 1:
        return
    counter = lock_counter(session, quota)
    if counter is None:
        return
    if not counter.free:
        raise quota.make_problem(counter.limit)
    session.run(sql.increase, {"scope": quota.scope, "more": 1})


def recount_installation(session: Session) -> None:
    """Lock the installation's counter, then recount it. Creates and deletes under a quota wait for the lock."""
    sql = session.storage.once(QuotaSQL)
    session.run(sql.create_counter, {"scope": INSTALLATION, "none": 0})
    session.run(sql.recount, {"scope": INSTALLATION})


def lock_counter(session: Session, quota: Quota) -> QuotaCounter | None:
    """Lock a counter until the transaction ends and return it; None if there is no quota."""
    sql = session.storage.once(QuotaSQL)
    row = session.run(sql.lock, {"scope": quota.scope, "most": quota.limit}).fetchone()
    if row is None:
        return None if quota.limit is None else QuotaCounter(quota.limit, 0, quota.limit)
    tenants, reserved, most, doubtful_until = row
    if most is None:
        return None
    if doubtful_until is not None:
        tenants = _recount_partner(session, quota.scope, doubtful_until)
    return QuotaCounter(tenants, reserved, most)


def _recount_partner(session: Session, partner: str, doubtful_until: str) -> int:
    """Recount a partner's tenants and store the number. Clear `doubtful_until` once it has passed."""
    sql = session.storage.once(QuotaSQL)
    (tenants,) = session.run(sql.living, {"scope": partner}).fetchone()
    until = doubtful_until if format_instant(session.storage.clock()) < doubtful_until else None
    session.run(sql.confirm, {"scope": partner, "tenants": tenants, "until": until})
    return int(tenants)


class QuotaSQL(SQL):
    """The statements about quotas, compiled once per storage, and the counters that this process has verified.

    In the statements, `scope` names the counter; `most` is a quota that takes precedence over the one in its row.
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
        self.create_counter = self._compile(
            _update_on_conflict(insert.values(partner_id=scope, tenants=none), tenants=u.tenants)
        )
        self.recount = self._compile(mine.values(tenants=living.scalar_subquery()))
        new = insert.values(partner_id=scope, tenants=none, most=limit, doubtful_until=until)
        later = case((u.most.is_(None), until), else_=u.doubtful_until)
        self.set_quota = self._compile(_update_on_conflict(new, most=limit, doubtful_until=later))
        self.delete_counter = self._compile(usage.delete().where(u.partner_id == scope, u.reserved == 0))
        self.clear_quota = self._compile(mine.values(most=null(), doubtful_until=null()))
        room = mine.where(u.tenants + u.reserved < most, u.doubtful_until.is_(None))
        self.consume = self._compile(room.values(tenants=u.tenants + 1))
        self.increase = self._compile(mine.values(tenants=u.tenants + more))
        self.subtract = self._compile(mine.values(tenants=_at_least_zero(u.tenants - less)))
        places = bindparam("places", type_=BigInteger)
        counts = {"tenants": _at_least_zero(u.tenants + more), "reserved": _at_least_zero(u.reserved + places)}
        self.settle = self._compile(mine.values(counts))
        counter = select(u.tenants, u.reserved, most, u.doubtful_until).where(u.partner_id == scope)
        self.lock = self._compile(counter.with_for_update())
        self.living = self._compile(living.where(tenants.c.partner_id == scope))
        counted = bindparam("tenants", type_=BigInteger)
        self.confirm = self._compile(mine.values(tenants=counted, doubtful_until=until))
        self.verified_generations: dict[str, int] = {}


def _at_least_zero(count: Any) -> Any:
    """Return an expression for the count, or 0 if it is negative."""
    return case((count > 0, count), else_=literal(0, BigInteger))


def _update_on_conflict(insert: Any, **values: Any) -> Any:
    """Make an INSERT set these values, and lock the row, if the scope has a row already."""
    return insert.on_conflict_do_update(index_elements=["partner_id"], set_=values)


class TooFewPlaces(Exception):
    """More tenants are to be created than places were reserved: the caller reserves more and starts over."""


class RemainingPlaces:
    """Places left for new tenants, None if unlimited. `problem` is raised once they are used up."""

    def __init__(self, left: int | None = None, problem: QuotaExceeded | None = None) -> None:
        self.left, self.problem = left, problem

    def require_place(self) -> None:
        """Raise `QuotaExceeded` if no place is left, `TooFewPlaces` if more can be reserved."""
        if self.left == 0:
            raise self.problem or TooFewPlaces

    def use(self, count: int = 1) -> None:
        """Use `count` places, which must be left."""
        if self.left is not None:
            self.left -= count


class ReservedPlaces(NamedTuple):
    """Numbers of reserved places under the installation's and the partner's quota; 0 where there is no quota."""

    license: int = 0
    partner: int = 0


class FreePlaces(NamedTuple):
    """The number of places free under all quotas (`granted`), and the scopes that count them (`scopes`).

    `problem` is raised for a tenant beyond them; None if all requested places are granted. `is_contended` is true if
    other transactions hold reservations under an exhausted quota and may give some back.
    """

    granted: int
    scopes: frozenset[str] = frozenset()
    problem: QuotaExceeded | None = None
    is_contended: bool = False


def find_free_places(session: Session, quotas: Iterable[Quota], count: int) -> FreePlaces:
    """Find up to `count` places that are free under all `quotas`.

    The counters stay locked until the transaction ends, so it has to be short.
    """
    places = FreePlaces(count)
    for quota in quotas:
        counter = lock_counter(session, quota)
        if counter is None:
            continue
        places = places._replace(scopes=places.scopes | {quota.scope})
        if counter.free < places.granted:
            is_contended = places.is_contended or counter.reserved > 0
            problem = quota.make_problem(counter.limit)
            places = places._replace(granted=counter.free, problem=problem, is_contended=is_contended)
    return places


def reserve_places(session: Session, partner: str, free: FreePlaces) -> ReservedPlaces:
    """Reserve the places that `find_free_places` found in this transaction."""
    places = ReservedPlaces(free.granted * (INSTALLATION in free.scopes), free.granted * (partner in free.scopes))
    _change_counters(session, partner, places, 0)
    return places


def settle_reservation(session: Session, partner: str, places: ReservedPlaces, more: int) -> None:
    """Give back reserved places and add `more` tenants of `partner`, which may be negative. The last statement to run.

    A counter that was created since the reservation is updated too.
    """
    _change_counters(session, partner, ReservedPlaces(-places.license, -places.partner), more)


def _change_counters(session: Session, partner: str, places: ReservedPlaces, more: int) -> None:
    """Update the counters: the installation's before the partner's, in the order used everywhere."""
    scopes = zip((INSTALLATION, partner), places, strict=True)
    rows = [{"scope": scope, "places": count, "more": more} for scope, count in scopes if count or more]
    if rows:
        session.run_many(session.storage.once(QuotaSQL).settle, rows)


class QuotaReaction:
    """Reaction to updates of partners: sets the counter when the quota changes.

    Processes cache partners for `memory` seconds.
    """

    def __init__(self, memory: float) -> None:
        self._memory = memory

    def concerns(self, operation: str) -> bool:
        """Return whether `operation` is the update of a partner."""
        return operation == UPDATE_OPERATION

    def defers(self, session: Session, operation: str, tenant: Any) -> bool:
        """Return False: the counter is updated within the transaction."""
        return False

    def require_ready(self, session: Session, operation: str, tenant: Any) -> None:
        """Do nothing: quotas have no work in progress."""

    def __call__(self, session: Session, change: Any) -> None:
        """Set the partner's quota if `max_tenants` has changed."""
        before = change.before.max_tenants if change.before else None
        if change.after.max_tenants != before:
            set_partner_quota(session, change.after.partner_id, change.after.max_tenants, self._memory)
