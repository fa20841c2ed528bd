"""Create many tenants of one partner at once, as if one after the other: a statement for all of them, not for each.

Only where nobody else takes part in a creation (`Storage.reacts`): hooks and steps are asked tenant by tenant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Integer, SmallInteger, bindparam, literal, select, true
from sqlalchemy.dialects import postgresql, sqlite

from ..access import Actor
from ..database import SQL, Outdated, Session, Storage, incoming
from ..events.models import COMMON
from ..problems import LicenseExpired, ProvisioningError, QuotaExceeded
from . import plans
from .actions import Values
from .conflicts import holders, taken
from .models import Tenant
from .room import Room
from .usage import Allowance
from .writing import Wanted, Writer

#: What differs from tenant to tenant; `data` is the event's, under the id `event_id`.
_OWN = (
    "id", "external_id", "client_name", "name_key", "email", "email_key", "phone_number", "industry", "plan",
    "metadata", "fields",
)  # fmt: skip

Made = Tenant | ProvisioningError


def create_many(
    session: Session,
    actor: Actor,
    partner: str,
    values: Sequence[Values],
    allowance: Allowance,
    at: str | None = None,
    event_ids: Sequence[str] | None = None,
) -> list[Made]:
    """Create a tenant of each of `values` in their order, with its event; of each that cannot be, return its problem.

    `at` is when that is, now unless it is given, and `event_ids` are those of the events. The limits are those of the
    allowance's `room`. The problems are `TenantExists`, `LicenseExpired`, `PlanNotAllowed` and `QuotaExceeded`. Raises
    `TooFewPlaces`.
    """
    try:
        allowance.license.require_provisioning()
    except LicenseExpired as error:
        return [error] * len(values)
    room = allowance.room or Room()
    wanted = Writer(session.storage, actor, partner, at).wanted(values, event_ids)
    found = _on_other_plans(session, wanted, allowance)
    wanted = [one for one in wanted if one.place not in found]
    while wanted:
        try:
            room.require()
        except QuotaExceeded as error:
            found |= dict.fromkeys((one.place for one in wanted), error)
            break
        batch = _beginning(wanted)[: room.left]
        made = _inserted(session, partner, batch)
        room.take(len(made))
        found |= {one.place: one.tenant for one in batch if one.tenant.id in made}
        found |= _refused(session, partner, [one for one in batch if one.tenant.id not in made])
        session.recorded.extend(one.event for one in batch if one.tenant.id in made)
        wanted = wanted[len(batch) :]
    return [found[place] for place in range(len(values))]


def has_repeats(values: Sequence[Values]) -> bool:
    """Look for two of `values` that want the same email or the same external id."""
    emails = {one["email_key"] for one in values}
    external_ids = [one["external_id"] for one in values if one.get("external_id") is not None]
    return len(emails) < len(values) or len(set(external_ids)) < len(external_ids)


def _beginning(wanted: Sequence[Wanted]) -> Sequence[Wanted]:
    """As many of the first as want nothing that another of them wants too."""
    seen = set[tuple[str, str]]()
    for count, one in enumerate(wanted):
        keys = set(one.claims())
        if keys & seen:
            return wanted[:count]
        seen |= keys
    return wanted


def _inserted(session: Session, partner: str, batch: Sequence[Wanted]) -> set[str]:
    """Insert what no unique key refuses, with its events; returns the ids."""
    if not batch:
        return set()
    return session.storage.once(ManySQL).insert(session, partner, batch)


def _refused(session: Session, partner: str, refused: Sequence[Wanted]) -> dict[int, Made]:
    """What each of these meets: somebody has its email or external id."""
    if not refused:
        return {}
    keys = [key for one in refused for key in one.claims()]
    held = holders(session, partner, keys)
    found: dict[int, Made] = {}
    for one in refused:
        key = next((key for key in one.claims() if key in held), None)
        if key is None:
            raise Outdated("the holder is gone")
        found[one.place] = taken(key[0], held[key])
    return found


def _on_other_plans(session: Session, wanted: Sequence[Wanted], allowance: Allowance) -> dict[int, Made]:
    """What those meet that want a plan on which the partner may not put them."""
    if allowance.plans_of is None:
        return {}
    names = plans.allowed(session, allowance.plans_of)
    met = ((one.place, plans.refusal(one.tenant.plan, names)) for one in wanted)
    return {place: problem for place, problem in met if problem is not None}


class ManySQL(SQL):
    """Tenants and their events out of one parameter: one statement where the database nests INSERTs, else two."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self._tenants, self._events = storage.table("tenants"), storage.table("events")
        self._nests = self._dialect.name == "postgresql"
        t, e = self._tenants.c, self._events.c
        kinds = {name: t[name].type for name in _OWN} | {"event_id": e.id.type, "data": e.data.type}
        self._given: Any = incoming(self._dialect, **kinds)
        if self._nests:
            self._both = self._compiled(self._nested())
        else:
            self._first = self._compiled(self._rows(sqlite.insert(self._tenants), self._tenant(self._given.c)))
            self._second = self._compiled(self._rows(self._events.insert(), self._event(self._given.c), bare=True))
            found = select(t.id).where(t.partner_id == self._bound("partner_id"), t.id.in_(select(self._given.c.id)))
            self._made = self._compiled(found)

    def insert(self, session: Session, partner: str, batch: Sequence[Wanted]) -> set[str]:
        """Insert those of `batch` that no unique key refuses, and their events; returns their ids."""
        one = batch[0]
        same = {name: one.event[name] for name in COMMON} | {"partner_id": partner, "at": one.tenant.created_at}
        if self._nests:
            return {id for (id,) in session.run(self._both, {**same, "rows": _rows(batch)}).fetchall()}
        made = {one.tenant.id for one in batch}
        if session.run(self._first, {**same, "rows": _rows(batch)}).rowcount < len(batch):
            found = session.run(self._made, {"partner_id": partner, "rows": _rows(batch)})
            made = {id for (id,) in found.fetchall()}
        session.run(self._second, {**same, "rows": _rows(one for one in batch if one.tenant.id in made)})
        return made

    def _nested(self) -> Any:
        given = select(*self._given.c).cte("given")
        made = self._rows(postgresql.insert(self._tenants), self._tenant(given.c), given)
        ids = made.returning(self._tenants.c.id).cte("made")
        source = given.join(ids, ids.c.id == given.c.id)
        told = self._rows(self._events.insert(), self._event(given.c), source, bare=True)
        return select(told.returning(self._events.c.tenant_id).cte("told").c.tenant_id)

    def _rows(self, insert: Any, values: dict[str, Any], source: Any = None, *, bare: bool = False) -> Any:
        rows = select(*values.values())
        rows = rows.where(true()) if source is None else rows.select_from(source)
        found = insert.from_select(list(values), rows)
        return found if bare else found.on_conflict_do_nothing()

    def _tenant(self, given: Any) -> dict[str, Any]:
        t = self._tenants.c
        at, number = self._bound("at", t.created_at), literal(1, Integer)
        same = {"partner_id": self._bound("partner_id"), "created_at": at, "updated_at": at, "version": number}
        return (
            {name: given[name] for name in _OWN}
            | same
            | {"status": literal("active"), "live": literal(1, SmallInteger)}
        )

    def _event(self, given: Any) -> dict[str, Any]:
        e = self._events.c
        own = {"id": given.event_id, "tenant_id": given.id, "data": given.data}
        same = {name: self._bound(name, e[name]) for name in COMMON}
        return own | same | {"partner_id": self._bound("partner_id"), "timestamp": self._bound("at", e.timestamp)}

    def _bound(self, name: str, like: Any = None) -> Any:
        return bindparam(name, type_=self._tenants.c.partner_id.type if like is None else like.type)


def _rows(batch: Iterable[Wanted]) -> str:
    return f"[{','.join(one.row for one in batch)}]"
