"""Webhooks: the partners' endpoints, the deliveries to them, and each attempt."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from flask_tenant_provisioning.database.types import Identifier, Instant, JsonText, ordered_text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    prefix = context.config.attributes["prefix"]
    _webhooks(f"{prefix}webhooks")
    _deliveries(f"{prefix}deliveries")
    _attempts(f"{prefix}attempts")


def downgrade() -> None:
    prefix = context.config.attributes["prefix"]
    for name in ("attempts", "deliveries", "webhooks"):
        op.drop_table(f"{prefix}{name}")


def _webhooks(table: str) -> None:
    op.create_table(
        table,
        sa.Column("partner_id", ordered_text(255), nullable=False),
        sa.Column("id", Identifier, nullable=False),
        sa.Column("url", sa.String(2048), nullable=False),
        sa.Column("description", sa.String(255)),
        sa.Column("events", JsonText, nullable=False),
        sa.Column("signing", sa.String(3), nullable=False),
        sa.Column("secrets", sa.Text, nullable=False),
        sa.Column("enabled", sa.SmallInteger, nullable=False),
        sa.Column("disabled_reason", sa.String(16)),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.Column("failing_since", Instant),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("rests_until", Instant),
        sa.Column("due_at", Instant),
        sa.Column("leased_until", Instant),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("partner_id", "id", name=f"{table}_pkey"),
        sqlite_with_rowid=False,
    )
    _due(f"{table}_due_at_idx", table, ["due_at"])


def _deliveries(table: str) -> None:
    op.create_table(
        table,
        sa.Column("partner_id", ordered_text(255), nullable=False),
        sa.Column("webhook_id", Identifier, nullable=False),
        sa.Column("id", Identifier, nullable=False),
        sa.Column("event_id", Identifier, nullable=False),
        sa.Column("tenant_id", Identifier),
        sa.Column("position", sa.BigInteger),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("resent", sa.SmallInteger, nullable=False),
        sa.Column("due_at", Instant),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("finished_at", Instant),
        sa.Column("payload", JsonText),
        sa.PrimaryKeyConstraint("partner_id", "id", name=f"{table}_pkey"),
        sqlite_with_rowid=False,
    )
    columns = ["partner_id", "webhook_id"]
    op.create_index(f"{table}_partner_id_webhook_id_id_idx", table, [*columns, "id"])
    of_tenant = sa.text("tenant_id IS NOT NULL")
    op.create_index(
        f"{table}_partner_id_tenant_id_id_idx",
        table,
        ["partner_id", "tenant_id", "id"],
        postgresql_where=of_tenant,
        sqlite_where=of_tenant,
    )
    _due(f"{table}_pending_idx", table, [*columns, "due_at", "position"])


def _attempts(table: str) -> None:
    op.create_table(
        table,
        sa.Column("partner_id", ordered_text(255), nullable=False),
        sa.Column("delivery_id", Identifier, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("latency_ms", sa.Integer, nullable=False),
        sa.Column("error", sa.String(255)),
        sa.Column("answer", sa.Text),
        sa.Column("internal", sa.SmallInteger),
        sa.PrimaryKeyConstraint("partner_id", "delivery_id", "number", name=f"{table}_pkey"),
        sqlite_with_rowid=False,
    )


def _due(name: str, table: str, columns: list[str]) -> None:
    due = sa.text("due_at IS NOT NULL")
    op.create_index(name, table, columns, postgresql_where=due, sqlite_where=due)
