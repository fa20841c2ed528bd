"""Create many tenants of one partner with one statement, with the same result as creating them one by one.

A fast path for hosts without hooks and steps on a creation (`Storage.reactions_to`). Rows are rendered to JSON once,
for the tenant's columns and for the event's data. A test holds both equal to single creations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from json.encoder import encode_basestring as quote
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
from .models import DOCUMENT_FIELDS, WRITABLE, Tenant, Values, build_tenant, render_tenant_document
from .mutations import find_holders, make_conflict, request_invitations
from .quotas import Allowance, RemainingPlaces

#: The columns that differ from tenant to tenant. The event's `id` and `data` are passed as `event_id` and `data`.
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
    """Create a tenant with its event for each of `values`. Return, in the same order, the tenant or its problem.

    `at` is the time of creation, by default now; `event_ids` are the ids of the events, by default new ones. Quotas are
    enforced by the allowance's `places`. Problems are `TenantExists`, `LicenseExpired`, `PlanNotAllowed` and
    `QuotaExceeded`. Raises `TooFewPlaces` if more places must be reserved first.
    """
    try:
        allowance.license.require_provisioning()
    except LicenseExpired as error:
        return [error] * len(values)
    places = allowance.places or RemainingPlaces()
    pending = NewTenantWriter(session.storage, actor, partner, at).render_all(values, event_ids)
    outcomes = _refuse_plans(session, pending, allowance)
    pending = [new for new in pending if new.position not in outcomes]
    while pending:
        try:
            places.require_place()
        except QuotaExceeded as error:
            outcomes |= dict.fromkeys((new.position for new in pending), error)
            break
        batch = _take_distinct(pending)[: places.left]
        inserted = session.storage.once(BulkInsertSQL).insert(session, partner, batch)
        places.use(len(inserted))
        outcomes |= {new.position: new.tenant for new in batch if new.tenant.id in inserted}
        outcomes |= _explain_refusals(session, partner, [new for new in batch if new.tenant.id not in inserted])
        session.events.extend(new.event for new in batch if new.tenant.id in inserted)
        created = ((new.tenant, values[new.position]) for new in batch if new.tenant.id in inserted)
        request_invitations(session, actor, created)
        pending = pending[len(batch) :]
    return [outcomes[position] for position in range(len(values))]


def has_duplicates(values: Sequence[Values]) -> bool:
    """Return whether two of `values` have the same email or the same external id."""
    emails = {row["email_key"] for row in values}
    external_ids = [row["external_id"] for row in values if row.get("external_id") is not None]
    return len(emails) < len(values) or len(set(external_ids)) < len(external_ids)


def _take_distinct(tenants: Sequence[NewTenant]) -> Sequence[NewTenant]:
    """Return the longest run from the start in which no two tenants share a unique key."""
    seen = set[tuple[str, str]]()
    for count, new in enumerate(tenants):
        keys = set(new.unique_keys())
        if keys & seen:
            return tenants[:count]
        seen |= keys
    return tenants


def _explain_refusals(session: Session, partner: str, refused: Sequence[NewTenant]) -> dict[int, CreateOutcome]:
    """Return the `TenantExists` of each tenant that was not inserted, by index. Raises `StaleRead`."""
    if not refused:
        return {}
    keys = [key for new in refused for key in new.unique_keys()]
    holders = find_holders(session, partner, keys)
    outcomes: dict[int, CreateOutcome] = {}
    for new in refused:
        key = next((key for key in new.unique_keys() if key in holders), None)
        if key is None:
            raise StaleRead("the holder is gone")
        outcomes[new.position] = make_conflict(key[0], holders[key])
    return outcomes


def _refuse_plans(session: Session, tenants: Sequence[NewTenant], allowance: Allowance) -> dict[int, CreateOutcome]:
    """Return the `PlanNotAllowed` of each tenant whose plan the partner may not use, by index."""
    if allowance.partner_with_plans is None:
        return {}
    allowed = plans.load_allowed_plans(session, allowance.partner_with_plans)
    problems = ((new.position, plans.find_plan_problem(new.tenant.plan, allowed)) for new in tenants)
    return {position: problem for position, problem in problems if problem is not None}


class BulkInsertSQL(SQL):
    """Insert tenants and their events from one JSON parameter: one statement on PostgreSQL, two on SQLite."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self._tenants, self._events = storage.table("tenants"), storage.table("events")
        self._is_nested = self._dialect.name == "postgresql"
        t, e = self._tenants.c, self._events.c
        types = {name: t[name].type for name in _ROW_COLUMNS} | {"event_id": e.id.type, "data": e.data.type}
        self._incoming: Any = select_incoming(self._dialect, **types)
        if self._is_nested:
            self._nested_insert = self._compile(self._build_nested_insert())
        else:
            tenants = self._insert_rows(sqlite.insert(self._tenants), self._make_tenant_columns(self._incoming.c))
            self._insert_tenants = self._compile(tenants.on_conflict_do_nothing())
            self._insert_events = self._compile(
                self._insert_rows(self._events.insert(), self._make_event_columns(self._incoming.c))
            )
            inserted = select(t.id).where(
                t.partner_id == self._bind("partner_id"), t.id.in_(select(self._incoming.c.id))
            )
            self._inserted_ids = self._compile(inserted)

    def insert(self, session: Session, partner: str, batch: Sequence[NewTenant]) -> set[str]:
        """Insert the tenants of `batch` whose unique keys are free, with their events. Return their ids."""
        first = batch[0]
        shared = {name: first.event[name] for name in SHARED_COLUMNS}
        shared |= {"partner_id": partner, "at": first.tenant.created_at}
        if self._is_nested:
            return {id for (id,) in session.run(self._nested_insert, {**shared, "rows": _join_rows(batch)}).fetchall()}
        inserted = {new.tenant.id for new in batch}
        if session.run(self._insert_tenants, {**shared, "rows": _join_rows(batch)}).rowcount < len(batch):
            cursor = session.run(self._inserted_ids, {"partner_id": partner, "rows": _join_rows(batch)})
            inserted = {id for (id,) in cursor.fetchall()}
        rows = _join_rows(new for new in batch if new.tenant.id in inserted)
        session.run(self._insert_events, {**shared, "rows": rows})
        return inserted

    def _build_nested_insert(self) -> Any:
        incoming = select(*self._incoming.c).cte("new_rows")
        tenants = self._insert_rows(postgresql.insert(self._tenants), self._make_tenant_columns(incoming.c), incoming)
        ids = tenants.on_conflict_do_nothing().returning(self._tenants.c.id).cte("new_ids")
        source = incoming.join(ids, ids.c.id == incoming.c.id)
        events = self._insert_rows(self._events.insert(), self._make_event_columns(incoming.c), source)
        return select(events.returning(self._events.c.tenant_id).cte("inserted_events").c.tenant_id)

    def _insert_rows(self, insert: Any, values: dict[str, Any], source: Any = None) -> Any:
        rows = select(*values.values())
        rows = rows.where(true()) if source is None else rows.select_from(source)
        return insert.from_select(list(values), rows)

    def _make_tenant_columns(self, incoming: Any) -> dict[str, Any]:
        t = self._tenants.c
        at, number = self._bind("at", t.created_at), literal(1, Integer)
        shared = {"partner_id": self._bind("partner_id"), "created_at": at, "updated_at": at, "version": number}
        shared |= {"status": literal("active"), "live": literal(1, SmallInteger)}
        return {name: incoming[name] for name in _ROW_COLUMNS} | shared

    def _make_event_columns(self, incoming: Any) -> dict[str, Any]:
        e = self._events.c
        columns = {"id": incoming.event_id, "tenant_id": incoming.id, "data": incoming.data}
        shared = {name: self._bind(name, e[name]) for name in SHARED_COLUMNS}
        return columns | shared | {"partner_id": self._bind("partner_id"), "timestamp": self._bind("at", e.timestamp)}

    def _bind(self, name: str, column: Any = None) -> Any:
        return bindparam(name, type_=self._tenants.c.partner_id.type if column is None else column.type)


def _join_rows(batch: Iterable[NewTenant]) -> str:
    return f"[{','.join(new.row for new in batch)}]"


class NewTenant(NamedTuple):
    """A tenant to insert, with its event; `position` is its index in the input.

    `row` is the JSON object for `select_incoming`: the tenant's columns of `_ROW_COLUMNS`, and the event's `event_id`
    and `data`.
    """

    position: int
    tenant: Tenant
    email_key: str
    event: dict[str, Any]
    row: str

    def unique_keys(self) -> Iterator[tuple[str, str]]:
        """Iterate over the tenant's unique keys: the email, then the external id if it has one."""
        yield "email", self.email_key
        if self.tenant.external_id is not None:
            yield "external_id", self.tenant.external_id


#: The writable columns without the metadata: all of them strings, and adjacent in `Tenant`.
_TEXT_COLUMNS = WRITABLE[:-1]
_FIRST_TEXT = Tenant._fields.index(_TEXT_COLUMNS[0])
_TEXT_SLICE = slice(_FIRST_TEXT, _FIRST_TEXT + len(_TEXT_COLUMNS))
_TEXT_TEMPLATE = "".join(f'"{name}":%s,' for name in _TEXT_COLUMNS)


class NewTenantWriter:
    """Render new tenants of one partner, created by one actor at one instant (by default now)."""

    def __init__(self, storage: Storage, actor: Actor, partner: str, at: str | None = None) -> None:
        self._storage, self._partner, self._custom_fields = storage, partner, storage.registry.fields
        self._at = at or format_instant(storage.clock())
        self._event = build_event(storage, actor, "tenant.created", partner, {}, self._at)
        sample = render_tenant_document(
            build_tenant("", partner, {"client_name": "", "email": ""}, self._at, "active"), None
        )
        shared = dump_json(
            {name: sample[name] for name in DOCUMENT_FIELDS if name not in ("tenant", "partner", *WRITABLE)}
        )
        self._beginning, self._end = f'"partner":{quote(partner)}', shared[1:-1]

    def render_all(self, values: Sequence[Values], event_ids: Sequence[str] | None = None) -> list[NewTenant]:
        """Return a new tenant for each of `values`, with new ids. The events get `event_ids`, by default new ones."""
        ids = self._storage.make_ids(2 * len(values))
        tenants, events = ids[::2], ids[1::2] if event_ids is None else event_ids
        return [self._render(index, *parts) for index, parts in enumerate(zip(values, tenants, events, strict=True))]

    def _render(self, index: int, values: Values, tenant_id: str, event_id: str) -> NewTenant:
        tenant = build_tenant(tenant_id, self._partner, values, self._at, "active")
        columns: tuple[Any, ...] = tenant
        members = f'{_TEXT_TEMPLATE % tuple(map(_quote_or_null, columns[_TEXT_SLICE]))}"metadata":{tenant.metadata}'
        data = f'{{"tenant":"{tenant_id}",{self._beginning},{members},{self._end}{self._render_custom_fields(values)}}}'
        row = (
            f'{{"id":"{tenant_id}","event_id":"{event_id}","email_key":{quote(values["email_key"])},'
            f'"name_key":{quote(values["name_key"])},{members},"fields":{tenant.fields or "null"},"data":{data}}}'
        )
        event = {**self._event, "id": event_id, "tenant_id": tenant_id, "data": data}
        return NewTenant(index, tenant, values["email_key"], event, row)

    def _render_custom_fields(self, values: Values) -> str:
        """Render the host's custom fields as JSON members, each with a leading comma."""
        if self._custom_fields is None:
            return ""
        return "".join(f",{quote(name)}:{dump_json(values['fields'].get(name))}" for name in self._custom_fields.fields)


def _quote_or_null(value: str | None) -> str:
    return "null" if value is None else quote(value)
