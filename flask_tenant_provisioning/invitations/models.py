"""The table of invitations, and an invitation as JSON."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Column, Index, Integer, MetaData, PrimaryKeyConstraint, String, Table

from ..database.ids import shorten_instant
from ..database.types import Identifier, Instant, name_table, ordered_text

#: The states in which an invitation may still be accepted or will be sent, and those in which it has ended.
OPEN_STATES = ("waiting", "sending", "sent", "failed")
ENDED_STATES = ("accepted", "revoked", "expired")
STATES = (*OPEN_STATES, *ENDED_STATES)
#: The kind of work that workers are notified of, in front of the key of a due invitation.
INVITATION_WORK = "invitations"
#: Maximum lengths of an error's class and of its message for partners, in characters.
MAX_CLASS_LENGTH, MAX_MESSAGE_LENGTH = 255, 500


class InvitationRow(NamedTuple):
    """One invitation of an administrator of a tenant, as stored.

    `state` is ``waiting`` (until its tenant is active), ``sending`` (attempts are made), ``sent``, ``failed`` (no
    further attempt follows), or final: ``accepted``, ``revoked``, ``expired``. `generation` counts from 1, and grows
    with each new token; of the token only `token_hash` is stored (SHA-256, hexadecimal). `due_at` is the time of the
    next attempt, once it is sent that of its expiry, or while the row is claimed the end of its lease. `fence` grows
    with every claim and every change by a request, so that only the latest claim can record an outcome. `expires_at` is
    None before the first attempt is due. `traceparent` is that of the request which asked for it.
    """

    partner_id: str
    id: str
    tenant_id: str
    email: str
    email_key: str
    name: str | None
    locale: str | None
    state: str
    generation: int
    token_hash: str
    attempts: int
    fence: int
    due_at: str | None
    sent_at: str | None
    expires_at: str | None
    ended_at: str | None
    error_class: str | None
    error_message: str | None
    request_id: str | None
    traceparent: str | None
    version: int
    created_at: str
    updated_at: str

    @property
    def key(self) -> dict[str, Any]:
        """The primary key, by column."""
        return {"partner_id": self.partner_id, "id": self.id}

    @property
    def is_open(self) -> bool:
        """True if it can still be sent or accepted."""
        return self.state in OPEN_STATES


def invitations_table(metadata: MetaData) -> Table:
    """Build the table with one row per invitation, with an index on `due_at`."""
    due_at: Column[str] = Column("due_at", Instant)
    return Table(
        name_table(metadata, "invitations"),
        metadata,
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
        due_at,
        Column("sent_at", Instant),
        Column("expires_at", Instant),
        Column("ended_at", Instant),
        Column("error_class", String(MAX_CLASS_LENGTH)),
        Column("error_message", String(MAX_MESSAGE_LENGTH)),
        Column("request_id", String(128)),
        Column("traceparent", String(55)),
        Column("version", Integer, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        PrimaryKeyConstraint("partner_id", "id"),
        Index(None, "id"),
        Index(None, "partner_id", "tenant_id", "id"),
        Index(None, "due_at", postgresql_where=due_at.is_not(None), sqlite_where=due_at.is_not(None)),
        sqlite_with_rowid=False,
    )


def render_admin(row: InvitationRow) -> dict[str, Any]:
    """Render the person who is invited."""
    return {"email": row.email, "name": row.name, "locale": row.locale}


def render_invitation(row: InvitationRow) -> dict[str, Any]:
    """Render an invitation as in responses and events: without its token, which only the person invited learns."""
    error = {"class": row.error_class, "message": row.error_message} if row.error_class else None
    return {
        "invitation": row.id,
        "tenant": row.tenant_id,
        "partner": row.partner_id,
        "admin": render_admin(row),
        "state": row.state,
        "attempts": row.attempts,
        "error": error,
        "next_attempt_at": shorten_instant(row.due_at) if row.state == "sending" else None,
        "sent_at": shorten_instant(row.sent_at),
        "expires_at": shorten_instant(row.expires_at),
        "ended_at": shorten_instant(row.ended_at),
        "version": row.version,
        "created_at": shorten_instant(row.created_at),
        "updated_at": shorten_instant(row.updated_at),
    }
