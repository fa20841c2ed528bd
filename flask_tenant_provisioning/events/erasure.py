"""Erase what events say of a purged tenant. The events stay, in their order and with their positions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import BigInteger, Integer, and_, bindparam, select

from ..database import SQL, Session, Storage, renewed
from .actions import compact

#: What stays of a tenant in an event's `data`, and of what changed. All else may say who it was.
KEPT = ("tenant", "partner", "status", "version", "created_at", "updated_at", "deleted_at", "purge_at")
#: How many events one unit of work reads or writes.
_BATCH = 100

#: An event's position, id, data and changes.
Row = tuple[int, str, str, str | None]


class ErasingSQL(SQL):
    """The statements of one storage."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        events = storage.table("events")
        e = events.c
        partner: Any = bindparam("partner_id", type_=e.partner_id.type)
        tenant: Any = bindparam("tenant_id", type_=e.tenant_id.type)
        behind = e.position > bindparam("after", type_=BigInteger)
        page = select(e.position, e.id, e.data, e.changes).where(e.partner_id == partner, e.tenant_id == tenant, behind)
        self.page = self._compiled(page.order_by(e.position).limit(bindparam("limit", type_=Integer)))
        one = and_(e.partner_id == partner, e.id == bindparam("id", type_=e.id.type))
        self.erase = self._compiled(events.update().where(one).values(renewed(e, ("data", "changes"))))


def documents_of(storage: Storage, partner: str, tenant_id: str) -> Iterator[Mapping[str, Any]]:
    """Every state in which the events of `partner` show a tenant, the oldest first."""
    for page in _pages(storage, partner, tenant_id):
        for _, _, data, _ in page:
            yield json.loads(data)


def erase(storage: Storage, partner: str, tenant_id: str) -> int:
    """Erase what the published events of `partner` say of a tenant; returns how many there were."""
    count = 0
    for page in _pages(storage, partner, tenant_id):
        storage.transaction(partial(_erase, partner=partner, rows=page))
        count += len(page)
    return count


def _pages(storage: Storage, partner: str, tenant_id: str) -> Iterator[list[Row]]:
    after = 0
    while page := storage.read(partial(_page, partner=partner, tenant_id=tenant_id, after=after)):
        yield page
        after = page[-1][0]


def _page(session: Session, partner: str, tenant_id: str, after: int) -> list[Row]:
    wanted = {"partner_id": partner, "tenant_id": tenant_id, "after": after, "limit": _BATCH}
    found: list[Row] = session.run(session.storage.once(ErasingSQL).page, wanted).fetchall()
    return found


def _erase(session: Session, partner: str, rows: Sequence[Row]) -> None:
    values = [
        {"partner_id": partner, "id": id, "new_data": _remainder(data, erased=True), "new_changes": _remainder(changes)}
        for _, id, data, changes in rows
    ]
    session.run_many(session.storage.once(ErasingSQL).erase, values)


def _remainder(document: str | None, **more: Any) -> str | None:
    """Return what stays of the JSON of an event's data or changes, and `more`."""
    if document is None:
        return None
    found = json.loads(document)
    return compact({**{name: found[name] for name in KEPT if name in found}, **more})
