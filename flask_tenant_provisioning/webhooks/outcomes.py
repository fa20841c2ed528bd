"""Record the outcomes of a round: retry schedule (Standard Webhooks 1.0.0), circuit breaker, disabling endpoints."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from ..access.principal import WORKER_SUBJECT, Actor, Principal
from ..database.errors import LeaseLost
from ..database.ids import format_instant
from ..database.lease import bind_claim
from ..database.session import Session
from ..database.statements import encode_rows, name_new_values
from ..events.actions import build_event, record_event
from .models import MAX_ANSWER_BYTES, MAX_ERROR_LENGTH, MAX_SUCCESS_ANSWER_BYTES, Delivery, Endpoint
from .statements import DeliverySQL

#: Seconds from each attempt to the next, before jitter; the first attempt is immediate.
RETRY_DELAYS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
MAX_ATTEMPTS = len(RETRY_DELAYS) + 1
JITTER = 0.2
#: The statuses of responses in which ``Retry-After`` is obeyed.
SLOW_DOWN_STATUSES = frozenset({429, 502, 503, 504})
#: The minimum rest of an endpoint after a timeout or 429, in seconds.
SLOW_DOWN_SECONDS = 60.0


def calculate_retry_delay(
    attempts: int,
    retry_after: str | None = None,
    *,
    is_overloaded: bool = False,
    now: float = 0.0,
    uniform: Callable[[float, float], float] = random.uniform,
) -> float | None:
    """Return the seconds until the next attempt after `attempts` attempts, or None if that was the last one.

    `retry_after` is limited to between one and two times the scheduled delay. If the receiver
    `is_overloaded` (a timeout or 429), the delay is at least `SLOW_DOWN_SECONDS`. `now` is in seconds since 1970.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    scheduled = RETRY_DELAYS[attempts - 1]
    delay = scheduled * uniform(1 - JITTER, 1 + JITTER)
    requested = parse_retry_after(retry_after, now)
    if requested is not None:
        delay = min(max(requested, scheduled), 2 * scheduled)
    return max(delay, SLOW_DOWN_SECONDS) if is_overloaded else delay


def parse_retry_after(retry_after: str | None, now: float) -> float | None:
    """Return the seconds from `now` that a ``Retry-After`` header asks for (RFC 9110 §10.2.3), or None if invalid."""
    if not retry_after:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now


#: An endpoint at which every attempt has failed for this long, in seconds, is disabled.
DISABLE_AFTER_SECONDS = 5 * 86_400
#: The rest after a round in which every attempt failed, in seconds; it doubles with each such round.
MIN_REST_SECONDS, MAX_REST_SECONDS = 5.0, 300.0
#: A round of at least this many attempts, all failed, opens the circuit.
CIRCUIT_BREAKER_FAILURES = 5


class Outcome(NamedTuple):
    """The outcome of one attempt, started at the instant `at`: the `status` of the response, or the `error`.

    `retry_after` is the unparsed ``Retry-After`` header of the response, and `answer` the start of its body, which came
    from an internal network that the operator's configuration allows if it `is_internal`. `failure` is the kind of a
    failure without a response (`client.sender.SendFailure`). `latency` is in seconds. With `stops_round` (a timeout,
    410 or 429) the remaining deliveries of its round are sent later; a failure that `is_permanent` is not retried.
    """

    delivery: Delivery
    at: str
    status: int | None = None
    retry_after: str | None = None
    answer: str | None = None
    is_internal: bool = False
    error: str | None = None
    failure: str | None = None
    latency: float = 0.0
    stops_round: bool = False
    is_permanent: bool = False

    @property
    def is_success(self) -> bool:
        """True if the receiver accepted the delivery, which only a 2xx status means."""
        return self.status is not None and 200 <= self.status < 300


def record_round(
    session: Session, endpoint: Endpoint, outcomes: Sequence[Outcome], keep_lease: bool
) -> Endpoint | None:
    """Record the outcomes of a round, reschedule its deliveries, and update the endpoint's state and lease.

    Returns the updated endpoint if `keep_lease` is set and more is due now. Otherwise releases the lease and returns
    None. Raises `LeaseLost` if the lease is no longer held.
    """
    sql = session.storage.once(DeliverySQL)
    where = bind_claim(endpoint)
    row = session.run(sql.lock_held, where).fetchone()
    if row is None:
        raise LeaseLost(endpoint.id)
    now, current = session.storage.clock(), Endpoint._make(row)
    if outcomes:
        of_partner = {"partner_id": endpoint.partner_id}
        session.run(sql.insert_attempts, {**of_partner, "rows": encode_rows(map(_build_attempt_row, outcomes))})
        session.run(
            sql.save_outcomes,
            {**of_partner, "rows": encode_rows(_build_delivery_row(outcome, now) for outcome in outcomes)},
        )
    changes = _judge_endpoint(current, outcomes, now)
    if current.enabled and not changes["enabled"]:
        _record_disabled_event(session, current, changes)
    next_due = session.run(sql.select_next_due, where).fetchone() if changes["enabled"] else None
    due_at = next_due[0] if next_due else None
    is_due_now = due_at is not None and due_at <= format_instant(now) and changes["rests_until"] is None
    is_kept = keep_lease and is_due_now
    changes["due_at"] = due_at
    statement = sql.save_endpoint_state if is_kept else sql.save_and_release_endpoint
    session.run(statement, {**where, **name_new_values(changes)})
    return current._replace(**changes) if is_kept else None


def _build_attempt_row(outcome: Outcome) -> dict[str, Any]:
    delivery, answer = outcome.delivery, outcome.answer
    if answer is not None:
        answer = _truncate(answer, MAX_SUCCESS_ANSWER_BYTES if outcome.is_success else MAX_ANSWER_BYTES)
    return {
        "delivery_id": delivery.id,
        "number": delivery.attempts + 1,
        "at": outcome.at,
        "status": outcome.status,
        "latency_ms": round(outcome.latency * 1000),
        "error": None if outcome.error is None else outcome.error[:MAX_ERROR_LENGTH],
        "answer": answer,
        "internal": int(outcome.is_internal),
    }


def _truncate(text: str, longest: int) -> str:
    """Cut `text` to at most `longest` bytes of UTF-8, without splitting a character."""
    return text.encode()[:longest].decode(errors="ignore")


def _build_delivery_row(outcome: Outcome, now: float) -> dict[str, Any]:
    delivery, attempts = outcome.delivery, outcome.delivery.attempts + 1
    delay = None
    if not (outcome.is_success or outcome.is_permanent or delivery.resent or outcome.status == 410):
        retry_after = outcome.retry_after if outcome.status in SLOW_DOWN_STATUSES else None
        delay = calculate_retry_delay(attempts, retry_after, is_overloaded=outcome.stops_round, now=now)
    state = "succeeded" if outcome.is_success else "failed"
    due_at = None
    if delay is not None:
        state, due_at = "pending", format_instant(now + delay)
    return {
        "id": delivery.id,
        "state": state,
        "attempts": attempts,
        "due_at": due_at,
        "finished_at": format_instant(now) if due_at is None else None,
    }


def _judge_endpoint(endpoint: Endpoint, outcomes: Sequence[Outcome], now: float) -> dict[str, Any]:
    """Return the endpoint's state after a round: healthy, resting, or disabled."""
    state = {**{name: getattr(endpoint, name) for name in _JUDGED_COLUMNS}, "rests_until": None}
    attempts = [outcome for outcome in outcomes if not outcome.is_permanent]
    if any(outcome.status == 410 for outcome in attempts):
        return state | _disable_endpoint(endpoint, "gone", now)
    if any(outcome.is_success for outcome in attempts):
        state |= {"failing_since": None, "failures": 0}
    elif attempts:
        state["failing_since"] = since = endpoint.failing_since or attempts[0].at
        if now - datetime.fromisoformat(since).timestamp() >= DISABLE_AFTER_SECONDS:
            return state | _disable_endpoint(endpoint, "failing", now)
        state |= _open_circuit(endpoint, len(attempts), now)
    if any(outcome.stops_round for outcome in attempts):
        state["rests_until"] = max(format_instant(now + SLOW_DOWN_SECONDS), state["rests_until"] or "")
    return state


def _open_circuit(endpoint: Endpoint, failed: int, now: float) -> dict[str, Any]:
    """Let an endpoint rest after a round in which every attempt failed, unless it was the first and a small one."""
    if not endpoint.failures and failed < CIRCUIT_BREAKER_FAILURES:
        return {}
    seconds = min(MIN_REST_SECONDS * 2**endpoint.failures, MAX_REST_SECONDS)
    return {"failures": endpoint.failures + 1, "rests_until": format_instant(now + seconds)}


def _disable_endpoint(endpoint: Endpoint, reason: str, now: float) -> dict[str, Any]:
    at = format_instant(now)
    return {"enabled": 0, "disabled_reason": reason, "version": endpoint.version + 1, "updated_at": at}


def _record_disabled_event(session: Session, endpoint: Endpoint, changes: Mapping[str, Any]) -> None:
    """Record that the endpoint was disabled; the log line follows the commit."""
    reason = changes["disabled_reason"]
    document = {"webhook": endpoint.id, "url": endpoint.url, "enabled": False, "disabled_reason": reason}
    actor = Actor(Principal(WORKER_SUBJECT, endpoint.partner_id))
    at = changes["updated_at"]
    record_event(session, build_event(session.storage, actor, "webhook.disabled", endpoint.partner_id, document, at))


_JUDGED_COLUMNS = ("enabled", "disabled_reason", "failing_since", "failures", "version", "updated_at")
