"""The tables of API clients and of the assertions that they have used, their rows, and how the API shows a client."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from sqlalchemy import Column, Index, Integer, MetaData, PrimaryKeyConstraint, String, Table

from ..database.ids import shorten_instant
from ..database.types import Identifier, Instant, JsonText, name_table, ordered_text

STATUSES = ("enabled", "disabled")
#: The ways in which a client authenticates at the token endpoint: by a secret (RFC 6749 §2.3.1), or by an assertion
#: that it signs with a key of its own (RFC 7523).
CLIENT_SECRET, PRIVATE_KEY_JWT = "client_secret", "private_key_jwt"
AUTHENTICATION_METHODS = (CLIENT_SECRET, PRIVATE_KEY_JWT)


class Client(NamedTuple):
    """One partner's API client.

    `permissions` and `networks` are JSON lists of texts; without a network, every address may use it. `status` is
    ``enabled`` or ``disabled``. `authentication` is ``client_secret`` or ``private_key_jwt``. The hashes are SHA-256 in
    hexadecimal, None without a secret; the previous secret is valid until `previous_secret_expires_at`. `jwks` is a
    JSON Web Key Set, `jwks_url` the address of one. Access tokens name the `generation`; once it is raised, all earlier
    tokens are refused. `last_used_at` is a full minute. `created_by` is the subject that created it.
    """

    partner_id: str
    client_id: str
    name: str
    permissions: str
    status: str
    expires_at: str | None
    networks: str
    authentication: str
    secret_hash: str | None
    previous_secret_hash: str | None
    previous_secret_expires_at: str | None
    jwks: str | None
    jwks_url: str | None
    generation: int
    last_used_at: str | None
    version: int
    created_by: str
    created_at: str
    updated_at: str

    @property
    def key(self) -> dict[str, str]:
        """The primary key, by column."""
        return {"partner_id": self.partner_id, "client_id": self.client_id}

    def is_valid_at(self, moment: str) -> bool:
        """Return whether it may be used at this instant: it is enabled and has not expired."""
        return self.status == "enabled" and (self.expires_at is None or moment < self.expires_at)

    def list_permissions(self) -> list[str]:
        """Return its permissions."""
        permissions: list[str] = json.loads(self.permissions)
        return permissions


def clients_table(metadata: MetaData) -> Table:
    """Define the table of clients. The token endpoint, which knows no partner, finds one by its id alone."""
    return Table(
        name_table(metadata, "clients"),
        metadata,
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
        PrimaryKeyConstraint("partner_id", "client_id"),
        Index(None, "client_id"),
        sqlite_with_rowid=False,
    )


def assertions_table(metadata: MetaData) -> Table:
    """Define the table of used assertions (RFC 7523 §3): the SHA-256 of each one's `jti`, until it has expired."""
    return Table(
        name_table(metadata, "assertions"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("client_id", Identifier, nullable=False),
        Column("jti_hash", String(64), nullable=False),
        Column("expires_at", Instant, nullable=False),
        PrimaryKeyConstraint("partner_id", "client_id", "jti_hash"),
        Index(None, "expires_at"),
        sqlite_with_rowid=False,
    )


def render_client(client: Client) -> dict[str, Any]:
    """Render a client for the API, without its secrets and their hashes."""
    return {
        "client": client.client_id,
        "partner": client.partner_id,
        "name": client.name,
        "permissions": client.list_permissions(),
        "status": client.status,
        "expires_at": shorten_instant(client.expires_at),
        "networks": json.loads(client.networks),
        "authentication": client.authentication,
        "jwks": None if client.jwks is None else json.loads(client.jwks),
        "jwks_url": client.jwks_url,
        "previous_secret_expires_at": shorten_instant(client.previous_secret_expires_at),
        "generation": client.generation,
        "last_used_at": shorten_instant(client.last_used_at),
        "created_by": client.created_by,
        "version": client.version,
        "created_at": shorten_instant(client.created_at),
        "updated_at": shorten_instant(client.updated_at),
    }
