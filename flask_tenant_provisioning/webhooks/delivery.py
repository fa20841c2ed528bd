"""Deliver what is due, endpoint by endpoint: the worker that has claimed an endpoint is the only one that sends to it.

A round is a batch of its deliveries, sent in parallel lanes and recorded in one transaction. All deliveries about one
tenant are in one lane, in the order of the feed, so that their first attempts are. Requests that a worker sent but did
not record before it died are sent again: at least once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

from ..database.ids import format_instant
from ..database.session import Session, Storage
from ..encoding import dump_json
from ..events.models import render_event_head
from ..keyring import UnsealError
from . import outcomes
from .client.sender import Sender, SendError
from .fairness import SLOW_SECONDS, Slots
from .models import Delivery, Endpoint
from .outcomes import LeaseLost, Outcome
from .signing import SigningKey, sign
from .statements import EVENT_COLUMNS, DeliverySQL

#: The largest body, in bytes: 20 kB, as Standard Webhooks 1.0.0 recommends.
MAX_BODY_BYTES = 20_000


def build_body(row: dict[str, Any]) -> bytes:
    """The envelope of an event (contract §5) out of its columns, whose JSON goes in as it is stored.

    One that would be too large says so with ``"truncated": true`` and leaves the tenant to be read.
    """
    found = _splice(row, row["data"], row["changes"] or "{}").encode()
    if len(found) <= MAX_BODY_BYTES:
        return found
    rest = dump_json({"tenant": row["tenant_id"]})
    return _splice(row, rest, "{}", ',"truncated":true').encode()


def _splice(row: dict[str, Any], data: str, changes: str, more: str = "") -> str:
    return f'{dump_json(render_event_head(row))[:-1]},"data":{data},"changes":{changes}{more}}}'


logger = logging.getLogger(__name__)
#: How many deliveries a round has at most, and how many lanes.
BATCH_SIZE, LANES = 200, 4
#: For how many seconds a round begins attempts, and for how many an endpoint is kept before others get their turn. One
#: whose answers take `SLOW` seconds or longer gives way after a round.
ROUND_SECONDS, TURN_SECONDS = 5.0, 20.0
#: How many connections the rounds of all endpoints use at once: the pool is the requests' too.
MAX_DATABASE_CONNECTIONS = 3
#: How often a worker that others forestall looks again.
_CLAIM_TRIES = 3
LoadKeys = Callable[[Endpoint, str], list[SigningKey]]


class DueDelivery(NamedTuple):
    """A delivery that is due, with its body; None where the event is gone."""

    delivery: Delivery
    body: bytes | None


class DeliveryWork:
    """The endpoints of one mount that something is due for, as work that a worker claims, runs and gives up.

    `keys_of` gives the keys that an endpoint's deliveries are signed with at an instant; `lease` is in seconds.
    """

    #: How many endpoints a worker works for at once: most of the time it waits for their answers.
    slots = 32

    def __init__(self, storage: Storage, sender: Sender, keys_of: LoadKeys, lease: float) -> None:
        self._storage, self._sender, self._keys_of = storage, sender, keys_of
        self._stopping = False
        self._at_database = threading.BoundedSemaphore(MAX_DATABASE_CONNECTIONS)
        self._shares = Slots(self.slots)
        self.lease = lease

    def claim(self, limit: int) -> list[Endpoint]:
        """Claim at most `limit` endpoints that something is due for, by what each partner has already."""
        for _ in range(_CLAIM_TRIES):
            free = self._storage.read(partial(_list_free_endpoints, limit=max(limit, self.slots) * 4))
            chosen = sorted(self._shares.choose(free, limit))
            if not chosen:
                break
            if found := self._storage.transaction(partial(_claim_endpoints, chosen=chosen, lease=self.lease)):
                for endpoint in found:
                    self._shares.take(endpoint[:2])
                return found
        return []

    def renew(self, endpoints: Iterable[Endpoint]) -> None:
        """Keep the claims of endpoints that are being worked for."""
        self._storage.transaction(partial(_renew_leases, endpoints=sorted(endpoints), lease=self.lease))

    def timeout(self, endpoint: Endpoint) -> float:
        """How long an endpoint may be worked for, in seconds: its turn, and the longest last round."""
        return TURN_SECONDS + 60.0

    def run(self, endpoint: Endpoint) -> None:
        """Work for an endpoint until nothing is due, it has to rest, or its turn is over."""
        end, kept, slowest = time.monotonic() + TURN_SECONDS, cast(Endpoint | None, endpoint), 0.0
        try:
            while kept is not None:
                sent = self._send_batch(kept)
                slowest = max([slowest, *(one.latency for one in sent)])
                is_last = self._stopping or time.monotonic() >= end or slowest >= SLOW_SECONDS
                kept = self._record(kept, sent, keep=bool(sent) and not is_last)
        except LeaseLost:
            logger.info(
                "the deliveries to webhook %s are another worker's now", endpoint.id, extra=_get_log_fields(endpoint)
            )
        except UnsealError as error:
            logger.error(
                "webhook %s cannot be signed for, which is tried again: %s",
                endpoint.id,
                error,
                extra=_get_log_fields(endpoint),
            )
        finally:
            self._shares.give_back(endpoint[:2], slowest)

    def expire(self, endpoint: Endpoint) -> None:
        """Leave an endpoint to others; what was sent meanwhile is sent again."""
        logger.warning("the deliveries to webhook %s take too long", endpoint.id, extra=_get_log_fields(endpoint))

    def stop(self) -> None:
        """Let the rounds that are on their way be the last ones."""
        self._stopping = True

    def _send_batch(self, endpoint: Endpoint) -> list[Outcome]:
        """Send what is due, a batch at most, and return what became of it."""
        limit = 1 if endpoint.failures else BATCH_SIZE
        with self._at_database:
            due = self._storage.read(partial(_load_due_deliveries, endpoint=endpoint, limit=limit))
        return self._sent(endpoint, due)

    def _record(self, endpoint: Endpoint, sent: Sequence[Outcome], *, keep: bool) -> Endpoint | None:
        """Write down what became of a batch; the endpoint, while there is more to do at once and it is to be kept."""
        with self._at_database:
            return self._storage.transaction(
                partial(outcomes.record_round, endpoint=endpoint, outcomes=sent, keep=keep)
            )

    def _sent(self, endpoint: Endpoint, due: Sequence[DueDelivery]) -> list[Outcome]:
        """What became of each attempt; of those that were not begun nothing is said."""
        if not due:
            return []
        attempts, found = _Round(self, endpoint), list[Outcome]()
        lanes: dict[int, list[DueDelivery]] = {}
        for one in due:
            lanes.setdefault(hash(one.delivery.tenant_id) % LANES, []).append(one)
        first, *others = lanes.values()
        threads = [threading.Thread(target=attempts.send_lane, args=(lane, found), daemon=True) for lane in others]
        for thread in threads:
            thread.start()
        attempts.send_lane(first, found)
        for thread in threads:
            thread.join()
        return found


class _Round:
    """The attempts of one round at one endpoint; the first that has to wait ends them all."""

    def __init__(self, work: DeliveryWork, endpoint: Endpoint) -> None:
        self._endpoint, self._sender = endpoint, work._sender
        self._clock = work._storage.clock
        self._keys = work._keys_of(endpoint, format_instant(self._clock()))
        self._end = time.monotonic() + ROUND_SECONDS
        self._halted = threading.Event()

    def send_lane(self, due: Sequence[DueDelivery], found: list[Outcome]) -> None:
        """Attempt one after the other, and add to `found` what became of it."""
        for number, one in enumerate(due):
            if self._halted.is_set() or (number and time.monotonic() >= self._end):
                break
            outcome = self._attempt(one)
            found.append(outcome)
            if outcome.halts:
                self._halted.set()

    def _attempt(self, due: DueDelivery) -> Outcome:
        at = self._clock()
        if due.body is None:
            return Outcome(due.delivery, format_instant(at), error="The event is not kept any more.", lasting=True)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "flask-tenant-provisioning",
            "webhook-id": due.delivery.event_id,
            "webhook-timestamp": str(int(at)),
            "webhook-signature": sign(self._keys, due.delivery.event_id, int(at), due.body),
        }
        began = time.monotonic()
        try:
            answer = self._sender.post(self._endpoint.url, headers, due.body)
        except SendError as failure:
            latency = time.monotonic() - began
            return Outcome(
                due.delivery, format_instant(at), error=failure.reason, latency=latency, halts=failure.kind == "timeout"
            )
        except Exception:
            logger.exception(
                "a delivery to webhook %s failed", self._endpoint.id, extra=_get_log_fields(self._endpoint)
            )
            return Outcome(due.delivery, format_instant(at), error="The delivery failed; the operator's log says why.")
        return Outcome(
            due.delivery,
            format_instant(at),
            status=answer.status,
            retry_after=answer.retry_after,
            answer=answer.text,
            is_internal=answer.is_internal,
            latency=answer.latency,
            halts=answer.status in (410, 429),
        )


def _list_free_endpoints(session: Session, limit: int) -> list[tuple[Any, ...]]:
    wanted = {"now": format_instant(session.storage.clock()), "limit": limit}
    found: list[tuple[Any, ...]] = session.run(session.storage.once(DeliverySQL).free, wanted).fetchall()
    return found


def _claim_endpoints(session: Session, chosen: Sequence[tuple[Any, ...]], lease: float) -> list[Endpoint]:
    sql, now = session.storage.once(DeliverySQL), session.storage.clock()
    times, found = {"now": format_instant(now), "lease": format_instant(now + lease)}, []
    for partner, webhook_id, fence in chosen:
        where = {"partner_id": partner, "id": webhook_id}
        if session.run(sql.claim, {**where, **times, "seen": fence}).rowcount == 1:
            found.append(Endpoint._make(session.run(sql.read, where).fetchone()))
    return found


def _renew_leases(session: Session, endpoints: Sequence[Endpoint], lease: float) -> None:
    until = format_instant(session.storage.clock() + lease)
    for one in endpoints:
        where = {"partner_id": one.partner_id, "id": one.id, "fence": one.fence}
        session.run(session.storage.once(DeliverySQL).renew, {**where, "lease": until})


def _load_due_deliveries(session: Session, endpoint: Endpoint, limit: int) -> list[DueDelivery]:
    wanted = {"partner_id": endpoint.partner_id, "id": endpoint.id, "limit": limit}
    wanted["now"] = format_instant(session.storage.clock())
    rows = session.run(session.storage.once(DeliverySQL).due, wanted).fetchall()
    return [_parse_due_row(row) for row in rows]


def _parse_due_row(row: Sequence[Any]) -> DueDelivery:
    delivery = Delivery._make(row[: len(Delivery._fields)])
    event = dict(zip(EVENT_COLUMNS, row[len(Delivery._fields) :], strict=True))
    if delivery.payload is not None:
        return DueDelivery(delivery, delivery.payload.encode())
    return DueDelivery(delivery, None if event["id"] is None else build_body(event))


def _get_log_fields(endpoint: Endpoint) -> dict[str, str]:
    """Return what the log says of an endpoint."""
    return {"webhook": endpoint.id, "partner": endpoint.partner_id}
