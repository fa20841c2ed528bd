"""Bulk provisioning: jobs, their chunks of rows, and the keys that rows name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from flask_tenant_provisioning.database.types import Identifier, Instant, JsonText, ordered_text

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    prefix = context.config.attributes["prefix"]
    _jobs(f"{prefix}bulk_jobs")
    _chunks(f"{prefix}bulk_chunks")
    _keys(f"{prefix}bulk_keys")


def downgrade() -> None:
    prefix = context.config.attributes["prefix"]
    for name in ("bulk_keys", "bulk_chunks", "bulk_jobs"):
        op.drop_table(f"{prefix}{name}")


def _jobs(table: str) -> None:
    op.create_table(
        table,
        sa.Column("partner_id", ordered_text(255), nullable=False),
        sa.Column("id", Identifier, nullable=False),
        sa.Column("operation", sa.String(16), nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("rehearsal", sa.SmallInteger, nullable=False),
        sa.Column("cells", sa.SmallInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("chunks", sa.Integer, nullable=False),
        sa.Column("succeeded", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("unchanged", sa.Integer, nullable=False),
        sa.Column("actor", JsonText, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("started_at", Instant),
        sa.Column("finished_at", Instant),
        sa.Column("due_at", Instant),
        sa.PrimaryKeyConstraint("partner_id", "id", name=f"{table}_pkey"),
        sqlite_with_rowid=False,
    )
    due = sa.text("due_at IS NOT NULL")
    op.create_index(f"{table}_due_at_idx", table, ["due_at"], postgresql_where=due, sqlite_where=due)


def _chunks(table: str) -> None:
    op.create_table(
        table,
        sa.Column("partner_id", ordered_text(255), nullable=False),
        sa.Column("job_id", Identifier, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("first_row", sa.Integer, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("first_line", sa.Integer, nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("claims", sa.Integer, nullable=False),
        sa.Column("leased_until", Instant),
        sa.Column("license_room", sa.Integer, nullable=False),
        sa.Column("partner_room", sa.Integer, nullable=False),
        sa.Column("done_at", Instant),
        sa.Column("succeeded", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("unchanged", sa.Integer, nullable=False),
        sa.Column("lines", sa.LargeBinary),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("results", sa.LargeBinary),
        sa.PrimaryKeyConstraint("partner_id", "job_id", "number", name=f"{table}_pkey"),
    )
    reserved = sa.text("license_room > 0 OR partner_room > 0")
    op.create_index(
        f"{table}_leased_until_idx", table, ["leased_until"], postgresql_where=reserved, sqlite_where=reserved
    )


def _keys(table: str) -> None:
    op.create_table(
        table,
        sa.Column("partner_id", ordered_text(255), nullable=False),
        sa.Column("job_id", Identifier, nullable=False),
        sa.Column("key", ordered_text(160), nullable=False),
        sa.Column("row", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("partner_id", "job_id", "key", name=f"{table}_pkey"),
        sqlite_with_rowid=False,
    )
