"""Change many tenants of one partner at once: their rows in one round trip, and their events in one statement.

The caller has locked them; none wants what another of them gives up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, select

from ..access import Actor
from ..database import SQL, Outdated, Session, Storage, UniqueViolation, incoming, renewal
from ..events import compact
from ..events.models import COMMON
from .changes import OPERATIONS, moment, react, told
from .statements import TenantSQL
from .transition import Transition

#: What is JSON already.
_DOCUMENTS = ("data", "changes")


def change_many(
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
    written = [_next(storage, one, at) for one in transitions]
    _write(session, partner, transitions, written)
    events = [
        told(storage, actor, kind, one.before, one.after, one.after.updated_at) | {"id": event_id}
        for one, event_id in zip(written, event_ids, strict=True)
    ]
    storage.once(TellingSQL).tell(session, partner, events)
    session.recorded.extend(events)
    for one in written:
        if storage.reacts(OPERATIONS[kind], one.before):
            react(session, actor, kind, one.before, one.after)


def _next(storage: Storage, one: Transition, at: str) -> Transition:
    """The same, with the tenant's next version."""
    after = one.after._replace(version=one.before.version + 1, updated_at=moment(storage, one.before, at))
    return one._replace(after=after)


def _write(session: Session, partner: str, given: Sequence[Transition], written: Sequence[Transition]) -> None:
    """Write the columns of each that change, all that change the same ones in one round trip.

    A join with the rows would be one statement, which PostgreSQL plans by guess where it knows nothing of them.
    """
    same: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for one, final in zip(given, written, strict=True):
        values = renewal(one.columns)
        where = {"partner_id": partner, "id": one.before.id, "expected": one.before.version}
        same[tuple(one.columns)].append({**where, **values, "new_updated_at": final.after.updated_at})
    sql = session.storage.once(TenantSQL)
    try:
        for columns, rows in same.items():
            session.run_many(sql.change(columns), rows)
    except UniqueViolation as violation:
        raise Outdated("somebody else has it meanwhile") from violation


class TellingSQL(SQL):
    """The statement of one storage that writes the events of many tenants."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self._events = storage.table("events")
        self._tell = self._compiled(self._told())

    def tell(self, session: Session, partner: str, events: Sequence[Mapping[str, Any]]) -> None:
        """Write events that differ in nothing but their tenants, what became of them, and when."""
        own = ("id", "tenant_id", "timestamp", "data", "changes")
        common = {name: events[0][name] for name in COMMON}
        rows = _json({name: one[name] for name in own} for one in events)
        session.run(self._tell, {**common, "partner_id": partner, "rows": rows})

    def _told(self) -> Any:
        e = self._events.c
        own = ("id", "tenant_id", "timestamp", "data", "changes")
        given = incoming(self._dialect, **{name: e[name].type for name in own}).c
        common = {name: bindparam(name, type_=e[name].type) for name in ("partner_id", *COMMON)}
        values = {**{name: given[name] for name in own}, **common}
        return self._events.insert().from_select(list(values), select(*values.values()))


def _json(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as `incoming` wants them, whose documents are JSON already."""
    return f"[{','.join(map(_object, rows))}]"


def _object(row: Mapping[str, Any]) -> str:
    plain = compact({name: value for name, value in row.items() if name not in _DOCUMENTS})
    documents = (f',"{name}":{row[name] or "null"}' for name in _DOCUMENTS if name in row)
    return f"{plain[:-1]}{''.join(documents)}}}"
