"""How far each partner's feed of events has come; events wait for their place in the order in which they happened."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from flask_tenant_provisioning.database.types import Instant, ordered_text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    prefix = context.config.attributes["prefix"]
    _feeds(f"{prefix}feeds")
    op.drop_index(f"{prefix}events_partner_id_id_idx", f"{prefix}events")
    _waiting(f"{prefix}events", ["partner_id", "timestamp", "id"])


def downgrade() -> None:
    prefix = context.config.attributes["prefix"]
    op.drop_index(f"{prefix}events_partner_id_timestamp_id_idx", f"{prefix}events")
    _waiting(f"{prefix}events", ["partner_id", "id"])
    op.execute(sa.update(sa.table(f"{prefix}events", sa.column("position"))).values(position=None))
    op.drop_table(f"{prefix}feeds")


def _feeds(table: str) -> None:
    op.create_table(
        table,
        sa.Column("partner_id", ordered_text(255), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("removed", sa.BigInteger, nullable=False),
        sa.Column("published_at", Instant),
        sa.PrimaryKeyConstraint("partner_id", name=f"{table}_pkey"),
        sqlite_with_rowid=False,
    )


def _waiting(table: str, columns: list[str]) -> None:
    unpublished = sa.text("position IS NULL")
    name = f"{table}_{'_'.join(columns)}_idx"
    op.create_index(name, table, columns, postgresql_where=unpublished, sqlite_where=unpublished)
