"""The host's steps: a run for each tenant and phase, and the steps of each run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from flask_tenant_provisioning.database.types import Identifier, Instant, JsonText, ordered_text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    prefix = context.config.attributes["prefix"]
    _runs(f"{prefix}runs")
    _steps(f"{prefix}steps")


def downgrade() -> None:
    prefix = context.config.attributes["prefix"]
    for name in ("steps", "runs"):
        op.drop_table(f"{prefix}{name}")


def _runs(table: str) -> None:
    op.create_table(
        table,
        sa.Column("partner_id", ordered_text(255), nullable=False),
        sa.Column("tenant_id", Identifier, nullable=False),
        sa.Column("phase", ordered_text(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(16)),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("request_id", sa.String(128)),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("finished_at", Instant),
        sa.PrimaryKeyConstraint("partner_id", "tenant_id", "phase", name=f"{table}_pkey"),
        sqlite_with_rowid=False,
    )


def _steps(table: str) -> None:
    op.create_table(
        table,
        sa.Column("partner_id", ordered_text(255), nullable=False),
        sa.Column("tenant_id", Identifier, nullable=False),
        sa.Column("phase", ordered_text(16), nullable=False),
        sa.Column("name", ordered_text(100), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("after", JsonText, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("undo_attempts", sa.Integer, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("due_at", Instant),
        sa.Column("started_at", Instant),
        sa.Column("finished_at", Instant),
        sa.Column("error_class", sa.String(255)),
        sa.Column("error_message", sa.String(500)),
        sa.Column("error_reason", sa.String(1000)),
        sa.Column("memory", JsonText),
        sa.PrimaryKeyConstraint("partner_id", "tenant_id", "phase", "name", name=f"{table}_pkey"),
        sqlite_with_rowid=False,
    )
    due = sa.text("due_at IS NOT NULL")
    op.create_index(f"{table}_due_at_idx", table, ["due_at"], postgresql_where=due, sqlite_where=due)
