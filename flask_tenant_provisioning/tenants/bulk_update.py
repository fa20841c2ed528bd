"""Update many tenants of one partner at once: lock a snapshot, decide each row on it, write rows and events together.

The snapshot holds what each next row would find if the rows before were already written.
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
    OPERATION_OF_EVENT,
    Transition,
    UniqueKey,
    build_change_event,
    is_retention_over,
    next_timestamp,
    run_reactions,
)
from .statements import TenantSQL


class KnownTenant:
    """One tenant, and what it alone may hold while it lives."""

    __slots__ = ("claims", "tenant")

    def __init__(self, tenant: Tenant, claims: Mapping[str, str]) -> None:
        self.tenant = tenant
        self.claims = claims


class Snapshot:
    """Those tenants, each found by its id while it is there, and by what it holds while it lives."""

    def __init__(self, found: Iterable[KnownTenant]) -> None:
        self._by_id: dict[str, KnownTenant] = {}
        self._holders: dict[UniqueKey, KnownTenant] = {}
        for known in found:
            self._by_id[known.tenant.id] = known
            self.add(known)

    def ids(self) -> Iterable[str]:
        """The ids of all that are there."""
        return self._by_id

    def find(self, tenant_id: str) -> KnownTenant | None:
        """The tenant with this id, whatever its state is."""
        return self._by_id.get(tenant_id)

    def holder(self, claim: UniqueKey) -> KnownTenant | None:
        """The living tenant that holds this."""
        return self._holders.get(claim)

    def add(self, known: KnownTenant) -> None:
        """Let a tenant hold what it claims."""
        self._holders.update(dict.fromkeys(known.claims.items(), known))

    def change(self, known: KnownTenant, transition: Transition) -> set[UniqueKey]:
        """Let a tenant go on as what it becomes; returns what it holds no longer."""
        before = set(known.claims.items())
        for claim in before:
            del self._holders[claim]
        known.tenant = transition.after
        known.claims = _collect_unique_keys(
            transition.after, {**known.claims, **dict(transition.claims())}.get("email", "")
        )
        self.add(known)
        return before - set(known.claims.items())


def lock_snapshot(session: Session, partner: str, named: Iterable[Mapping[str, str | None]]) -> Snapshot:
    """Find and lock the tenants of `partner` that are named by `id`, or hold an `external_id` or `email_key`."""
    wanted = {"partner_id": partner, "rows": encode_rows(named)}
    found = []
    for *row, email_key, live in session.run(session.storage.once(TenantSQL).lock_many, wanted).fetchall():
        tenant = Tenant._make(row)
        if not is_retention_over(session.storage, tenant):
            found.append(KnownTenant(tenant, _collect_unique_keys(tenant, email_key) if live else {}))
    return Snapshot(found)


def make_known_tenant(tenant: Tenant, email_key: str) -> KnownTenant:
    """A tenant that was not there before."""
    return KnownTenant(tenant, _collect_unique_keys(tenant, email_key))


def _collect_unique_keys(tenant: Tenant, email_key: str) -> dict[str, str]:
    """What the tenant holds: nothing any more once it is deleted."""
    if tenant.status == "deleted":
        return {}
    external_id = {} if tenant.external_id is None else {"external_id": tenant.external_id}
    return {"email": email_key, **external_id}


#: What is JSON already.
_JSON_COLUMNS = ("data", "changes")


def update_many(
    session: Session,
    actor: Actor,
    partner: str,
    transitions: Sequence[Transition],
    at: str,
    event_ids: Sequence[str],
) -> None:
    """Write what differs at the instant `at`, each with its event under one of `event_ids`, and all of one kind.

    The caller counts those that are deleted. Raises `Outdated` where somebody was faster.
    """
    if not transitions:
        return
    storage, kind = session.storage, transitions[0].kind
    written = [_advance_version(storage, one, at) for one in transitions]
    _write_rows(session, partner, transitions, written)
    events = [
        build_change_event(storage, actor, kind, one.before, one.after, one.after.updated_at) | {"id": event_id}
        for one, event_id in zip(written, event_ids, strict=True)
    ]
    storage.once(InsertEventsSQL).tell(session, partner, events)
    session.events.extend(events)
    for one in written:
        if storage.has_reaction(OPERATION_OF_EVENT[kind], one.before):
            run_reactions(session, actor, kind, one.before, one.after)


def _advance_version(storage: Storage, one: Transition, at: str) -> Transition:
    """The same, with the tenant's next version."""
    after = one.after._replace(version=one.before.version + 1, updated_at=next_timestamp(storage, one.before, at))
    return one._replace(after=after)


def _write_rows(session: Session, partner: str, given: Sequence[Transition], written: Sequence[Transition]) -> None:
    """Write the columns of each that change, all that change the same ones in one round trip.

    A join with the rows would be one statement, which PostgreSQL plans by guess where it knows nothing of them.
    """
    same: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for one, final in zip(given, written, strict=True):
        values = name_new_values(one.columns)
        where = {"partner_id": partner, "id": one.before.id, "expected": one.before.version}
        same[tuple(one.columns)].append({**where, **values, "new_updated_at": final.after.updated_at})
    sql = session.storage.once(TenantSQL)
    try:
        for columns, rows in same.items():
            session.run_many(sql.change(columns), rows)
    except UniqueViolation as violation:
        raise StaleRead("somebody else has it meanwhile") from violation


class InsertEventsSQL(SQL):
    """The statement of one storage that writes the events of many tenants."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self._events = storage.table("events")
        self._tell = self._compile(self._told())

    def tell(self, session: Session, partner: str, events: Sequence[Mapping[str, Any]]) -> None:
        """Write events that differ in nothing but their tenants, what became of them, and when."""
        own = ("id", "tenant_id", "timestamp", "data", "changes")
        common = {name: events[0][name] for name in SHARED_COLUMNS}
        rows = _rows_to_json({name: one[name] for name in own} for one in events)
        session.run(self._tell, {**common, "partner_id": partner, "rows": rows})

    def _told(self) -> Any:
        e = self._events.c
        own = ("id", "tenant_id", "timestamp", "data", "changes")
        given = select_incoming(self._dialect, **{name: e[name].type for name in own}).c
        common = {name: bindparam(name, type_=e[name].type) for name in ("partner_id", *SHARED_COLUMNS)}
        values = {**{name: given[name] for name in own}, **common}
        return self._events.insert().from_select(list(values), select(*values.values()))


def _rows_to_json(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as `incoming` wants them, whose documents are JSON already."""
    return f"[{','.join(map(_row_to_json, rows))}]"


def _row_to_json(row: Mapping[str, Any]) -> str:
    plain = dump_json({name: value for name, value in row.items() if name not in _JSON_COLUMNS})
    documents = (f',"{name}":{row[name] or "null"}' for name in _JSON_COLUMNS if name in row)
    return f"{plain[:-1]}{''.join(documents)}}}"
