"""Remove deliveries older than the retention period, and erase receivers' responses about purged tenants."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ..database.ids import format_instant
from ..database.session import Session, Storage
from .statements import DeliverySQL

_BATCH_SIZE = 1000
EndpointKey = tuple[str, str]


def remove_old_deliveries(storage: Storage, days: int) -> int:
    """Remove deliveries created more than `days` ago, in batches. Return their number."""
    count, last = 0, ("", "")
    before = format_instant(storage.clock(), days=-days)
    while endpoints := storage.read(partial(_list_endpoints, after=last)):
        for last in endpoints:
            while old := storage.read(partial(_list_old_deliveries, endpoint=last, before=before)):
                storage.transaction(partial(_remove_deliveries, keys=old))
                count += len(old)
    return count


def erase_answers(storage: Storage, partner: str, tenant_id: str) -> int:
    """Erase the stored responses to deliveries about a tenant of `partner`. Return the number of these deliveries."""
    count, last = 0, "00000000-0000-0000-0000-000000000000"
    while found := storage.read(partial(_list_tenant_deliveries, partner=partner, tenant_id=tenant_id, after=last)):
        storage.transaction(partial(_erase_answers, keys=found))
        count, last = count + len(found), found[-1]["delivery_id"]
    return count


def _list_tenant_deliveries(session: Session, partner: str, tenant_id: str, after: str) -> list[dict[str, str]]:
    """Return the keys of the next batch of deliveries about a tenant, after the delivery with the id `after`."""
    wanted = {"partner_id": partner, "tenant_id": tenant_id, "after": after, "limit": _BATCH_SIZE}
    rows = session.run(session.storage.once(DeliverySQL).of_tenant, wanted).fetchall()
    return [{"partner_id": partner, "delivery_id": one} for (one,) in rows]


def _erase_answers(session: Session, keys: Sequence[dict[str, str]]) -> None:
    session.run_many(session.storage.once(DeliverySQL).erase_answers, keys)


def _list_endpoints(session: Session, after: EndpointKey) -> list[EndpointKey]:
    """Return the next batch of endpoints, by partner and id, after the endpoint `after`."""
    wanted: dict[str, Any] = {"partner_id": after[0], "id": after[1] or None, "limit": _BATCH_SIZE}
    found: list[EndpointKey] = session.run(session.storage.once(DeliverySQL).endpoints, wanted).fetchall()
    return found


def _list_old_deliveries(session: Session, endpoint: EndpointKey, before: str) -> list[dict[str, str]]:
    """Return the keys of a batch of an endpoint's deliveries created before the instant `before`."""
    wanted = {"partner_id": endpoint[0], "id": endpoint[1], "before": before, "limit": _BATCH_SIZE}
    rows = session.run(session.storage.once(DeliverySQL).old, wanted).fetchall()
    return [{"partner_id": endpoint[0], "delivery_id": one} for (one,) in rows]


def _remove_deliveries(session: Session, keys: Sequence[dict[str, str]]) -> None:
    sql = session.storage.once(DeliverySQL)
    session.run_many(sql.remove_attempts, keys)
    session.run_many(sql.remove, keys)
