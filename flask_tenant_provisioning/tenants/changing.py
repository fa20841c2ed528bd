"""Change many tenants of one partner at once: a statement for all of them, and one for their events.

The caller has locked them; none wants what another of them gives up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, func, select

from ..access import Actor
from ..database import Outdated, Session, Statement, Storage, UniqueViolation, incoming
from ..events import compact
from . import usage
from .changes import OPERATIONS, moment, react, told
from .transition import Transition

#: What is JSON already.
_DOCUMENTS = ("metadata", "fields", "data", "changes")
#: What a tenant keeps that gets no other.
_KEPT = ("name_key", "email_key")
#: What is the same in all events of one change.
_COMMON = ("type", "request_id", "actor_subject", "actor_partner", "actor_address", "actor_user_agent")


def change_many(session: Session, actor: Actor, partner: str, transitions: Sequence[Transition]) -> None:
    """Write what differs, each with its event, and all of one kind. Raises `Outdated` where somebody was faster."""
    if not transitions:
        return
    storage, kind = session.storage, transitions[0].kind
    if released := sum(one.after.status == "deleted" for one in transitions):
        usage.release_many(session, released)
    written = [_next(storage, one) for one in transitions]
    storage.once(ChangingSQL).write(session, partner, transitions, written)
    events = [told(storage, actor, kind, one.before, one.after, one.after.updated_at) for one in written]
    storage.once(ChangingSQL).tell(session, partner, events)
    session.recorded.extend(events)
    for one in written:
        if storage.reacts(OPERATIONS[kind], one.before):
            react(session, actor, kind, one.before, one.after)


def _next(storage: Storage, one: Transition) -> Transition:
    """The same, with the tenant's next version."""
    after = one.after._replace(version=one.before.version + 1, updated_at=moment(storage, one.before))
    return one._replace(after=after)


class ChangingSQL:
    """The statements of one storage; those that change a few columns are compiled at their first use."""

    def __init__(self, storage: Storage) -> None:
        self._dialect = storage.engine.dialect
        self._tenants, self._events = storage.table("tenants"), storage.table("events")
        self._changes: dict[tuple[str, ...], Statement] = {}
        self._tell = self._compiled(self._told())

    def write(self, session: Session, partner: str, given: Sequence[Transition], written: Sequence[Transition]) -> None:
        """Write to exactly the versions that were read. Raises `Outdated`."""
        columns = tuple(sorted(set[str]().union(*(one.columns for one in given))))
        rows = [_row(one, columns) for one in written]
        if columns not in self._changes:
            self._changes[columns] = self._compiled(self._change(columns))
        try:
            count = session.run(self._changes[columns], {"partner_id": partner, "rows": _json(rows)}).rowcount
        except UniqueViolation as violation:
            raise Outdated("somebody else has it meanwhile") from violation
        if count != len(rows):
            raise Outdated("somebody else changed it meanwhile")

    def tell(self, session: Session, partner: str, events: Sequence[Mapping[str, Any]]) -> None:
        """Write their events."""
        own = ("id", "tenant_id", "timestamp", "data", "changes")
        common = {name: events[0][name] for name in _COMMON}
        rows = _json({name: one[name] for name in own} for one in events)
        session.run(self._tell, {**common, "partner_id": partner, "rows": rows})

    def _change(self, columns: Sequence[str]) -> Any:
        t = self._tenants.c
        names = ("id", "version", "updated_at", *columns)
        given = incoming(self._dialect, **{name: t[name].type for name in names}).c
        values = {name: func.coalesce(given[name], t[name]) if name in _KEPT else given[name] for name in columns}
        mine = (t.partner_id == bindparam("partner_id"), t.id == given.id, t.version == given.version)
        return (
            self._tenants.update()
            .where(*mine)
            .values({**values, "updated_at": given.updated_at, "version": t.version + 1})
        )

    def _told(self) -> Any:
        e = self._events.c
        own = ("id", "tenant_id", "timestamp", "data", "changes")
        given = incoming(self._dialect, **{name: e[name].type for name in own}).c
        common = {name: bindparam(name, type_=e[name].type) for name in ("partner_id", *_COMMON)}
        values = {**{name: given[name] for name in own}, **common}
        return self._events.insert().from_select(list(values), select(*values.values()))

    def _compiled(self, clause: Any) -> Statement:
        return Statement(clause, self._dialect)


def _row(written: Transition, columns: Sequence[str]) -> dict[str, Any]:
    """What these columns become, as far as that is known; those `_KEPT` stay where it is not."""
    after = written.after._asdict()
    at = {"id": after["id"], "version": written.before.version, "updated_at": after["updated_at"]}
    return {**{name: after[name] for name in columns if name in after}, **written.hidden, **at}


def _json(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as `incoming` wants them, whose documents are JSON already."""
    return f"[{','.join(map(_object, rows))}]"


def _object(row: Mapping[str, Any]) -> str:
    plain = compact({name: value for name, value in row.items() if name not in _DOCUMENTS})
    documents = (f',"{name}":{row[name] or "null"}' for name in _DOCUMENTS if name in row)
    return f"{plain[:-1]}{''.join(documents)}}}"
