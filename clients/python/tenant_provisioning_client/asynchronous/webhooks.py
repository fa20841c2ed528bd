"""Webhook endpoints, and the deliveries to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from ..generated import operations
from ..generated.models import Delivery, DeliveryHistory, Recovered, Webhook, WebhookSecret
from ..operations import UNSET, Call, Unset, format_time, select_given
from ..resources import get_id, get_version
from .listing import AsyncListing
from .transport import AsyncTransport

Endpoint = Webhook | WebhookSecret | str


class AsyncWebhooks:
    """Webhook endpoints. Where a method takes one, it takes its id or an object that the client has returned.

    With the object, a change is refused by `PreconditionFailed` if the endpoint has changed since it was read.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
        self,
        url: str,
        *,
        events: Sequence[str] | Unset = UNSET,
        description: str | Unset | None = UNSET,
        signing: Literal["v1", "v1a"] | Unset = UNSET,
        enabled: bool | Unset = UNSET,
        partner: str | None = None,
        validate_only: bool = False,
        idempotency_key: str | None = None,
    ) -> WebhookSecret:
        """Register an endpoint and return it. Its `secret` is shown only this once: store it."""
        body = select_given(url=url, events=events, description=description, signing=signing, enabled=enabled)
        query = {"partner": partner, "validate_only": validate_only or None}
        call = Call(operations.CREATE_WEBHOOK, query=query, body=body, key=idempotency_key)
        return await self._transport.send(call)

    def list(self, *, partner: str | None = None, limit: int | None = None) -> AsyncListing[Webhook]:
        """Return the list of the endpoints."""
        query: dict[str, Any] = {"partner": partner, "limit": limit}
        return AsyncListing(self._transport, operations.LIST_WEBHOOKS, {}, query)

    async def get(self, webhook: Endpoint) -> Webhook:
        """Return an endpoint, without its secret. Raises `WebhookNotFound`."""
        return await self._transport.send(Call(operations.READ_WEBHOOK, _get_path(webhook)))

    async def update(
        self,
        webhook: Endpoint,
        *,
        url: str | Unset = UNSET,
        events: Sequence[str] | Unset = UNSET,
        description: str | Unset | None = UNSET,
        enabled: bool | Unset = UNSET,
        validate_only: bool = False,
        idempotency_key: str | None = None,
    ) -> Webhook:
        """Change the fields that are given, and return the endpoint."""
        body = select_given(url=url, events=events, description=description, enabled=enabled)
        query, version = {"validate_only": validate_only or None}, get_version(webhook)
        call = Call(operations.PATCH_WEBHOOK, _get_path(webhook), query, body, version, idempotency_key)
        return await self._transport.send(call)

    async def delete(self, webhook: Endpoint, *, validate_only: bool = False) -> None:
        """Delete an endpoint and its deliveries."""
        query, version = {"validate_only": validate_only or None}, get_version(webhook)
        await self._transport.send(Call(operations.DELETE_WEBHOOK, _get_path(webhook), query, None, version))

    async def rotate_secret(
        self,
        webhook: Endpoint,
        *,
        overlap_hours: int | Unset = UNSET,
        validate_only: bool = False,
        idempotency_key: str | None = None,
    ) -> WebhookSecret:
        """Make a new secret and return it with the endpoint. The old one signs for `overlap_hours` more (24)."""
        body = select_given(overlap_hours=overlap_hours) or None
        query, version = {"validate_only": validate_only or None}, get_version(webhook)
        call = Call(operations.ROTATE_WEBHOOK_SECRET, _get_path(webhook), query, body, version, idempotency_key)
        return await self._transport.send(call)

    async def test(
        self, webhook: Endpoint, *, validate_only: bool = False, idempotency_key: str | None = None
    ) -> Delivery:
        """Send an event of the type `webhook.test`, and return its delivery."""
        query = {"validate_only": validate_only or None}
        call = Call(operations.TEST_WEBHOOK, _get_path(webhook), query, key=idempotency_key)
        return await self._transport.send(call)

    async def recover(
        self,
        webhook: Endpoint,
        since: datetime,
        *,
        validate_only: bool = False,
        idempotency_key: str | None = None,
    ) -> Recovered:
        """Deliver the events since then, at most 14 days ago, that were not delivered. Return how many there are."""
        query, body = {"validate_only": validate_only or None}, {"since": format_time(since)}
        call = Call(operations.RECOVER_WEBHOOK, _get_path(webhook), query, body, key=idempotency_key)
        return await self._transport.send(call)

    def deliveries(
        self,
        webhook: Endpoint,
        *,
        state: Literal["pending", "succeeded", "failed"] | None = None,
        limit: int | None = None,
    ) -> AsyncListing[Delivery]:
        """Return the list of the deliveries to an endpoint, the newest first."""
        query = {"state": state, "limit": limit}
        return AsyncListing(self._transport, operations.LIST_DELIVERIES, _get_path(webhook), query)


class AsyncDeliveries:
    """Deliveries. Where a method takes one, it takes its id or an object that the client has returned."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def get(self, delivery: Delivery | DeliveryHistory | str) -> DeliveryHistory:
        """Return a delivery with its attempts. Raises `DeliveryNotFound`."""
        path = {"delivery_id": get_id(delivery, "delivery")}
        return await self._transport.send(Call(operations.READ_DELIVERY, path))

    async def redeliver(
        self,
        delivery: Delivery | DeliveryHistory | str,
        *,
        validate_only: bool = False,
        idempotency_key: str | None = None,
    ) -> Delivery:
        """Make one more attempt, and return the delivery."""
        path, query = {"delivery_id": get_id(delivery, "delivery")}, {"validate_only": validate_only or None}
        return await self._transport.send(Call(operations.REDELIVER_DELIVERY, path, query, key=idempotency_key))


def _get_path(webhook: Endpoint) -> dict[str, str]:
    return {"webhook_id": get_id(webhook, "webhook")}
