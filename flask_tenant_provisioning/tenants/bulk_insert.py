"""Create many tenants of one partner at once, as if one after the other: one statement for all of them.

A fast path for hosts without hooks and steps on a creation (`Storage.has_reaction`). Rows are rendered to JSON once,
for the tenant's column and for the event's data. A test holds both equal to single creations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from json.encoder import encode_basestring as quoted
from typing import Any, NamedTuple

from sqlalchemy import Integer, SmallInteger, bindparam, literal, select, true
from sqlalchemy.dialects import postgresql, sqlite

from ..access.principal import Actor
from ..database.errors import StaleRead
from ..database.ids import format_instant
from ..database.session import Session, Storage
from ..database.statements import SQL, select_incoming
from ..encoding import dump_json
from ..errors import LicenseExpired, ProvisioningError, QuotaExceeded
from ..events.actions import build_event
from ..events.models import SHARED_COLUMNS
from . import plans
from .actions import EMPTY_VALUES, Values, build_tenant
from .models import DOCUMENT_FIELDS, WRITABLE, Tenant
from .mutations import find_holders, make_conflict
from .quotas import Allowance, RemainingPlaces

#: What differs from tenant to tenant; `data` is the event's, under the id `event_id`.
_ROW_COLUMNS = (
    "id", "external_id", "client_name", "name_key", "email", "email_key", "phone_number", "industry", "plan",
    "metadata", "fields",
)  # fmt: skip
CreateOutcome = Tenant | ProvisioningError


def create_many(
    session: Session,
    actor: Actor,
    partner: str,
    values: Sequence[Values],
    allowance: Allowance,
    at: str | None = None,
    event_ids: Sequence[str] | None = None,
) -> list[CreateOutcome]:
    """Create a tenant of each of `values` in their order, with its event; of each that cannot be, return its problem.

    `at` is when that is, now unless it is given, and `event_ids` are those of the events. The limits are those of the
    allowance's `room`. The problems are `TenantExists`, `LicenseExpired`, `PlanNotAllowed` and `QuotaExceeded`. Raises
    `TooFewPlaces`.
    """
    try:
        allowance.license.require_provisioning()
    except LicenseExpired as error:
        return [error] * len(values)
    room = allowance.room or RemainingPlaces()
    wanted = NewTenantWriter(session.storage, actor, partner, at).wanted(values, event_ids)
    found = _refuse_plans(session, wanted, allowance)
    wanted = [one for one in wanted if one.place not in found]
    while wanted:
        try:
            room.require()
        except QuotaExceeded as error:
            found |= dict.fromkeys((one.place for one in wanted), error)
            break
        batch = _take_distinct(wanted)[: room.left]
        made = _insert_batch(session, partner, batch)
        room.take(len(made))
        found |= {one.place: one.tenant for one in batch if one.tenant.id in made}
        found |= _explain_refusals(session, partner, [one for one in batch if one.tenant.id not in made])
        session.events.extend(one.event for one in batch if one.tenant.id in made)
        wanted = wanted[len(batch) :]
    return [found[place] for place in range(len(values))]


def has_duplicates(values: Sequence[Values]) -> bool:
    """Look for two of `values` that want the same email or the same external id."""
    emails = {one["email_key"] for one in values}
    external_ids = [one["external_id"] for one in values if one.get("external_id") is not None]
    return len(emails) < len(values) or len(set(external_ids)) < len(external_ids)


def _take_distinct(wanted: Sequence[NewTenant]) -> Sequence[NewTenant]:
    """As many of the first as want nothing that another of them wants too."""
    seen = set[tuple[str, str]]()
    for count, one in enumerate(wanted):
        keys = set(one.claims())
        if keys & seen:
            return wanted[:count]
        seen |= keys
    return wanted


def _insert_batch(session: Session, partner: str, batch: Sequence[NewTenant]) -> set[str]:
    """Insert what no unique key refuses, with its events; returns the ids."""
    if not batch:
        return set()
    return session.storage.once(BulkInsertSQL).insert(session, partner, batch)


def _explain_refusals(session: Session, partner: str, refused: Sequence[NewTenant]) -> dict[int, CreateOutcome]:
    """What each of these meets: somebody has its email or external id."""
    if not refused:
        return {}
    keys = [key for one in refused for key in one.claims()]
    held = find_holders(session, partner, keys)
    found: dict[int, CreateOutcome] = {}
    for one in refused:
        key = next((key for key in one.claims() if key in held), None)
        if key is None:
            raise StaleRead("the holder is gone")
        found[one.place] = make_conflict(key[0], held[key])
    return found


def _refuse_plans(session: Session, wanted: Sequence[NewTenant], allowance: Allowance) -> dict[int, CreateOutcome]:
    """What those meet that want a plan on which the partner may not put them."""
    if allowance.plans_of is None:
        return {}
    names = plans.load_allowed_plans(session, allowance.plans_of)
    met = ((one.place, plans.find_plan_problem(one.tenant.plan, names)) for one in wanted)
    return {place: problem for place, problem in met if problem is not None}


class BulkInsertSQL(SQL):
    """Tenants and their events out of one parameter: one statement where the database nests INSERTs, else two."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self._tenants, self._events = storage.table("tenants"), storage.table("events")
        self._nests = self._dialect.name == "postgresql"
        t, e = self._tenants.c, self._events.c
        kinds = {name: t[name].type for name in _ROW_COLUMNS} | {"event_id": e.id.type, "data": e.data.type}
        self._given: Any = select_incoming(self._dialect, **kinds)
        if self._nests:
            self._both = self._compile(self._nested())
        else:
            self._first = self._compile(self._rows(sqlite.insert(self._tenants), self._tenant(self._given.c)))
            self._second = self._compile(self._rows(self._events.insert(), self._event(self._given.c), bare=True))
            found = select(t.id).where(t.partner_id == self._bound("partner_id"), t.id.in_(select(self._given.c.id)))
            self._made = self._compile(found)

    def insert(self, session: Session, partner: str, batch: Sequence[NewTenant]) -> set[str]:
        """Insert those of `batch` that no unique key refuses, and their events; returns their ids."""
        one = batch[0]
        same = {name: one.event[name] for name in SHARED_COLUMNS} | {"partner_id": partner, "at": one.tenant.created_at}
        if self._nests:
            return {id for (id,) in session.run(self._both, {**same, "rows": _join_rows(batch)}).fetchall()}
        made = {one.tenant.id for one in batch}
        if session.run(self._first, {**same, "rows": _join_rows(batch)}).rowcount < len(batch):
            found = session.run(self._made, {"partner_id": partner, "rows": _join_rows(batch)})
            made = {id for (id,) in found.fetchall()}
        session.run(self._second, {**same, "rows": _join_rows(one for one in batch if one.tenant.id in made)})
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
            {name: given[name] for name in _ROW_COLUMNS}
            | same
            | {"status": literal("active"), "live": literal(1, SmallInteger)}
        )

    def _event(self, given: Any) -> dict[str, Any]:
        e = self._events.c
        own = {"id": given.event_id, "tenant_id": given.id, "data": given.data}
        same = {name: self._bound(name, e[name]) for name in SHARED_COLUMNS}
        return own | same | {"partner_id": self._bound("partner_id"), "timestamp": self._bound("at", e.timestamp)}

    def _bound(self, name: str, like: Any = None) -> Any:
        return bindparam(name, type_=self._tenants.c.partner_id.type if like is None else like.type)


def _join_rows(batch: Iterable[NewTenant]) -> str:
    return f"[{','.join(one.row for one in batch)}]"


class NewTenant(NamedTuple):
    """A tenant that is to be made, at its `place` among all that are wanted, with its event.

    `row` holds both as `incoming` wants them: the columns of the tenant that differ from row to row, and of the event
    its `event_id` and `data`.
    """

    place: int
    tenant: Tenant
    email_key: str
    event: dict[str, Any]
    row: str

    def claims(self) -> Iterator[tuple[str, str]]:
        """What no other living tenant may have, by field: the email before the external id."""
        yield "email", self.email_key
        if self.tenant.external_id is not None:
            yield "external_id", self.tenant.external_id


#: What a client writes but the metadata: all of it texts, one after the other in a `Tenant`.
_TEXT_COLUMNS = WRITABLE[:-1]
_FIRST_TEXT = Tenant._fields.index(_TEXT_COLUMNS[0])
_TEXT_SLICE = slice(_FIRST_TEXT, _FIRST_TEXT + len(_TEXT_COLUMNS))
_TEXT_TEMPLATE = "".join(f'"{name}":%s,' for name in _TEXT_COLUMNS)


class NewTenantWriter:
    """Writes tenants that come into being at one instant, now unless it is given, of one partner and by one actor."""

    def __init__(self, storage: Storage, actor: Actor, partner: str, at: str | None = None) -> None:
        self._storage, self._partner, self._own = storage, partner, storage.hooks.fields
        self._at = at or format_instant(storage.clock())
        self._event = build_event(storage, actor, "tenant.created", partner, {}, self._at)
        nobody = build_tenant(
            "", partner, {**EMPTY_VALUES, "client_name": "", "email": ""}, self._at, "active"
        ).document(None)
        alike = dump_json(
            {name: nobody[name] for name in DOCUMENT_FIELDS if name not in ("tenant", "partner", *WRITABLE)}
        )
        self._beginning, self._end = f'"partner":{quoted(partner)}', alike[1:-1]

    def wanted(self, values: Sequence[Values], event_ids: Sequence[str] | None = None) -> list[NewTenant]:
        """A tenant of each of these valid values, under new identifiers; the events' are `event_ids` where given."""
        ids = self._storage.make_ids(2 * len(values))
        tenants, events = ids[::2], ids[1::2] if event_ids is None else event_ids
        return [self._wanted(place, *one) for place, one in enumerate(zip(values, tenants, events, strict=True))]

    def _wanted(self, place: int, values: Values, tenant_id: str, event_id: str) -> NewTenant:
        tenant = build_tenant(tenant_id, self._partner, {**EMPTY_VALUES, **values}, self._at, "active")
        columns: tuple[Any, ...] = tenant
        written = f'{_TEXT_TEMPLATE % tuple(map(_quote_or_null, columns[_TEXT_SLICE]))}"metadata":{tenant.metadata}'
        data = f'{{"tenant":"{tenant_id}",{self._beginning},{written},{self._end}{self._render_custom_fields(values)}}}'
        row = (
            f'{{"id":"{tenant_id}","event_id":"{event_id}","email_key":{quoted(values["email_key"])},'
            f'"name_key":{quoted(values["name_key"])},{written},"fields":{tenant.fields or "null"},"data":{data}}}'
        )
        happened = {**self._event, "id": event_id, "tenant_id": tenant_id, "data": data}
        return NewTenant(place, tenant, values["email_key"], happened, row)

    def _render_custom_fields(self, values: Values) -> str:
        """The host's own fields, behind everybody's."""
        if self._own is None:
            return ""
        return "".join(f",{quoted(name)}:{dump_json(values['fields'].get(name))}" for name in self._own.fields)


def _quote_or_null(value: str | None) -> str:
    return "null" if value is None else quoted(value)
