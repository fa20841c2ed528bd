"""The tables of the first release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alembic import context, op
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)

from flask_tenant_provisioning.database.types import Identifier, Instant, JsonDocument, JsonText, ordered_text

revision = "0001"
down_revision = None

_TABLES = (
    "tenants", "erasures", "usage", "events", "feeds", "idempotency", "partners", "runs", "steps",
    "webhooks", "deliveries", "attempts", "bulk_jobs", "bulk_chunks", "bulk_keys", "settings", "settings_history",
    "clients", "assertions", "invitations",
)  # fmt: skip


def upgrade() -> None:
    _create_tenants()
    _create_events()
    _create_requests()
    _create_steps()
    _create_webhooks()
    _create_bulk_jobs()
    _create_settings()
    _create_clients()
    _create_invitations()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(_name(table))


def _name(table: str) -> str:
    return f"{context.config.attributes['prefix']}{table}"


def _create_table(
    table: str,
    *columns: Column[Any],
    key: Sequence[str],
    unique: Sequence[Sequence[str]] = (),
    sqlite_with_rowid: bool = False,
) -> None:
    """Create a table with named constraints; on SQLite it is stored in the order of its key."""
    name = _name(table)
    constraints = [UniqueConstraint(*names, name=f"{name}_{'_'.join(names)}_key") for names in unique]
    primary_key = PrimaryKeyConstraint(*key, name=f"{name}_pkey")
    op.create_table(name, *columns, primary_key, *constraints, sqlite_with_rowid=sqlite_with_rowid)


def _create_index(table: str, columns: Sequence[str], where: str | None = None, *, ending: str | None = None) -> None:
    """Create an index, limited to rows that match `where`. It is called after `ending`, or after its columns."""
    condition = None if where is None else text(where)
    name = f"{_name(table)}_{ending or '_'.join(columns)}_idx"
    op.create_index(name, _name(table), list(columns), postgresql_where=condition, sqlite_where=condition)


def _create_tenants() -> None:
    _create_table(
        "tenants",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("id", Identifier, nullable=False),
        Column("external_id", ordered_text(128)),
        Column("client_name", String(255), nullable=False),
        Column("name_key", ordered_text(1024), nullable=False),
        Column("email", String(254), nullable=False),
        Column("email_key", ordered_text(1024), nullable=False),
        Column("phone_number", String(32)),
        Column("industry", String(100)),
        Column("plan", String(100)),
        Column("metadata", JsonDocument, nullable=False),
        Column("status", String(16), nullable=False),
        Column("status_before", String(16)),
        Column("suspended_reason", String(500)),
        Column("version", Integer, nullable=False),
        Column("live", SmallInteger),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        Column("deleted_at", Instant),
        Column("purge_at", Instant),
        Column("fields", JsonText),
        key=("partner_id", "id"),
        unique=(("email_key", "partner_id", "live"), ("external_id", "partner_id", "live")),
    )
    _create_index("tenants", ["id"])
    _create_index("tenants", ["purge_at"], "purge_at IS NOT NULL")
    for owner, first in (("partner_", ("partner_id",)), ("", ())):
        _create_index("tenants", [*first, "status", "created_at", "id"], ending=f"{owner}created")
        _create_index("tenants", [*first, "status", "name_key", "id"], ending=f"{owner}name")
        _create_index("tenants", [*first, "status", "updated_at"], "version > 1", ending=f"{owner}updated")
        for field in ("plan", "industry"):
            columns, where = [*first, field, "status"], f"{field} IS NOT NULL"
            _create_index("tenants", [*columns, "created_at", "id"], where, ending=f"{owner}{field}_created")
            if owner:
                _create_index("tenants", [*columns, "name_key", "id"], where, ending=f"{owner}{field}_name")
    _create_table(
        "erasures",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("tenant_id", Identifier, nullable=False),
        Column("purged_at", Instant),
        Column("erased_at", Instant),
        key=("partner_id", "tenant_id"),
    )
    _create_index("erasures", ["tenant_id"])
    _create_index("erasures", ["purged_at"], "purged_at IS NOT NULL")
    _create_table(
        "usage",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("tenants", BigInteger, nullable=False),
        Column("reserved", BigInteger, nullable=False, server_default=text("0")),
        Column("most", BigInteger),
        Column("doubtful_until", Instant),
        key=("partner_id",),
    )


def _create_events() -> None:
    _create_table(
        "events",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("id", Identifier, nullable=False),
        Column("position", BigInteger),
        Column("type", String(64), nullable=False),
        Column("timestamp", Instant, nullable=False),
        Column("tenant_id", Identifier),
        Column("request_id", String(128)),
        Column("actor_subject", String(255)),
        Column("actor_partner", String(255)),
        Column("actor_address", String(64)),
        Column("actor_user_agent", String(255)),
        Column("data", JsonText, nullable=False),
        Column("changes", JsonText),
        Column("traceparent", String(55)),
        key=("partner_id", "id"),
        unique=(("partner_id", "position"),),
    )
    _create_index("events", ["partner_id", "timestamp", "id"], "position IS NULL")
    _create_index("events", ["partner_id", "tenant_id", "position"])
    _create_table(
        "feeds",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("position", BigInteger, nullable=False),
        Column("removed", BigInteger, nullable=False),
        Column("published_at", Instant),
        key=("partner_id",),
    )


def _create_requests() -> None:
    """Create the tables of stored responses and of the partners that may call."""
    _create_table(
        "idempotency",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("key", ordered_text(255), nullable=False),
        Column("fingerprint", String(64), nullable=False),
        Column("expires_at", Instant, nullable=False),
        Column("status", Integer),
        Column("headers", JsonText),
        Column("body", JsonText),
        Column("tenant_id", Identifier),
        key=("partner_id", "key"),
    )
    _create_index("idempotency", ["expires_at"])
    _create_table(
        "partners",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("name", String(255)),
        Column("contact", String(255)),
        Column("status", String(16), nullable=False),
        Column("suspended_reason", String(500)),
        Column("max_tenants", Integer),
        Column("allowed_plans", JsonText),
        Column("version", Integer, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        Column("parent", ordered_text(255)),
        key=("partner_id",),
    )
    _create_index("partners", ["parent"], "parent IS NOT NULL")


def _create_steps() -> None:
    _create_table(
        "runs",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("tenant_id", Identifier, nullable=False),
        Column("phase", ordered_text(16), nullable=False),
        Column("state", String(16), nullable=False),
        Column("outcome", String(16)),
        Column("round", Integer, nullable=False),
        Column("request_id", String(128)),
        Column("created_at", Instant, nullable=False),
        Column("finished_at", Instant),
        key=("partner_id", "tenant_id", "phase"),
    )
    _create_table(
        "steps",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("tenant_id", Identifier, nullable=False),
        Column("phase", ordered_text(16), nullable=False),
        Column("name", ordered_text(100), nullable=False),
        Column("position", Integer, nullable=False),
        Column("after", JsonText, nullable=False),
        Column("state", String(16), nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("undo_attempts", Integer, nullable=False),
        Column("generation", Integer, nullable=False),
        Column("fence", Integer, nullable=False),
        Column("due_at", Instant),
        Column("started_at", Instant),
        Column("finished_at", Instant),
        Column("error_class", String(255)),
        Column("error_message", String(500)),
        Column("error_reason", String(1000)),
        Column("memory", JsonText),
        Column("traceparent", String(55)),
        key=("partner_id", "tenant_id", "phase", "name"),
    )
    _create_index("steps", ["due_at"], "due_at IS NOT NULL")


def _create_webhooks() -> None:
    _create_table(
        "webhooks",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("id", Identifier, nullable=False),
        Column("url", String(2048), nullable=False),
        Column("description", String(255)),
        Column("events", JsonText, nullable=False),
        Column("signing", String(3), nullable=False),
        Column("secrets", Text, nullable=False),
        Column("enabled", SmallInteger, nullable=False),
        Column("disabled_reason", String(16)),
        Column("version", Integer, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        Column("failing_since", Instant),
        Column("failures", Integer, nullable=False),
        Column("rests_until", Instant),
        Column("due_at", Instant),
        Column("leased_until", Instant),
        Column("fence", Integer, nullable=False),
        key=("partner_id", "id"),
    )
    _create_index("webhooks", ["due_at"], "due_at IS NOT NULL")
    _create_table(
        "deliveries",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("webhook_id", Identifier, nullable=False),
        Column("id", Identifier, nullable=False),
        Column("event_id", Identifier, nullable=False),
        Column("tenant_id", Identifier),
        Column("position", BigInteger),
        Column("state", String(16), nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("resent", SmallInteger, nullable=False),
        Column("due_at", Instant),
        Column("created_at", Instant, nullable=False),
        Column("finished_at", Instant),
        Column("payload", JsonText),
        key=("partner_id", "id"),
    )
    _create_index("deliveries", ["partner_id", "webhook_id", "id"])
    _create_index("deliveries", ["partner_id", "tenant_id", "id"], "tenant_id IS NOT NULL")
    columns = ["partner_id", "webhook_id", "due_at", "position"]
    _create_index("deliveries", columns, "due_at IS NOT NULL", ending="pending")
    _create_table(
        "attempts",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("delivery_id", Identifier, nullable=False),
        Column("number", Integer, nullable=False),
        Column("at", Instant, nullable=False),
        Column("status", Integer),
        Column("latency_ms", Integer, nullable=False),
        Column("error", String(255)),
        Column("answer", Text),
        Column("internal", SmallInteger),
        key=("partner_id", "delivery_id", "number"),
    )


def _create_bulk_jobs() -> None:
    _create_table(
        "bulk_jobs",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("id", Identifier, nullable=False),
        Column("operation", String(16), nullable=False),
        Column("mode", String(16), nullable=False),
        Column("rehearsal", SmallInteger, nullable=False),
        Column("cells", SmallInteger, nullable=False),
        Column("state", String(16), nullable=False),
        Column("rows", Integer, nullable=False),
        Column("chunks", Integer, nullable=False),
        Column("succeeded", Integer, nullable=False),
        Column("failed", Integer, nullable=False),
        Column("unchanged", Integer, nullable=False),
        Column("actor", JsonText, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("started_at", Instant),
        Column("finished_at", Instant),
        Column("due_at", Instant),
        Column("traceparent", String(55)),
        key=("partner_id", "id"),
    )
    _create_index("bulk_jobs", ["due_at"], "due_at IS NOT NULL")
    _create_table(
        "bulk_chunks",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("job_id", Identifier, nullable=False),
        Column("number", Integer, nullable=False),
        Column("first_row", Integer, nullable=False),
        Column("rows", Integer, nullable=False),
        Column("first_line", Integer, nullable=False),
        Column("fence", Integer, nullable=False),
        Column("claims", Integer, nullable=False),
        Column("leased_until", Instant),
        Column("license_room", Integer, nullable=False),
        Column("partner_room", Integer, nullable=False),
        Column("done_at", Instant),
        Column("succeeded", Integer, nullable=False),
        Column("failed", Integer, nullable=False),
        Column("unchanged", Integer, nullable=False),
        Column("lines", LargeBinary),
        Column("payload", LargeBinary, nullable=False),
        Column("results", LargeBinary),
        key=("partner_id", "job_id", "number"),
        sqlite_with_rowid=True,
    )
    _create_index("bulk_chunks", ["leased_until"], "license_room > 0 OR partner_room > 0")
    _create_table(
        "bulk_keys",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("job_id", Identifier, nullable=False),
        Column("key", ordered_text(160), nullable=False),
        Column("row", Integer, nullable=False),
        key=("partner_id", "job_id", "key"),
    )


def _create_settings() -> None:
    _create_table(
        "settings",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("tenant_id", ordered_text(36), nullable=False),
        Column("version", Integer, nullable=False),
        Column("document", JsonText, nullable=False),
        Column("secrets", Text),
        Column("updated_at", Instant, nullable=False),
        Column("history_bytes", Integer, nullable=False),
        key=("partner_id", "tenant_id"),
    )
    _create_table(
        "settings_history",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("tenant_id", ordered_text(36), nullable=False),
        Column("version", Integer, nullable=False),
        Column("document", JsonText, nullable=False),
        Column("secrets", Text),
        Column("changes", JsonText, nullable=False),
        Column("at", Instant, nullable=False),
        Column("actor_subject", String(255), nullable=False),
        Column("actor_partner", String(255), nullable=False),
        Column("request_id", String(128)),
        key=("partner_id", "tenant_id", "version"),
    )


def _create_clients() -> None:
    """Create the tables of API clients and of the assertions that they have used."""
    _create_table(
        "clients",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("client_id", Identifier, nullable=False),
        Column("name", String(255), nullable=False),
        Column("permissions", JsonText, nullable=False),
        Column("status", String(16), nullable=False),
        Column("expires_at", Instant),
        Column("networks", JsonText, nullable=False),
        Column("authentication", String(32), nullable=False),
        Column("secret_hash", String(64)),
        Column("previous_secret_hash", String(64)),
        Column("previous_secret_expires_at", Instant),
        Column("jwks", JsonText),
        Column("jwks_url", String(2048)),
        Column("generation", Integer, nullable=False),
        Column("last_used_at", Instant),
        Column("version", Integer, nullable=False),
        Column("created_by", String(255), nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        key=("partner_id", "client_id"),
    )
    _create_index("clients", ["client_id"])
    _create_table(
        "assertions",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("client_id", Identifier, nullable=False),
        Column("jti_hash", String(64), nullable=False),
        Column("expires_at", Instant, nullable=False),
        key=("partner_id", "client_id", "jti_hash"),
    )
    _create_index("assertions", ["expires_at"])


def _create_invitations() -> None:
    _create_table(
        "invitations",
        Column("partner_id", ordered_text(255), nullable=False),
        Column("id", Identifier, nullable=False),
        Column("tenant_id", Identifier, nullable=False),
        Column("email", String(254), nullable=False),
        Column("email_key", ordered_text(1024), nullable=False),
        Column("name", String(255)),
        Column("locale", String(35)),
        Column("state", String(16), nullable=False),
        Column("generation", Integer, nullable=False),
        Column("token_hash", String(64), nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("fence", Integer, nullable=False),
        Column("due_at", Instant),
        Column("sent_at", Instant),
        Column("expires_at", Instant),
        Column("ended_at", Instant),
        Column("error_class", String(255)),
        Column("error_message", String(500)),
        Column("request_id", String(128)),
        Column("traceparent", String(55)),
        Column("version", Integer, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        key=("partner_id", "id"),
    )
    _create_index("invitations", ["id"])
    _create_index("invitations", ["partner_id", "tenant_id", "id"])
    _create_index("invitations", ["due_at"], "due_at IS NOT NULL")
