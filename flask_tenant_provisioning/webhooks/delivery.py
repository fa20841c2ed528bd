"""Send due deliveries. A worker claims an endpoint, and while its lease lasts no other worker sends to that endpoint.

A round sends a batch of the endpoint's deliveries in parallel lanes and records the outcomes in one transaction. All
deliveries about one tenant go through one lane in feed order, so their first attempts keep that order. Delivery is at
least once: requests that a worker sent but did not record before it died are sent again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ..database.errors import LeaseLost
from ..database.ids import format_instant
from ..database.lease import CLAIM_ATTEMPTS
from ..database.session import Session, Storage
from ..encoding import dump_json
from ..events.models import render_event_head
from ..keyring import UnsealError
from ..telemetry.base import WorkSpan
from ..telemetry.instruments import DELIVERY_DURATION, RETRIES
from . import outcomes
from .client.sender import Sender, SendError
from .fairness import SLOW_SECONDS, EndpointSlots, FreeEndpoint
from .models import DELIVERY_WORK, Delivery, Endpoint, EndpointKey
from .outcomes import Outcome
from .signing import SigningKey, sign
from .statements import EVENT_COLUMNS, DeliverySQL

#: The largest body, in bytes: 20 kB, as Standard Webhooks 1.0.0 recommends.
MAX_BODY_BYTES = 20_000


def build_body(row: dict[str, Any]) -> bytes:
    """Build the request body for an event ("Webhooks" in ``docs/api.md``) from its columns.

    Stored JSON is inserted unchanged. A body over `MAX_BODY_BYTES` is replaced by one with ``"truncated": true`` that
    holds only the tenant's id.
    """
    body = _splice(row, row["data"], row["changes"] or "{}").encode()
    if len(body) <= MAX_BODY_BYTES:
        return body
    tenant = dump_json({"tenant": row["tenant_id"]})
    return _splice(row, tenant, "{}", ',"truncated":true').encode()


def _splice(row: dict[str, Any], data: str, changes: str, suffix: str = "") -> str:
    return f'{dump_json(render_event_head(row))[:-1]},"data":{data},"changes":{changes}{suffix}}}'


logger = logging.getLogger(__name__)
#: The maximum number of deliveries in a round, and the number of its lanes.
BATCH_SIZE, LANES = 200, 4
#: The seconds during which a round starts attempts, and during which a worker stays with one endpoint before others get
#: their turn. An endpoint that takes `SLOW_SECONDS` or longer to respond gives up its turn after one round.
ROUND_SECONDS, TURN_SECONDS = 5.0, 20.0
#: The maximum number of database connections that all rounds use at once, because requests share the pool.
MAX_DATABASE_CONNECTIONS = 3
LoadKeys = Callable[[Endpoint, str], list[SigningKey]]


class DueDelivery(NamedTuple):
    """A due delivery, its request body, which is None if the event has been removed, and the event's `traceparent`."""

    delivery: Delivery
    body: bytes | None
    traceparent: str | None = None


class DeliveryWork:
    """The webhook work of one mount, for a worker to claim, run, renew and expire; the unit of work is an endpoint.

    `load_keys` returns the signing keys of an endpoint at an instant; `lease` is in seconds.
    """

    #: The number of endpoints that one worker handles at once; most of the time it waits for responses.
    slots = 32

    def __init__(self, storage: Storage, sender: Sender, load_keys: LoadKeys, lease: float) -> None:
        self._storage, self._sender, self._load_keys = storage, sender, load_keys
        self._stopping = False
        self._database_semaphore = threading.BoundedSemaphore(MAX_DATABASE_CONNECTIONS)
        self._endpoint_slots = EndpointSlots(self.slots)
        self.lease = lease

    def claim(self, limit: int) -> list[Endpoint]:
        """Claim at most `limit` endpoints with due deliveries, sharing the slots among partners."""
        for _ in range(CLAIM_ATTEMPTS):
            free_endpoints = self._storage.read(partial(_list_free_endpoints, limit=max(limit, self.slots) * 4))
            chosen_endpoints = self._endpoint_slots.choose(free_endpoints, limit)
            if not chosen_endpoints:
                break
            claim = partial(_claim_endpoints, free_endpoints=chosen_endpoints, lease=self.lease)
            endpoints = self._storage.transaction(claim)
            for endpoint in endpoints:
                self._endpoint_slots.acquire(EndpointKey(endpoint.partner_id, endpoint.id))
            if endpoints:
                return endpoints
        return []

    def renew(self, endpoints: Iterable[Endpoint]) -> None:
        """Extend the leases of endpoints that are being delivered to."""
        lease = self._storage.once(DeliverySQL).lease
        self._storage.transaction(partial(lease.renew, claims=endpoints, seconds=self.lease))

    def timeout(self, endpoint: Endpoint) -> float:
        """Return the maximum time for one endpoint, in seconds: its turn and the longest possible last round."""
        return TURN_SECONDS + 60.0

    def run(self, endpoint: Endpoint) -> None:
        """Deliver to an endpoint until nothing is due, it has to rest, or its turn is over."""
        end, slowest = time.monotonic() + TURN_SECONDS, 0.0
        current: Endpoint | None = endpoint
        try:
            while current is not None:
                results = self._send_batch(current)
                slowest = max([slowest, *(outcome.latency for outcome in results)])
                is_last = self._stopping or time.monotonic() >= end or slowest >= SLOW_SECONDS
                current = self._record_round(current, results, keep_lease=bool(results) and not is_last)
        except LeaseLost:
            logger.info(
                "another worker took over deliveries to webhook %s", endpoint.id, extra=_make_log_fields(endpoint)
            )
        except UnsealError as error:
            logger.error(
                "cannot sign deliveries to webhook %s, will retry: %s",
                endpoint.id,
                error,
                extra=_make_log_fields(endpoint),
            )
        finally:
            self._endpoint_slots.release(EndpointKey(endpoint.partner_id, endpoint.id), slowest)

    def expire(self, endpoint: Endpoint) -> None:
        """Give up an endpoint that exceeded its time; unrecorded requests are sent again."""
        logger.warning(
            "deliveries to webhook %s exceeded their time limit", endpoint.id, extra=_make_log_fields(endpoint)
        )

    def stop(self) -> None:
        """Stop after the rounds in progress."""
        self._stopping = True

    def _send_batch(self, endpoint: Endpoint) -> list[Outcome]:
        """Send at most one batch of due deliveries and return the outcomes."""
        limit = 1 if endpoint.failures else BATCH_SIZE
        with self._database_semaphore:
            due = self._storage.read(partial(_load_due_deliveries, endpoint=endpoint, limit=limit))
        return self._send_lanes(endpoint, due)

    def _record_round(self, endpoint: Endpoint, results: Sequence[Outcome], *, keep_lease: bool) -> Endpoint | None:
        """Record a round. Return the endpoint if `keep_lease` is set and more is due now, else None."""
        with self._database_semaphore:
            return self._storage.transaction(
                partial(outcomes.record_round, endpoint=endpoint, outcomes=results, keep_lease=keep_lease)
            )

    def _send_lanes(self, endpoint: Endpoint, due: Sequence[DueDelivery]) -> list[Outcome]:
        """Send `due` in parallel lanes and return the outcome of each attempt that was started."""
        if not due:
            return []
        current_round, results = _Round(self, endpoint), list[Outcome]()
        lanes: dict[int, list[DueDelivery]] = {}
        for due_delivery in due:
            lanes.setdefault(hash(due_delivery.delivery.tenant_id) % LANES, []).append(due_delivery)
        first_lane, *other_lanes = lanes.values()
        send_lane = current_round.send_lane
        threads = [threading.Thread(target=send_lane, args=(lane, results), daemon=True) for lane in other_lanes]
        for thread in threads:
            thread.start()
        send_lane(first_lane, results)
        for thread in threads:
            thread.join()
        return results


class _Round:
    """The attempts of one round to one endpoint; a timeout, 410 or 429 stops all of its lanes."""

    def __init__(self, work: DeliveryWork, endpoint: Endpoint) -> None:
        self._endpoint, self._sender = endpoint, work._sender
        self._clock, self._telemetry = work._storage.clock, work._storage.telemetry
        self._keys = work._load_keys(endpoint, format_instant(self._clock()))
        self._end = time.monotonic() + ROUND_SECONDS
        self._is_stopped = threading.Event()

    def send_lane(self, due: Sequence[DueDelivery], results: list[Outcome]) -> None:
        """Attempt the deliveries in order and append their outcomes to `results`."""
        for index, due_delivery in enumerate(due):
            if self._is_stopped.is_set() or (index and time.monotonic() >= self._end):
                break
            outcome = self._measure_delivery(due_delivery)
            results.append(outcome)
            if outcome.stops_round:
                self._is_stopped.set()

    def _measure_delivery(self, due: DueDelivery) -> Outcome:
        """Send one delivery and record it in the metrics and its span. Return its outcome."""
        if not self._telemetry.is_on:
            return self._attempt_delivery(due, None)
        if due.delivery.attempts:
            self._telemetry.count(RETRIES, 1, {"kind": DELIVERY_WORK})
        with self._telemetry.measure(DELIVERY_DURATION, {}, _describe_span(self._endpoint, due)) as piece:
            outcome = self._attempt_delivery(due, piece.traceparent)
            piece.outcome = _classify_outcome(outcome)
        return outcome

    def _attempt_delivery(self, due: DueDelivery, traceparent: str | None) -> Outcome:
        """Sign and send one delivery. Return its outcome; never raises for a failed request."""
        at = self._clock()
        if due.body is None:
            return Outcome(due.delivery, format_instant(at), error="The event has been removed.", is_permanent=True)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "flask-tenant-provisioning",
            "webhook-id": due.delivery.event_id,
            "webhook-timestamp": str(int(at)),
            "webhook-signature": sign(self._keys, due.delivery.event_id, int(at), due.body),
        }
        if traceparent is not None:
            headers["traceparent"] = traceparent
        started = time.monotonic()
        try:
            response = self._sender.post(self._endpoint.url, headers, due.body)
        except SendError as failure:
            latency = time.monotonic() - started
            return Outcome(
                due.delivery,
                format_instant(at),
                error=failure.reason,
                failure=failure.kind,
                latency=latency,
                stops_round=failure.kind == "timeout",
            )
        except Exception:
            fields = _make_log_fields(self._endpoint)
            logger.exception("unexpected error in a delivery to webhook %s", self._endpoint.id, extra=fields)
            return Outcome(
                due.delivery, format_instant(at), error="The delivery failed; see the operator's log for the reason."
            )
        return Outcome(
            due.delivery,
            format_instant(at),
            status=response.status,
            retry_after=response.retry_after,
            answer=response.text,
            is_internal=response.is_internal,
            latency=response.latency,
            stops_round=response.status in (410, 429),
        )


def _classify_outcome(outcome: Outcome) -> str:
    """Return the outcome as `DELIVERY_DURATION` names it."""
    if outcome.is_success:
        return "succeeded"
    return outcome.failure or "error" if outcome.status is None else f"{outcome.status // 100}xx"


def _describe_span(endpoint: Endpoint, due: DueDelivery) -> WorkSpan:
    attributes: dict[str, str | int] = {
        "http.request.method": "POST",
        "server.address": urlsplit(endpoint.url).hostname or "",
        "provisioning.partner": endpoint.partner_id,
        "provisioning.webhook": endpoint.id,
        "provisioning.event": due.delivery.event_id,
        "provisioning.attempt": due.delivery.attempts + 1,
    }
    return WorkSpan("webhook", "client", due.traceparent, attributes)


def _list_free_endpoints(session: Session, limit: int) -> list[FreeEndpoint]:
    parameters = {"now": format_instant(session.storage.clock()), "limit": limit}
    rows = session.run(session.storage.once(DeliverySQL).select_free_endpoints, parameters).fetchall()
    return [FreeEndpoint._make(row) for row in rows]


def _claim_endpoints(session: Session, free_endpoints: Sequence[FreeEndpoint], lease: float) -> list[Endpoint]:
    sql = session.storage.once(DeliverySQL)
    keys = sql.lease.claim(session, free_endpoints, lease)
    return [Endpoint._make(session.run(sql.read, key).fetchone()) for key in keys]


def _load_due_deliveries(session: Session, endpoint: Endpoint, limit: int) -> list[DueDelivery]:
    parameters = {**endpoint.key, "limit": limit, "now": format_instant(session.storage.clock())}
    rows = session.run(session.storage.once(DeliverySQL).select_due, parameters).fetchall()
    return [_parse_due_row(row) for row in rows]


def _parse_due_row(row: Sequence[Any]) -> DueDelivery:
    delivery = Delivery._make(row[: len(Delivery._fields)])
    event = dict(zip(EVENT_COLUMNS, row[len(Delivery._fields) :], strict=True))
    if delivery.payload is not None:
        return DueDelivery(delivery, delivery.payload.encode())
    return DueDelivery(delivery, None if event["id"] is None else build_body(event), event["traceparent"])


def _make_log_fields(endpoint: Endpoint) -> dict[str, str]:
    """Return the fields that identify an endpoint in a log line."""
    return {"webhook": endpoint.id, "partner": endpoint.partner_id}
