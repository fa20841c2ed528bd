"""The tables of webhooks (endpoints, deliveries, attempts), their rows, and how the API shows a row."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
)

from ..database.ids import shorten_instant
from ..database.types import Identifier, Instant, JsonText, name_table, ordered_text

#: The maximum stored length of a response body, in bytes of UTF-8: of a failed attempt, and of a successful one.
MAX_ANSWER_BYTES, MAX_SUCCESS_ANSWER_BYTES = 8192, 1024
#: The maximum length of an attempt's `error`, in characters.
MAX_ERROR_LENGTH = 255
#: The kind of work that workers are notified of, in front of the key of an endpoint with due deliveries.
DELIVERY_WORK = "deliveries"


class EndpointKey(NamedTuple):
    """The primary key of an endpoint."""

    partner_id: str
    id: str


class Endpoint(NamedTuple):
    """One partner's endpoint.

    `events` is a JSON list of globs. `signing` is the scheme of its signatures, ``v1`` (HMAC) or ``v1a`` (Ed25519).
    `secrets` is a JSON list of ``{"sealed", "until"}``, the newest first: each is sealed by the keyring, bound to
    ``webhook:<id>``; a replaced one signs until the instant ``until``.
    `disabled_reason` is ``gone`` (it returned 410), ``failing`` (for five days), or None if a person disabled it.
    `failing_since` is the time of the first failure since the last success. `failures` counts the rounds since then in
    which every attempt failed; `rests_until` is the earliest start of the next round. `due_at` is the time of the next
    attempt, or None if there is nothing to send. `leased_until` is the end of the lease of the worker that sends to the
    endpoint, or None. `fence` is the lease's fencing token (`database/lease.py`).
    """

    partner_id: str
    id: str
    url: str
    description: str | None
    events: str
    signing: str
    secrets: str
    enabled: int
    disabled_reason: str | None
    version: int
    created_at: str
    updated_at: str
    failing_since: str | None
    failures: int
    rests_until: str | None
    due_at: str | None
    leased_until: str | None
    fence: int

    @property
    def key(self) -> dict[str, str]:
        """The primary key, by column."""
        return {"partner_id": self.partner_id, "id": self.id}


class Delivery(NamedTuple):
    """The delivery of one event to one endpoint; the event's id is the ``webhook-id`` of every attempt.

    `state` is ``pending``, ``succeeded`` or ``failed``. `position` is the event's position in its feed, None for a test
    event. `due_at` is the time of the next attempt. A delivery that is `resent` by hand is attempted once. `payload` is
    the request body of a test event, which is not in the feed.
    """

    partner_id: str
    webhook_id: str
    id: str
    event_id: str
    tenant_id: str | None
    position: int | None
    state: str
    attempts: int
    resent: int
    due_at: str | None
    created_at: str
    finished_at: str | None
    payload: str | None


def make_pending_delivery(endpoint: EndpointKey, id: str, event_id: str, at: str) -> Delivery:
    """Make a delivery to `endpoint` that is due at the instant `at` and is about no tenant."""
    return Delivery(
        partner_id=endpoint.partner_id,
        webhook_id=endpoint.id,
        id=id,
        event_id=event_id,
        tenant_id=None,
        position=None,
        state="pending",
        attempts=0,
        resent=0,
        due_at=at,
        created_at=at,
        finished_at=None,
        payload=None,
    )


class EventRow(NamedTuple):
    """The columns of an event by which a delivery of it is created."""

    id: str
    tenant_id: str | None
    type: str
    position: int


class Attempt(NamedTuple):
    """One request of a delivery: its time, and either `status` and the start of the response (`answer`), or `error`.

    `internal` is 1 if the response came from an internal network that the operator's configuration allows.
    """

    partner_id: str
    delivery_id: str
    number: int
    at: str
    status: int | None
    latency_ms: int
    error: str | None
    answer: str | None
    internal: int | None = None


def webhooks_table(metadata: MetaData) -> Table:
    """Define the table of endpoints. `due_at` is the next round's time; `leased_until` and `fence` are its lease."""
    due_at: Column[str] = Column("due_at", Instant)
    return Table(
        name_table(metadata, "webhooks"),
        metadata,
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
        due_at,
        Column("leased_until", Instant),
        Column("fence", Integer, nullable=False),
        PrimaryKeyConstraint("partner_id", "id"),
        Index(None, "due_at", postgresql_where=due_at.is_not(None), sqlite_where=due_at.is_not(None)),
        sqlite_with_rowid=False,
    )


def deliveries_table(metadata: MetaData) -> Table:
    """Define the table of deliveries. A partial index lists the pending ones of an endpoint in feed order."""
    due_at: Column[str] = Column("due_at", Instant)
    tenant_id: Column[str] = Column("tenant_id", Identifier)
    pending, of_tenant = due_at.is_not(None), tenant_id.is_not(None)
    return Table(
        name_table(metadata, "deliveries"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("webhook_id", Identifier, nullable=False),
        Column("id", Identifier, nullable=False),
        Column("event_id", Identifier, nullable=False),
        tenant_id,
        Column("position", BigInteger),
        Column("state", String(16), nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("resent", SmallInteger, nullable=False),
        due_at,
        Column("created_at", Instant, nullable=False),
        Column("finished_at", Instant),
        Column("payload", JsonText),
        PrimaryKeyConstraint("partner_id", "id"),
        Index(None, "partner_id", "webhook_id", "id"),
        Index(None, "partner_id", "tenant_id", "id", postgresql_where=of_tenant, sqlite_where=of_tenant),
        Index(
            f"{name_table(metadata, 'deliveries')}_pending_idx",
            "partner_id",
            "webhook_id",
            "due_at",
            "position",
            postgresql_where=pending,
            sqlite_where=pending,
        ),
        sqlite_with_rowid=False,
    )


def attempts_table(metadata: MetaData) -> Table:
    """Define the table of attempts."""
    return Table(
        name_table(metadata, "attempts"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("delivery_id", Identifier, nullable=False),
        Column("number", Integer, nullable=False),
        Column("at", Instant, nullable=False),
        Column("status", Integer),
        Column("latency_ms", Integer, nullable=False),
        Column("error", String(MAX_ERROR_LENGTH)),
        Column("answer", Text),
        Column("internal", SmallInteger),
        PrimaryKeyConstraint("partner_id", "delivery_id", "number"),
        sqlite_with_rowid=False,
    )


def get_public_key(endpoint: Endpoint) -> str | None:
    """Return the newest ``whpk_`` key, or None for ``v1``."""
    key: str | None = json.loads(endpoint.secrets)[0].get("public")
    return key


def render_endpoint(endpoint: Endpoint) -> dict[str, Any]:
    """Render an endpoint for the API, without its secrets."""
    return {
        "webhook": endpoint.id,
        "partner": endpoint.partner_id,
        "url": endpoint.url,
        "description": endpoint.description,
        "events": json.loads(endpoint.events),
        "signing": endpoint.signing,
        "enabled": bool(endpoint.enabled),
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": shorten_instant(endpoint.failing_since),
        "public_key": get_public_key(endpoint),
        "version": endpoint.version,
        "created_at": shorten_instant(endpoint.created_at),
        "updated_at": shorten_instant(endpoint.updated_at),
    }


def render_delivery(delivery: Delivery) -> dict[str, Any]:
    """Render a delivery for the API."""
    return {
        "delivery": delivery.id,
        "webhook": delivery.webhook_id,
        "partner": delivery.partner_id,
        "event": delivery.event_id,
        "tenant": delivery.tenant_id,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "resent": bool(delivery.resent),
        "next_attempt_at": shorten_instant(delivery.due_at),
        "created_at": shorten_instant(delivery.created_at),
        "finished_at": shorten_instant(delivery.finished_at),
    }


def render_attempt(attempt: Attempt, *, shows_internal: bool) -> dict[str, Any]:
    """Render an attempt for the API. Responses from an internal network are shown only if `shows_internal`."""
    return {
        "number": attempt.number,
        "at": shorten_instant(attempt.at),
        "status": attempt.status,
        "latency_ms": attempt.latency_ms,
        "error": attempt.error,
        "answer": attempt.answer if shows_internal or not attempt.internal else None,
    }
