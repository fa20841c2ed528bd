"""Deliveries that are older than events are kept, removed with their attempts, whatever became of them."""

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
