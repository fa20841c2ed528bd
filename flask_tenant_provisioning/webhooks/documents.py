"""Endpoints, deliveries and attempts as the API shows them."""

from __future__ import annotations

import json
from typing import Any

from ..database import shown
from .models import Attempt, Delivery, Endpoint
from .secrets import public_key


def webhook(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint, without any secret."""
    return {
        "webhook": endpoint.id,
        "partner": endpoint.partner_id,
        "url": endpoint.url,
        "description": endpoint.description,
        "events": json.loads(endpoint.events),
        "signing": endpoint.signing,
        "enabled": bool(endpoint.enabled),
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": shown(endpoint.failing_since),
        "public_key": public_key(endpoint),
        "version": endpoint.version,
        "created_at": shown(endpoint.created_at),
        "updated_at": shown(endpoint.updated_at),
    }


def delivery(found: Delivery) -> dict[str, Any]:
    """A delivery."""
    return {
        "delivery": found.id,
        "webhook": found.webhook_id,
        "partner": found.partner_id,
        "event": found.event_id,
        "tenant": found.tenant_id,
        "state": found.state,
        "attempts": found.attempts,
        "resent": bool(found.resent),
        "next_attempt_at": shown(found.due_at),
        "created_at": shown(found.created_at),
        "finished_at": shown(found.finished_at),
    }


def attempt(made: Attempt, *, shows_internal: bool) -> dict[str, Any]:
    """An attempt at a delivery; what a server in the operator's own network answered is shown to administrators."""
    return {
        "number": made.number,
        "at": shown(made.at),
        "status": made.status,
        "latency_ms": made.latency_ms,
        "error": made.error,
        "answer": made.answer if shows_internal or not made.internal else None,
    }
