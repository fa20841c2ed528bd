"""What became of a round's attempts: written down, tried again later, given up; an endpoint rests or is disabled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from ..access import Actor, Principal
from ..database import Session, instant, renewal
from ..database.incoming import rows
from ..events import event, record as record_event
from .delivery_statements import DeliverySQL
from .models import LONGEST_ANSWER, LONGEST_ERROR, LONGEST_SUCCESS, Delivery, Endpoint
from .schedule import REST, SLOW, wait

#: An endpoint at which everything has failed for so long is disabled, in seconds.
PATIENCE = 5 * 86_400
#: How long an endpoint rests after a round that failed whole: longer after each, in seconds.
SHORTEST_REST, LONGEST_REST = 5.0, 300.0
#: A round of so many attempts that all failed opens the circuit.
BREAKS_AT = 5
SENDER = "provisioning-worker"


class Superseded(Exception):
    """Somebody else works for the endpoint by now, or it is gone."""


class Outcome(NamedTuple):
    """One attempt, begun at the instant `at`: the answer's `status`, or why there is none. `latency` is in seconds.

    One that `halts` lets the rest of its round wait; a `lasting` failure is not tried again.
    """

    delivery: Delivery
    at: str
    status: int | None = None
    retry_after: str | None = None
    answer: str | None = None
    is_internal: bool = False
    error: str | None = None
    latency: float = 0.0
    halts: bool = False
    lasting: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether it was taken: 2xx alone is success."""
        return self.status is not None and 200 <= self.status < 300


def record(session: Session, endpoint: Endpoint, outcomes: Sequence[Outcome], keep: bool) -> Endpoint | None:
    """Write a round down; returns the endpoint as it is now where it is kept, with more that is due at once.

    Raises `Superseded`.
    """
    sql = session.storage.once(DeliverySQL)
    where = {"partner_id": endpoint.partner_id, "id": endpoint.id, "fence": endpoint.fence}
    row = session.run(sql.hold, where).fetchone()
    if row is None:
        raise Superseded(endpoint.id)
    now, held = session.storage.clock(), Endpoint._make(row)
    if outcomes:
        of_partner = {"partner_id": endpoint.partner_id}
        session.run(sql.attempt, {**of_partner, "rows": rows(map(_attempted, outcomes))})
        session.run(sql.settle, {**of_partner, "rows": rows(_settled(outcome, now) for outcome in outcomes)})
    changes = _judged(held, outcomes, now)
    if held.enabled and not changes["enabled"]:
        _tell(session, held, changes)
    following = session.run(sql.next, where).fetchone() if changes["enabled"] else None
    due_at = following[0] if following else None
    goes_on = keep and due_at is not None and due_at <= instant(now) and changes["rests_until"] is None
    changes |= {"due_at": due_at, "leased_until": held.leased_until, "fence": held.fence}
    if not goes_on:
        # With its fence, so that a renewal on its way at this moment does not take it back.
        changes |= {"leased_until": None, "fence": held.fence + 1}
    session.run(sql.rest, {**where, **renewal(changes)})
    return held._replace(**changes) if goes_on else None


def _attempted(outcome: Outcome) -> dict[str, Any]:
    delivery = outcome.delivery
    return {
        "delivery_id": delivery.id,
        "number": delivery.attempts + 1,
        "at": outcome.at,
        "status": outcome.status,
        "latency_ms": round(outcome.latency * 1000),
        "error": outcome.error and outcome.error[:LONGEST_ERROR],
        "answer": outcome.answer
        and _beginning(outcome.answer, LONGEST_SUCCESS if outcome.succeeded else LONGEST_ANSWER),
        "internal": int(outcome.is_internal),
    }


def _beginning(text: str, longest: int) -> str:
    """As much of a text as fits into so many bytes of UTF-8."""
    return text.encode()[:longest].decode(errors="ignore")


def _settled(outcome: Outcome, now: float) -> dict[str, Any]:
    delivery, attempts = outcome.delivery, outcome.delivery.attempts + 1
    state, due_at = "succeeded", None
    if not outcome.succeeded:
        seconds = None if outcome.lasting or delivery.resent or outcome.status == 410 else _wait(outcome, attempts, now)
        state, due_at = ("failed", None) if seconds is None else ("pending", instant(now + seconds))
    return {
        "id": delivery.id,
        "state": state,
        "attempts": attempts,
        "due_at": due_at,
        "finished_at": instant(now) if due_at is None else None,
    }


def _wait(outcome: Outcome, attempts: int, now: float) -> float | None:
    asked = outcome.retry_after if outcome.status in SLOW else None
    return wait(attempts, asked, slow=outcome.halts, now=now)


def _judged(endpoint: Endpoint, outcomes: Sequence[Outcome], now: float) -> dict[str, Any]:
    """What a round says of its endpoint: well, resting, or disabled."""
    found = {**{name: getattr(endpoint, name) for name in _JUDGED}, "rests_until": None}
    tried = [outcome for outcome in outcomes if not outcome.lasting]
    if any(outcome.status == 410 for outcome in tried):
        return found | _disabled(endpoint, "gone", now)
    if any(outcome.succeeded for outcome in tried):
        found |= {"failing_since": None, "failures": 0}
    elif tried:
        found["failing_since"] = since = endpoint.failing_since or tried[0].at
        if now - datetime.fromisoformat(since).timestamp() >= PATIENCE:
            return found | _disabled(endpoint, "failing", now)
        found |= _broken(endpoint, len(tried), now)
    if any(outcome.halts for outcome in tried):
        found["rests_until"] = max(instant(now + REST), found["rests_until"] or "")
    return found


def _broken(endpoint: Endpoint, failed: int, now: float) -> dict[str, Any]:
    """How long an endpoint rests after a round that failed whole: not at all after a few failures."""
    if not endpoint.failures and failed < BREAKS_AT:
        return {}
    rest = min(SHORTEST_REST * 2**endpoint.failures, LONGEST_REST)
    return {"failures": endpoint.failures + 1, "rests_until": instant(now + rest)}


def _disabled(endpoint: Endpoint, reason: str, now: float) -> dict[str, Any]:
    at = instant(now)
    return {"enabled": 0, "disabled_reason": reason, "version": endpoint.version + 1, "updated_at": at}


def _tell(session: Session, endpoint: Endpoint, changes: Mapping[str, Any]) -> None:
    """Say in the feed that nothing more is sent there; the log has it once that is committed."""
    reason = changes["disabled_reason"]
    document = {"webhook": endpoint.id, "url": endpoint.url, "enabled": False, "disabled_reason": reason}
    actor = Actor(Principal(SENDER, endpoint.partner_id))
    at = changes["updated_at"]
    record_event(session, event(session.storage, actor, "webhook.disabled", endpoint.partner_id, document, at))


_JUDGED = ("enabled", "disabled_reason", "failing_since", "failures", "version", "updated_at")
