"""The feed of events."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

from ..errors import ConnectionFailed, ProvisioningError
from ..feed import join_cursor, skip_read, split_cursor
from ..generated import operations
from ..generated.events import Event
from ..generated.models import Tenant
from ..operations import Call
from ..pages import Page
from ..resources import get_id
from ..retries import PASSING, RATE_LIMITED
from .transport import AsyncTransport, describe_failure

logger = logging.getLogger("tenant_provisioning_client")


class AsyncFeed:
    """Events in order, each once. Iterating over it continues after the last event that it has returned.

    Store `cursor` when you have handled an event, in the same transaction if you can: a feed that starts `after` it
    begins with the next event, also in the middle of a page. Pass the same `type` and `tenant` as before.
    """

    def __init__(
        self, transport: AsyncTransport, query: dict[str, Any], after: str | None, interval: float | None
    ) -> None:
        self._transport, self._query, self._interval = transport, query, interval
        #: The place after the last event that was returned; None at the beginning of the feed.
        self.cursor = after

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Yield event after event: until the feed has no more, or for ever if it is followed."""
        while True:
            after, last = split_cursor(self.cursor)
            page = await self._read_page(after)
            if page is not None:
                events = skip_read(page.items, last)
                for event in events[:-1]:
                    self.cursor = join_cursor(after, event.id)
                    yield event
                self.cursor = page.next
                for event in events[-1:]:
                    yield event
                if page.has_more:
                    continue
            if self._interval is None:
                return
            await self._transport.sleep(self._interval)

    async def _read_page(self, after: str | None) -> Page[Event] | None:
        """Return the page after a cursor; None if the API cannot be reached and the feed is followed."""
        try:
            return await self._transport.send(Call(operations.LIST_EVENTS, query={**self._query, "after": after}))
        except ProvisioningError as error:
            if self._interval is None or not is_passing(error):
                raise
            logger.warning("The feed of events is read again later: %s", describe_failure(error))
            return None


class AsyncEvents:
    """The events of a partner's tenants."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        after: str | None = None,
        type: str | Sequence[str] | None = None,
        tenant: Tenant | str | None = None,
        partner: str | None = None,
        limit: int | None = None,
    ) -> AsyncFeed:
        """Return the events after a cursor that there are now; without `after`, from the beginning of the feed."""
        return AsyncFeed(self._transport, _make_query(type, tenant, partner, limit), after, None)

    def follow(
        self,
        *,
        after: str | None = None,
        type: str | Sequence[str] | None = None,
        tenant: Tenant | str | None = None,
        partner: str | None = None,
        limit: int | None = None,
        interval: float = 5.0,
    ) -> AsyncFeed:
        """Return the events after a cursor, and all that come: at its end, the feed is read every `interval` seconds.

        While the API cannot be reached, it waits and tries again. It raises `CursorExpired` if events were removed
        before they were read, and any other problem that waiting does not mend.
        """
        if interval <= 0:
            raise ValueError("The interval must be above 0 seconds.")
        return AsyncFeed(self._transport, _make_query(type, tenant, partner, limit), after, interval)


def is_passing(error: ProvisioningError) -> bool:
    """Return whether a later attempt may succeed by itself."""
    return isinstance(error, ConnectionFailed) or getattr(error, "status", 0) in {RATE_LIMITED, *PASSING}


def _make_query(
    type: str | Sequence[str] | None, tenant: Tenant | str | None, partner: str | None, limit: int | None
) -> dict[str, Any]:
    types = type if isinstance(type, str | None) else ",".join(type)
    id = None if tenant is None else get_id(tenant, "tenant")
    return {"type": types, "tenant": id, "partner": partner, "limit": limit}
