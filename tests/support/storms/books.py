"""The books: the database after a storm, and the responses to its clients."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.support.storms.clients import Answer, Client, Order


class StormResult(NamedTuple):
    """The partner's tenants as the API lists them, all tenants' ids in the database, and their `tenant.created`."""

    listed: dict[str, dict[str, Any]]
    rows: list[str]
    events: Counter[str]


def read_result(client: Client, database_url: str) -> StormResult:
    """Read everything, through the API and past it."""
    listed = list(client.tenants())
    engine = create_engine(database_url, poolclass=NullPool)
    with engine.connect() as connection:
        rows = connection.scalars(text("SELECT id FROM provisioning_tenants")).all()
        created = text("SELECT tenant_id FROM provisioning_events WHERE type = 'tenant.created'")
        events = Counter(map(str, connection.scalars(created)))
    return StormResult({tenant["tenant"]: tenant for tenant in listed}, sorted(map(str, rows)), events)


def repeat_until_answered(client: Client, order: Order) -> Answer:
    """Repeat an order until it is answered with anything but a failure that asks for it."""
    for _ in range(20):
        response = client.send(order)
        if not response.asks_for_repetition:
            return response
    raise AssertionError(f"{order} was never answered: {response}")


def list_confirmed_tenants(responses: list[Answer]) -> dict[str, list[dict[str, Any]]]:
    """The tenants that clients were told they have, for each order's key."""
    by_order: dict[str, list[dict[str, Any]]] = {}
    for response in responses:
        if response.status == 201:
            by_order.setdefault(response.order.key, []).append(response.document)
    return by_order


def list_unanswered(responses: list[Answer]) -> list[Order]:
    """Return the orders with an unknown outcome."""
    confirmed = list_confirmed_tenants(responses)
    lost = {response.order.key: response.order for response in responses if response.order.key not in confirmed}
    return list(lost.values())
