"""Settings of tenants and partners, and their history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from flask_tenant_provisioning.database.types import Instant, JsonText, ordered_text

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    prefix = context.config.attributes["prefix"]
    _settings(f"{prefix}settings")
    _history(f"{prefix}settings_history")


def downgrade() -> None:
    prefix = context.config.attributes["prefix"]
    for name in ("settings_history", "settings"):
        op.drop_table(f"{prefix}{name}")


def _settings(table: str) -> None:
    op.create_table(
        table,
        sa.Column("partner_id", ordered_text(255), nullable=False),
        sa.Column("tenant_id", ordered_text(36), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("document", JsonText, nullable=False),
        sa.Column("secrets", sa.Text),
        sa.Column("updated_at", Instant, nullable=False),
        sa.Column("history_bytes", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("partner_id", "tenant_id", name=f"{table}_pkey"),
        sqlite_with_rowid=False,
    )


def _history(table: str) -> None:
    op.create_table(
        table,
        sa.Column("partner_id", ordered_text(255), nullable=False),
        sa.Column("tenant_id", ordered_text(36), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("document", JsonText, nullable=False),
        sa.Column("secrets", sa.Text),
        sa.Column("changes", JsonText, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("actor_subject", sa.String(255), nullable=False),
        sa.Column("actor_partner", sa.String(255), nullable=False),
        sa.Column("request_id", sa.String(128)),
        sa.PrimaryKeyConstraint("partner_id", "tenant_id", "version", name=f"{table}_pkey"),
        sqlite_with_rowid=False,
    )
