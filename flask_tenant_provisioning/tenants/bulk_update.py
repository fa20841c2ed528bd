"""Update many tenants of one partner at once: lock a snapshot, decide each row on it, write rows and events together.

Each decision is applied to the snapshot, so that the next row sees the state that the rows before it leave.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, select

from ..access.principal import Actor
from ..database.errors import StaleRead, UniqueViolation
from ..database.session import Session, Storage
from ..database.statements import SQL, encode_rows, name_new_values, select_incoming
from ..encoding import dump_json
from ..events.models import SHARED_COLUMNS
from .models import Tenant
from .mutations import (
    Transition,
    UniqueKey,
    build_change_event,
    collect_unique_keys,
    is_retention_over,
    run_reactions,
)
from .statements import TenantSQL


class SnapshotEntry:
    """One tenant of a snapshot, with the unique keys that it holds."""

    __slots__ = ("tenant", "unique_keys")

    def __init__(self, tenant: Tenant, unique_keys: Mapping[str, str]) -> None:
        self.tenant = tenant
        self.unique_keys = unique_keys


class Snapshot:
    """Locked tenants, found by id or, while they are not deleted, by unique key."""

    def __init__(self, tenants: Iterable[SnapshotEntry]) -> None:
        self._by_id: dict[str, SnapshotEntry] = {}
        self._holders: dict[UniqueKey, SnapshotEntry] = {}
        for entry in tenants:
            self._by_id[entry.tenant.id] = entry
            self.add(entry)

    def list_ids(self) -> Iterable[str]:
        """Return the ids of all tenants."""
        return self._by_id

    def find(self, tenant_id: str) -> SnapshotEntry | None:
        """Return the tenant with this id in any status, or None."""
        return self._by_id.get(tenant_id)

    def find_holder(self, key: UniqueKey) -> SnapshotEntry | None:
        """Return the living tenant that holds this unique key, or None."""
        return self._holders.get(key)

    def add(self, entry: SnapshotEntry) -> None:
        """Register the unique keys of a tenant as held by it."""
        self._holders.update(dict.fromkeys(entry.unique_keys.items(), entry))

    def apply(self, entry: SnapshotEntry, transition: Transition) -> set[UniqueKey]:
        """Apply a transition to a tenant. Return the unique keys that become free."""
        before = set(entry.unique_keys.items())
        for key in before:
            del self._holders[key]
        entry.tenant = transition.after
        entry.unique_keys = _collect_held_keys(
            transition.after, {**entry.unique_keys, **dict(transition.unique_keys())}.get("email", "")
        )
        self.add(entry)
        return before - set(entry.unique_keys.items())


def lock_snapshot(session: Session, partner: str, identifiers: Iterable[Mapping[str, str | None]]) -> Snapshot:
    """Lock the tenants of `partner` that `identifiers` refer to, and return them.

    Each of `identifiers` has an `id`, an `external_id` or an `email_key`. Tenants past their retention are left out.
    """
    values = {"partner_id": partner, "rows": encode_rows(identifiers)}
    tenants = []
    for *row, email_key, is_living in session.run(session.storage.once(TenantSQL).lock_many, values).fetchall():
        tenant = Tenant._make(row)
        if not is_retention_over(session.storage, tenant):
            tenants.append(SnapshotEntry(tenant, _collect_held_keys(tenant, email_key) if is_living else {}))
    return Snapshot(tenants)


def make_snapshot_entry(tenant: Tenant, email_key: str) -> SnapshotEntry:
    """Wrap a tenant that is new to a snapshot."""
    return SnapshotEntry(tenant, _collect_held_keys(tenant, email_key))


def _collect_held_keys(tenant: Tenant, email_key: str) -> dict[str, str]:
    """Return the unique keys that the tenant holds, by field; none for a deleted tenant."""
    return {} if tenant.status == "deleted" else collect_unique_keys(tenant, email_key)


#: Columns whose values are JSON text already.
_JSON_COLUMNS = ("data", "changes")


def update_many(
    session: Session,
    actor: Actor,
    partner: str,
    transitions: Sequence[Transition],
    at: str,
    event_ids: Sequence[str],
) -> None:
    """Write `transitions`, all of one type, at the instant `at`, each with an event that gets one of `event_ids`.

    The caller updates the quota counters for deletions. Raises `StaleRead` if another transaction changed a tenant.
    """
    if not transitions:
        return
    storage, event_type = session.storage, transitions[0].event_type
    advanced = [_advance_version(storage, transition, at) for transition in transitions]
    _write_rows(session, partner, transitions, advanced)
    events = [
        build_change_event(storage, actor, event_type, transition.before, transition.after, transition.after.updated_at)
        | {"id": event_id}
        for transition, event_id in zip(advanced, event_ids, strict=True)
    ]
    storage.once(InsertEventsSQL).insert(session, partner, events)
    session.events.extend(events)
    for transition in advanced:
        run_reactions(session, actor, event_type, transition.before, transition.after)


def _advance_version(storage: Storage, transition: Transition, at: str) -> Transition:
    """Return the transition with the tenant's next version and update time."""
    after = transition.after._replace(
        version=transition.before.version + 1, updated_at=storage.next_timestamp(transition.before.updated_at, at)
    )
    return transition._replace(after=after)


def _write_rows(
    session: Session, partner: str, transitions: Sequence[Transition], advanced: Sequence[Transition]
) -> None:
    """Write the changed columns: one round trip per set of columns.

    A join with the rows would be a single statement, but PostgreSQL has no statistics of the rows to plan it with.
    """
    rows_by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for transition, next_version in zip(transitions, advanced, strict=True):
        values = name_new_values(transition.columns)
        where = {"partner_id": partner, "id": transition.before.id, "expected": transition.before.version}
        rows_by_columns[tuple(transition.columns)].append(
            {**where, **values, "new_updated_at": next_version.after.updated_at}
        )
    sql = session.storage.once(TenantSQL)
    try:
        for columns, rows in rows_by_columns.items():
            session.run_many(sql.change(columns), rows)
    except UniqueViolation as violation:
        raise StaleRead("another transaction took a unique key") from violation


class InsertEventsSQL(SQL):
    """The statement of one storage that writes the events of many tenants."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self._events = storage.table("events")
        self._insert_events = self._compile(self._build_insert())

    def insert(self, session: Session, partner: str, events: Sequence[Mapping[str, Any]]) -> None:
        """Insert events that share all of `SHARED_COLUMNS`."""
        columns = ("id", "tenant_id", "timestamp", "data", "changes")
        common = {name: events[0][name] for name in SHARED_COLUMNS}
        rows = _render_rows({name: event[name] for name in columns} for event in events)
        session.run(self._insert_events, {**common, "partner_id": partner, "rows": rows})

    def _build_insert(self) -> Any:
        e = self._events.c
        columns = ("id", "tenant_id", "timestamp", "data", "changes")
        incoming = select_incoming(self._dialect, **{name: e[name].type for name in columns}).c
        common = {name: bindparam(name, type_=e[name].type) for name in ("partner_id", *SHARED_COLUMNS)}
        values = {**{name: incoming[name] for name in columns}, **common}
        return self._events.insert().from_select(list(values), select(*values.values()))


def _render_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """Encode rows for `select_incoming`; the values of `_JSON_COLUMNS` are inserted as they are."""
    return f"[{','.join(map(_render_row, rows))}]"


def _render_row(row: Mapping[str, Any]) -> str:
    encoded = dump_json({name: value for name, value in row.items() if name not in _JSON_COLUMNS})
    documents = (f',"{name}":{row[name] or "null"}' for name in _JSON_COLUMNS if name in row)
    return f"{encoded[:-1]}{''.join(documents)}}}"
