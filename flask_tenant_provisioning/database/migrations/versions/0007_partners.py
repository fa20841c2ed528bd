"""Partners: who may call."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from flask_tenant_provisioning.database.types import Instant, ordered_text

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    table = f"{context.config.attributes['prefix']}partners"
    op.create_table(
        table,
        sa.Column("partner_id", ordered_text(255), nullable=False),
        sa.Column("name", sa.String(255)),
        sa.Column("contact", sa.String(255)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("suspended_reason", sa.String(500)),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("partner_id", name=f"{table}_pkey"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table(f"{context.config.attributes['prefix']}partners")
