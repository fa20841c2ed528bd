"""Tenants, what is to be erased of purged ones, events, usage counters and remembered answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from flask_tenant_provisioning.database.types import Identifier, Instant, JsonDocument, JsonText, ordered_text

revision = "0001"
down_revision = None


def upgrade() -> None:
    prefix = context.config.attributes["prefix"]
    _tenants(f"{prefix}tenants")
    _erasures(f"{prefix}erasures")
    _events(f"{prefix}events")
    _usage(f"{prefix}usage")
    _idempotency(f"{prefix}idempotency")


def downgrade() -> None:
    prefix = context.config.attributes["prefix"]
    for name in ("idempotency", "usage", "events", "erasures", "tenants"):
        op.drop_table(f"{prefix}{name}")


def _tenants(table: str) -> None:
    op.create_table(
        table,
        sa.Column("partner_id", ordered_text(255), nullable=False),
        sa.Column("id", Identifier, nullable=False),
        sa.Column("external_id", ordered_text(128)),
        sa.Column("client_name", sa.String(255), nullable=False),
        sa.Column("name_key", ordered_text(1024), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("email_key", ordered_text(1024), nullable=False),
        sa.Column("phone_number", sa.String(32)),
        sa.Column("industry", sa.String(100)),
        sa.Column("plan", sa.String(100)),
        sa.Column("metadata", JsonDocument, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("status_before", sa.String(16)),
        sa.Column("suspended_reason", sa.String(500)),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("live", sa.SmallInteger),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.Column("deleted_at", Instant),
        sa.Column("purge_at", Instant),
        sa.PrimaryKeyConstraint("partner_id", "id", name=f"{table}_pkey"),
        sa.UniqueConstraint("email_key", "partner_id", "live", name=f"{table}_email_key_partner_id_live_key"),
        sa.UniqueConstraint("external_id", "partner_id", "live", name=f"{table}_external_id_partner_id_live_key"),
        sqlite_with_rowid=False,
    )
    op.create_index(f"{table}_id_idx", table, ["id"])
    _tenant_lists(table)
    _partial_index(f"{table}_purge_at_idx", table, ["purge_at"], "purge_at IS NOT NULL")


def _tenant_lists(table: str) -> None:
    for owner, columns in (("partner_", ["partner_id"]), ("", [])):
        op.create_index(f"{table}_{owner}created_idx", table, [*columns, "status", "created_at", "id"])
        op.create_index(f"{table}_{owner}name_idx", table, [*columns, "status", "name_key", "id"])
        _partial_index(f"{table}_{owner}updated_idx", table, [*columns, "status", "updated_at"], "version > 1")
        for field in ("plan", "industry"):
            name, within, given = f"{table}_{owner}{field}", [*columns, field, "status"], f"{field} IS NOT NULL"
            _partial_index(f"{name}_created_idx", table, [*within, "created_at", "id"], given)
            if owner:
                _partial_index(f"{name}_name_idx", table, [*within, "name_key", "id"], given)


def _partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, postgresql_where=condition, sqlite_where=condition)


def _erasures(table: str) -> None:
    op.create_table(
        table,
        sa.Column("partner_id", ordered_text(255), nullable=False),
        sa.Column("tenant_id", Identifier, nullable=False),
        sa.Column("purged_at", Instant),
        sa.Column("erased_at", Instant),
        sa.PrimaryKeyConstraint("partner_id", "tenant_id", name=f"{table}_pkey"),
        sqlite_with_rowid=False,
    )
    op.create_index(f"{table}_tenant_id_idx", table, ["tenant_id"])
    _partial_index(f"{table}_purged_at_idx", table, ["purged_at"], "purged_at IS NOT NULL")


def _events(table: str) -> None:
    op.create_table(
        table,
        sa.Column("partner_id", ordered_text(255), nullable=False),
        sa.Column("id", Identifier, nullable=False),
        sa.Column("position", sa.BigInteger),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("timestamp", Instant, nullable=False),
        sa.Column("tenant_id", Identifier),
        sa.Column("request_id", sa.String(128)),
        sa.Column("actor_subject", sa.String(255)),
        sa.Column("actor_partner", sa.String(255)),
        sa.Column("actor_address", sa.String(64)),
        sa.Column("actor_user_agent", sa.String(255)),
        sa.Column("data", JsonText, nullable=False),
        sa.Column("changes", JsonText),
        sa.PrimaryKeyConstraint("partner_id", "id", name=f"{table}_pkey"),
        sa.UniqueConstraint("partner_id", "position", name=f"{table}_partner_id_position_key"),
        sqlite_with_rowid=False,
    )
    unpublished = sa.text("position IS NULL")
    op.create_index(
        f"{table}_partner_id_id_idx",
        table,
        ["partner_id", "id"],
        postgresql_where=unpublished,
        sqlite_where=unpublished,
    )
    columns = ["partner_id", "tenant_id", "position"]
    op.create_index(f"{table}_{'_'.join(columns)}_idx", table, columns)


def _usage(table: str) -> None:
    op.create_table(
        table,
        sa.Column("partner_id", ordered_text(255), nullable=False),
        sa.Column("tenants", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("partner_id", name=f"{table}_pkey"),
        sqlite_with_rowid=False,
    )


def _idempotency(table: str) -> None:
    op.create_table(
        table,
        sa.Column("partner_id", ordered_text(255), nullable=False),
        sa.Column("key", ordered_text(255), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("headers", JsonText),
        sa.Column("body", JsonText),
        sa.Column("tenant_id", Identifier),
        sa.PrimaryKeyConstraint("partner_id", "key", name=f"{table}_pkey"),
        sqlite_with_rowid=False,
    )
    op.create_index(f"{table}_expires_at_idx", table, ["expires_at"])
