"""Remove events older than the retention, and erase purged tenants from the others.

Erased events keep their positions.
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
    """Remove events older than `days` and return their number. Cursors before the removed events expire."""
    count, partner = 0, ""
    before = format_instant(storage.clock(), days=-days)
    while outdated := storage.read(partial(_find_outdated_partners, after=partner, before=before)):
        for partner in outdated:
            while removed := storage.transaction(partial(_remove_batch, partner=partner, before=before)):
                count += removed
    return count


def _find_outdated_partners(session: Session, after: str, before: str) -> list[str]:
    """Return the first partners after `after` whose oldest event is older than the instant `before`."""
    values = {"after": after, "before": before, "limit": _REMOVE_BATCH}
    return [partner for (partner,) in session.run(session.storage.once(EventSQL).find_outdated, values).fetchall()]


def _remove_batch(session: Session, partner: str, before: str) -> int:
    """Remove at most one batch of a feed's events from before the instant `before`. Return their number."""
    sql, of_partner = session.storage.once(EventSQL), {"partner_id": partner}
    _, removed, _ = session.run(sql.lock, of_partner).fetchone()
    last = removed
    where = {**of_partner, "place": removed, "limit": _REMOVE_BATCH}
    for position, timestamp in session.run(sql.oldest, where).fetchall():
        if timestamp >= before:
            break
        last = position
    if last == removed:
        return 0
    session.run(sql.advance_removed, {**of_partner, "new_removed": last})
    count: int = session.run(sql.remove, {**of_partner, "place": last}).rowcount
    return count


#: The fields that erasure keeps in an event's `data` and `changes`. All others may identify the tenant or a person.
KEPT_FIELDS = (
    "tenant", "invitation", "partner", "status", "version", "created_at", "updated_at", "deleted_at", "purge_at",
)  # fmt: skip
#: The most events in one unit of work.
_ERASE_BATCH = 100
#: The position, id, data and changes of an event.
EventRow = tuple[int, str, str, str | None]


class EraseSQL(SQL):
    """The statements of erasure, compiled once per storage."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        events = storage.table("events")
        e = events.c
        partner: Any = bindparam("partner_id", type_=e.partner_id.type)
        tenant: Any = bindparam("tenant_id", type_=e.tenant_id.type)
        is_later = e.position > bindparam("after", type_=BigInteger)
        page = select(e.position, e.id, e.data, e.changes).where(
            e.partner_id == partner, e.tenant_id == tenant, is_later
        )
        self.page = self._compile(page.order_by(e.position).limit(bindparam("limit", type_=Integer)))
        is_event = and_(e.partner_id == partner, e.id == bindparam("id", type_=e.id.type))
        self.erase = self._compile(events.update().where(is_event).values(bind_new_values(e, ("data", "changes"))))


def iterate_documents(storage: Storage, partner: str, tenant_id: str) -> Iterator[Mapping[str, Any]]:
    """Iterate over the `data` of a tenant's events in the feed of `partner`, the oldest first."""
    for page in _iterate_pages(storage, partner, tenant_id):
        for _, _, data, _ in page:
            yield json.loads(data)


def erase_tenant(storage: Storage, partner: str, tenant_id: str) -> int:
    """Erase a tenant from the published events of `partner`. Return the number of events."""
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
    values = {"partner_id": partner, "tenant_id": tenant_id, "after": after, "limit": _ERASE_BATCH}
    rows: list[EventRow] = session.run(session.storage.once(EraseSQL).page, values).fetchall()
    return rows


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


def _strip_document(document: str | None, **added: Any) -> str | None:
    """Reduce the JSON of an event's data or changes to `KEPT_FIELDS`, and add the members `added`."""
    if document is None:
        return None
    members = json.loads(document)
    return dump_json({**{name: members[name] for name in KEPT_FIELDS if name in members}, **added})
