"""The end of events: those older than the retention are removed, and purged tenants are erased from the others.

Erased events keep their position and their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import BigInteger, Integer, and_, bindparam, select

from ..database.ids import format_instant
from ..database.session import Session, Storage
from ..database.statements import SQL, bind_new_values
from ..encoding import dump_json
from .statements import EventSQL

_REMOVE_BATCH = 1000


def remove_old_events(storage: Storage, days: int) -> int:
    """Remove the events of more than `days` ago; returns how many. A feed's cursors from before are expired then."""
    count, partner = 0, ""
    before = format_instant(storage.clock(), days=-days)
    while outdated := storage.read(partial(_find_outdated_partners, after=partner, before=before)):
        for partner in outdated:
            while removed := storage.transaction(partial(_remove_batch, partner=partner, before=before)):
                count += removed
    return count


def _find_outdated_partners(session: Session, after: str, before: str) -> list[str]:
    """The first partners behind `after` whose oldest event is old."""
    wanted = {"after": after, "before": before, "limit": _REMOVE_BATCH}
    return [partner for (partner,) in session.run(session.storage.once(EventSQL).outdated, wanted).fetchall()]


def _remove_batch(session: Session, partner: str, before: str) -> int:
    """Remove the first events of a feed as far as they are old, a batch at most."""
    sql, of_partner = session.storage.once(EventSQL), {"partner_id": partner}
    _, removed, _ = session.run(sql.lock, of_partner).fetchone()
    last = removed
    for position, timestamp in session.run(
        sql.oldest, {**of_partner, "place": removed, "limit": _REMOVE_BATCH}
    ).fetchall():
        if timestamp >= before:
            break
        last = position
    if last == removed:
        return 0
    session.run(sql.shorten, {**of_partner, "new_removed": last})
    found: int = session.run(sql.remove, {**of_partner, "place": last}).rowcount
    return found


#: What stays of a tenant in an event's `data`, and of what changed. All else may say who it was.
KEPT_FIELDS = ("tenant", "partner", "status", "version", "created_at", "updated_at", "deleted_at", "purge_at")
#: How many events one unit of work reads or writes.
_ERASE_BATCH = 100
#: An event's position, id, data and changes.
EventRow = tuple[int, str, str, str | None]


class EraseSQL(SQL):
    """The statements of one storage."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        events = storage.table("events")
        e = events.c
        partner: Any = bindparam("partner_id", type_=e.partner_id.type)
        tenant: Any = bindparam("tenant_id", type_=e.tenant_id.type)
        behind = e.position > bindparam("after", type_=BigInteger)
        page = select(e.position, e.id, e.data, e.changes).where(e.partner_id == partner, e.tenant_id == tenant, behind)
        self.page = self._compile(page.order_by(e.position).limit(bindparam("limit", type_=Integer)))
        one = and_(e.partner_id == partner, e.id == bindparam("id", type_=e.id.type))
        self.erase = self._compile(events.update().where(one).values(bind_new_values(e, ("data", "changes"))))


def iterate_documents(storage: Storage, partner: str, tenant_id: str) -> Iterator[Mapping[str, Any]]:
    """Every state in which the events of `partner` show a tenant, the oldest first."""
    for page in _iterate_pages(storage, partner, tenant_id):
        for _, _, data, _ in page:
            yield json.loads(data)


def erase_tenant(storage: Storage, partner: str, tenant_id: str) -> int:
    """Erase what the published events of `partner` say of a tenant; returns how many there were."""
    count = 0
    for page in _iterate_pages(storage, partner, tenant_id):
        storage.transaction(partial(_erase_batch, partner=partner, rows=page))
        count += len(page)
    return count


def _iterate_pages(storage: Storage, partner: str, tenant_id: str) -> Iterator[list[EventRow]]:
    after = 0
    while page := storage.read(partial(_load_page, partner=partner, tenant_id=tenant_id, after=after)):
        yield page
        after = page[-1][0]


def _load_page(session: Session, partner: str, tenant_id: str, after: int) -> list[EventRow]:
    wanted = {"partner_id": partner, "tenant_id": tenant_id, "after": after, "limit": _ERASE_BATCH}
    found: list[EventRow] = session.run(session.storage.once(EraseSQL).page, wanted).fetchall()
    return found


def _erase_batch(session: Session, partner: str, rows: Sequence[EventRow]) -> None:
    values = [
        {
            "partner_id": partner,
            "id": id,
            "new_data": _strip_document(data, erased=True),
            "new_changes": _strip_document(changes),
        }
        for _, id, data, changes in rows
    ]
    session.run_many(session.storage.once(EraseSQL).erase, values)


def _strip_document(document: str | None, **more: Any) -> str | None:
    """Return what stays of the JSON of an event's data or changes, and `more`."""
    if document is None:
        return None
    found = json.loads(document)
    return dump_json({**{name: found[name] for name in KEPT_FIELDS if name in found}, **more})
