"""How much is past its time, without touching it."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from ..database import Session, Statement, Storage, instant


class Counts(NamedTuple):
    """How many of each; the names are those of the JSON that `purge` prints."""

    tenants: int
    idempotency_records: int


class DueSQL:
    """The statements of this module, built once a storage."""

    def __init__(self, storage: Storage) -> None:
        self.counts = [
            Statement(select(func.count()).where(column <= bindparam("now", type_=column.type)), storage.engine.dialect)
            for column in (storage.table("tenants").c.purge_at, storage.table("idempotency").c.expires_at)
        ]


def count_due(session: Session) -> Counts:
    """What a purge at this moment would remove."""
    now = {"now": instant(session.storage.clock())}
    return Counts(*(session.run(sql, now).fetchone()[0] for sql in session.storage.once(DueSQL).counts))
