"""Remove deliveries older than the retention period, and erase receivers' responses about purged tenants."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..database.ids import format_instant
from ..database.session import Session, Storage
from .models import EndpointKey
from .statements import DeliverySQL

_BATCH_SIZE = 1000
#: The id before all others.
_FIRST_ID = "00000000-0000-0000-0000-000000000000"


def remove_old_deliveries(storage: Storage, days: int) -> int:
    """Remove deliveries created more than `days` ago, in batches. Return their number."""
    count, last = 0, EndpointKey("", _FIRST_ID)
    before = format_instant(storage.clock(), days=-days)
    while endpoints := storage.read(partial(_list_endpoints, after=last)):
        for last in endpoints:
            while keys := storage.read(partial(_list_old_deliveries, endpoint=last, before=before)):
                storage.transaction(partial(_remove_deliveries, keys=keys))
                count += len(keys)
    return count


def erase_answers(storage: Storage, partner: str, tenant_id: str) -> int:
    """Erase the stored responses to deliveries about a tenant of `partner`. Return the number of these deliveries."""
    count, last = 0, _FIRST_ID
    while keys := storage.read(partial(_list_tenant_deliveries, partner=partner, tenant_id=tenant_id, after=last)):
        storage.transaction(partial(_erase_answers, keys=keys))
        count, last = count + len(keys), keys[-1]["delivery_id"]
    return count


def _list_tenant_deliveries(session: Session, partner: str, tenant_id: str, after: str) -> list[dict[str, str]]:
    """Return the keys of the next batch of deliveries about a tenant, after the delivery with the id `after`."""
    parameters = {"partner_id": partner, "tenant_id": tenant_id, "after": after, "limit": _BATCH_SIZE}
    rows = session.run(session.storage.once(DeliverySQL).select_by_tenant, parameters).fetchall()
    return [{"partner_id": partner, "delivery_id": id} for (id,) in rows]


def _erase_answers(session: Session, keys: Sequence[dict[str, str]]) -> None:
    session.run_many(session.storage.once(DeliverySQL).erase_answers, keys)


def _list_endpoints(session: Session, after: EndpointKey) -> list[EndpointKey]:
    """Return the keys of the next batch of endpoints after the endpoint `after`."""
    parameters = {"after_partner_id": after.partner_id, "after_id": after.id, "limit": _BATCH_SIZE}
    rows = session.run(session.storage.once(DeliverySQL).select_endpoints, parameters).fetchall()
    return [EndpointKey._make(row) for row in rows]


def _list_old_deliveries(session: Session, endpoint: EndpointKey, before: str) -> list[dict[str, str]]:
    """Return the keys of a batch of an endpoint's deliveries created before the instant `before`."""
    parameters = {**endpoint._asdict(), "before": before, "limit": _BATCH_SIZE}
    rows = session.run(session.storage.once(DeliverySQL).select_old, parameters).fetchall()
    return [{"partner_id": endpoint.partner_id, "delivery_id": id} for (id,) in rows]


def _remove_deliveries(session: Session, keys: Sequence[dict[str, str]]) -> None:
    sql = session.storage.once(DeliverySQL)
    session.run_many(sql.delete_attempts, keys)
    session.run_many(sql.delete, keys)
