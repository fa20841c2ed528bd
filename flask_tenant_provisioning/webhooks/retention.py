"""Deliveries that are older than events are kept, removed with their attempts; answers of purged tenants, erased."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ..database import Session, Storage, instant
from .delivery_statements import DeliverySQL

_BATCH = 1000

Key = tuple[str, str]


def remove_old(storage: Storage, days: int) -> int:
    """Remove the deliveries of more than `days` ago; returns how many."""
    count, last = 0, ("", "")
    before = instant(storage.clock(), days=-days)
    while endpoints := storage.read(partial(_endpoints, after=last)):
        for last in endpoints:
            while old := storage.read(partial(_old, endpoint=last, before=before)):
                storage.transaction(partial(_remove, keys=old))
                count += len(old)
    return count


def erase_answers(storage: Storage, partner: str, tenant_id: str) -> int:
    """Erase what receivers answered to deliveries about a tenant of `partner`; returns how many those are."""
    count, last = 0, "00000000-0000-0000-0000-000000000000"
    while found := storage.read(partial(_of_tenant, partner=partner, tenant_id=tenant_id, after=last)):
        storage.transaction(partial(_erase_answers, keys=found))
        count, last = count + len(found), found[-1]["delivery_id"]
    return count


def _of_tenant(session: Session, partner: str, tenant_id: str, after: str) -> list[dict[str, str]]:
    """The keys of the first deliveries about a tenant behind the one with the id `after`."""
    wanted = {"partner_id": partner, "tenant_id": tenant_id, "after": after, "limit": _BATCH}
    rows = session.run(session.storage.once(DeliverySQL).of_tenant, wanted).fetchall()
    return [{"partner_id": partner, "delivery_id": one} for (one,) in rows]


def _erase_answers(session: Session, keys: Sequence[dict[str, str]]) -> None:
    session.run_many(session.storage.once(DeliverySQL).erase_answers, keys)


def _endpoints(session: Session, after: Key) -> list[Key]:
    """Those that anything was ever delivered to, by partner and id."""
    wanted: dict[str, Any] = {"partner_id": after[0], "id": after[1] or None, "limit": _BATCH}
    found: list[Key] = session.run(session.storage.once(DeliverySQL).endpoints, wanted).fetchall()
    return found


def _old(session: Session, endpoint: Key, before: str) -> list[dict[str, str]]:
    """The keys of an endpoint's first old deliveries."""
    wanted = {"partner_id": endpoint[0], "id": endpoint[1], "before": before, "limit": _BATCH}
    rows = session.run(session.storage.once(DeliverySQL).old, wanted).fetchall()
    return [{"partner_id": endpoint[0], "delivery_id": one} for (one,) in rows]


def _remove(session: Session, keys: Sequence[dict[str, str]]) -> None:
    sql = session.storage.once(DeliverySQL)
    session.run_many(sql.remove_attempts, keys)
    session.run_many(sql.remove, keys)
