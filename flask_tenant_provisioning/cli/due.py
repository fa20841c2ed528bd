"""How much is past its time, without touching it."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import and_, bindparam, func, select

from ..database import Session, Statement, Storage, instant


class Counts(NamedTuple):
    """How many of each; the names are those of the JSON that `purge` prints."""

    tenants: int
    idempotency_records: int
    erased_tenants: int


class DueSQL:
    """The statements of this module, built once a storage."""

    def __init__(self, storage: Storage) -> None:
        now = bindparam("now", type_=storage.table("tenants").c.purge_at.type)
        e = storage.table("erasures").c
        erasable = and_(e.erased_at.is_(None), e.purged_at <= bindparam("purged_before", type_=e.purged_at.type))
        self.counts = [
            Statement(clause, storage.engine.dialect)
            for clause in (
                select(func.count()).where(storage.table("tenants").c.purge_at <= now),
                select(func.count()).where(storage.table("idempotency").c.expires_at <= now),
                select(func.count(e.tenant_id.distinct())).where(erasable),
            )
        ]


def count_due(session: Session, erasure_days: int) -> Counts:
    """Return what a purge at this moment would remove; the traces of tenants that were purged `erasure_days` ago."""
    now = session.storage.clock()
    times = {"now": instant(now), "purged_before": instant(now, days=-erasure_days)}
    return Counts(*(session.run(sql, times).fetchone()[0] for sql in session.storage.once(DueSQL).counts))
