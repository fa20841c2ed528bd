"""Clients that create tenants as fast as they can, and remember everything that they were told."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.support.hosts import PREFIX
from tests.support.servers import Address

TENANTS = f"{PREFIX}/tenants"
PATIENCE = 30


class Order(NamedTuple):
    """A tenant that a client wants, and the key under which it asks for it."""

    key: str
    body: dict[str, Any]


class Answer(NamedTuple):
    """The response to an order, its time, and its duration in seconds; status 0 means that there was none."""

    client: int
    order: Order
    at: float
    seconds: float
    status: int
    headers: dict[str, str]
    document: Any

    @property
    def asks_for_repetition(self) -> bool:
        """Return whether the outcome is unknown: no response, 503, or the first request still runs."""
        return self.status in (0, 503) or (self.document or {}).get("code") == "idempotency-in-progress"

    @property
    def replayed(self) -> bool:
        return self.headers.get("Idempotency-Replayed") == "true"


class Client:
    """One partner's program, on a connection of its own that it opens again whenever it breaks."""

    def __init__(self, address: Address, token: str, number: int = 0) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=PATIENCE)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.number = number

    def send(self, order: Order) -> Answer:
        """Ask for a tenant."""
        start = time.monotonic()
        headers = {**self._headers, "Idempotency-Key": order.key}
        status, replied, document = self._exchange("POST", TENANTS, headers, json.dumps(order.body))
        now = time.monotonic()
        return Answer(self.number, order, now, now - start, status, replied, document)

    def tenants(self) -> Iterator[dict[str, Any]]:
        """Every tenant of the partner, as the API lists them."""
        path = f"{TENANTS}?limit=1000"
        while True:
            status, _, page = self._exchange("GET", path, self._headers, None)
            assert status == 200, page
            yield from page["items"]
            if page["next"] is None:
                return
            path = f"{TENANTS}?limit=1000&cursor={page['next']}"

    def _exchange(
        self, method: str, path: str, headers: dict[str, str], body: str | None
    ) -> tuple[int, dict[str, str], Any]:
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            return response.status, dict(response.getheaders()), json.loads(response.read())
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return 0, {}, None


class Storm:
    """Many clients at once. Every other one repeats an order until it has its tenant; the rest go on to the next."""

    def __init__(self, address: Address, token: str, count: int) -> None:
        self.answers: list[Answer] = []
        self.up = threading.Event()
        self._over = threading.Event()
        self._clients = [Client(address, token, number) for number in range(count)]
        self._threads = [threading.Thread(target=self._run, args=(client,)) for client in self._clients]

    def __enter__(self) -> Storm:
        self.up.set()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.up.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE)
        assert not any(thread.is_alive() for thread in self._threads)

    def wait_for_each(self, wanted: Callable[[Answer], bool], seconds: float = PATIENCE) -> None:
        """Wait until every client has got an answer that is `wanted`, from now on."""
        start, end = len(self.answers), time.monotonic() + seconds
        while {response.client for response in self.answers[start:] if wanted(response)} != set(
            range(len(self._clients))
        ):
            assert time.monotonic() < end, f"no such answer: {Counter(a.status for a in self.answers[start:])}"
            self._over.wait(0.01)

    def _run(self, client: Client) -> None:
        for order in orders(f"c{client.number}"):
            while not self._over.is_set():
                response = client.send(order)
                self.answers.append(response)
                if response.status == 0:
                    self.up.wait(PATIENCE)
                if client.number % 2 or not response.asks_for_repetition:
                    break
            if self._over.is_set():
                return


def orders(name: str) -> Iterator[Order]:
    """Endless orders, no two alike."""
    for number in itertools.count(1):
        body = {
            "client_name": f"Client {name} {number}",
            "email": f"{name}.{number}@example.com",
            "external_id": f"{name}-{number}",
            "phone_number": f"+49{number:010d}",
            "industry": "Weather",
            "metadata": {"client": name, "number": str(number)},
        }
        yield Order(str(uuid.uuid4()), body)
