"""The list of purged tenants whose data must still be erased from events, stored responses and bulk jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Column, Index, Integer, MetaData, PrimaryKeyConstraint, Table, and_, bindparam, null, or_, select

from ..database.ids import format_instant
from ..database.session import Session, Storage
from ..database.statements import SQL, bind_columns
from ..database.types import Identifier, Instant, name_table, ordered_text

#: Seconds between the two rounds of erasure. A request, webhook or bulk row that was in progress during the first
#: round may have written more data; none of them takes this long.
SECOND_ROUND_AFTER = 3600.0
#: The most tenants in one round.
ERASURE_BATCH = 200


class Erasure(NamedTuple):
    """A tenant to erase from the records of one partner: its last partner, or a former one if it was moved.

    `purged_at` is None until the tenant is purged. `erased_at` is the instant of the first round.
    """

    partner_id: str
    tenant_id: str
    purged_at: str | None
    erased_at: str | None


def erasures_table(metadata: MetaData) -> Table:
    """Build the table with one row per partner and tenant, which is removed after the second round of erasure."""
    purged_at: Column[str] = Column("purged_at", Instant)
    return Table(
        name_table(metadata, "erasures"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("tenant_id", Identifier, nullable=False),
        purged_at,
        Column("erased_at", Instant),
        PrimaryKeyConstraint("partner_id", "tenant_id"),
        Index(None, "tenant_id"),
        Index(None, "purged_at", postgresql_where=purged_at.is_not(None), sqlite_where=purged_at.is_not(None)),
        sqlite_with_rowid=False,
    )


class ErasureSQL(SQL):
    """The statements about erasures, compiled once per storage."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        table = storage.table("erasures")
        e, bound = table.c, bind_columns(table)
        insert = self._insert(table).values(partner_id=bound["partner_id"], tenant_id=bound["tenant_id"])
        key = [e.partner_id, e.tenant_id]
        is_erasure = and_(e.partner_id == bound["partner_id"], e.tenant_id == bound["tenant_id"])
        self.note_move = self._compile(insert.on_conflict_do_nothing())
        purged = {"purged_at": insert.excluded.purged_at, "erased_at": null()}
        schedule = insert.values(purged_at=bound["purged_at"])
        self.schedule = self._compile(schedule.on_conflict_do_update(index_elements=key, set_=purged))
        of_former_partners = table.update().where(e.tenant_id == bound["tenant_id"], e.purged_at.is_(None))
        self.schedule_former_partners = self._compile(of_former_partners.values(purged_at=bound["purged_at"]))
        is_first_round = e.erased_at.is_(None)
        is_second_round = e.erased_at <= bindparam("first_round_before", type_=e.erased_at.type)
        is_purged = e.purged_at <= bindparam("before", type_=e.purged_at.type)
        rows = select(*(e[name] for name in Erasure._fields)).where(is_purged, or_(is_first_round, is_second_round))
        self.select_due = self._compile(rows.order_by(*key).limit(bindparam("limit", type_=Integer)))
        first_round = table.update().where(is_erasure, is_first_round)
        self.record_first_round = self._compile(first_round.values(erased_at=bound["erased_at"]))
        self.remove = self._compile(table.delete().where(is_erasure, is_second_round))


def note_move(session: Session, partner: str, tenant_id: str) -> None:
    """Record that a tenant leaves `partner`, whose records mention it until it is purged."""
    session.run(session.storage.once(ErasureSQL).note_move, {"partner_id": partner, "tenant_id": tenant_id})


def schedule_erasure(session: Session, partner: str, tenant_id: str) -> None:
    """Schedule the erasure of a tenant purged now, for `partner` and every former partner."""
    sql = session.storage.once(ErasureSQL)
    values = {"partner_id": partner, "tenant_id": tenant_id, "purged_at": format_instant(session.storage.clock())}
    session.run(sql.schedule, values)
    session.run(sql.schedule_former_partners, values)


def load_due_erasures(session: Session, days: int) -> list[Erasure]:
    """Return at most `ERASURE_BATCH` due erasures, ordered by partner.

    An erasure is due `days` after the purge, and again `SECOND_ROUND_AFTER` seconds after its first round.
    """
    now = session.storage.clock()
    values = {
        "before": format_instant(now, days=-days),
        "first_round_before": format_instant(now - SECOND_ROUND_AFTER),
        "limit": ERASURE_BATCH,
    }
    rows = session.run(session.storage.once(ErasureSQL).select_due, values).fetchall()
    return [Erasure._make(row) for row in rows]


def finish_erasures(session: Session, erasures: Sequence[Erasure]) -> None:
    """Record a round of these erasures: the first sets `erased_at`, the second removes the row."""
    sql, now = session.storage.once(ErasureSQL), session.storage.clock()
    times = {"erased_at": format_instant(now), "first_round_before": format_instant(now - SECOND_ROUND_AFTER)}
    rows = [{"partner_id": erasure.partner_id, "tenant_id": erasure.tenant_id, **times} for erasure in erasures]
    for statement in (sql.remove, sql.record_first_round):
        session.run_many(statement, rows)
