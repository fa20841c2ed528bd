"""The client: one API, one token, and an attribute for each kind of resource."""

from __future__ import annotations

import random as random_numbers
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx

from .. import about
from ..credentials import ClientCredentials
from ..generated import operations
from ..generated.models import Health, ProblemExplanation, ProblemIndex
from ..operations import Call
from ..retries import Retries
from .api_clients import AsyncApiClients
from .bulk import AsyncBulk
from .events import AsyncEvents
from .invitations import AsyncInvitations
from .partners import AsyncPartners, AsyncUsage
from .runtime import Sleep, Token, sleep
from .settings import TENANT_SETTINGS, AsyncSettingsResource
from .steps import AsyncSteps
from .tenants import AsyncTenants
from .transport import AsyncTransport
from .webhooks import AsyncDeliveries, AsyncWebhooks


class AsyncClient:
    """A client of the provisioning API at one address.

    Use it as a context manager, or call `aclose` at the end. It keeps connections open and may be shared.
    """

    def __init__(
        self,
        base_url: str,
        token: Token | ClientCredentials | None = None,
        *,
        timeout: float = 30.0,
        retries: Retries | None = None,
        user_agent: str | None = None,
        http: httpx.AsyncClient | None = None,
        sleep: Sleep = sleep,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_numbers.random,
    ) -> None:
        """Prepare a client; nothing is sent yet.

        `base_url` is that of the mount, such as ``https://example.com/api/provisioning``. The `token` is sent there and
        nowhere else: a text, or a function that returns one and keeps it while it is valid. The function is called for
        each request, and once more if the API says that the token has expired. With the `ClientCredentials` of an API
        client instead, the client gets its tokens by itself, and new ones in time.

        `timeout` is the number of seconds to wait for a connection, and for each further piece of a response. `retries`
        says how often a call is repeated, and how long all attempts may take. `user_agent` names your program; the
        client's own name follows it. `http` is an `httpx` client with proxies or certificates of yours, which you close
        yourself. `sleep`, `clock` and `random` are for tests.

        Raises `ValueError` for a URL that is none, or that contains a user, a query or a fragment.
        """
        self._base_url = check_base_url(base_url)
        self._owns_http = http is None
        self._http = httpx.AsyncClient() if http is None else http
        self._transport = AsyncTransport(
            self._base_url,
            token,
            self._http,
            timeout=timeout,
            retries=retries or Retries(),
            user_agent=about.make_user_agent(user_agent),
            sleep=sleep,
            clock=clock,
            random=random,
        )
        #: Tenants.
        self.tenants = AsyncTenants(self._transport)
        #: The host's steps for a tenant.
        self.steps = AsyncSteps(self._transport)
        #: Invitations of tenants' administrators.
        self.invitations = AsyncInvitations(self._transport)
        #: The settings of tenants.
        self.settings = AsyncSettingsResource(self._transport, TENANT_SETTINGS)
        #: Bulk jobs.
        self.bulk = AsyncBulk(self._transport)
        #: The feed of events.
        self.events = AsyncEvents(self._transport)
        #: Webhook endpoints.
        self.webhooks = AsyncWebhooks(self._transport)
        #: Deliveries to webhook endpoints.
        self.deliveries = AsyncDeliveries(self._transport)
        #: API clients: credentials of the partner's programs.
        self.api_clients = AsyncApiClients(self._transport)
        #: Partners, and in `partners.settings` the defaults that they give their tenants.
        self.partners = AsyncPartners(self._transport)
        #: How many tenants partners have.
        self.usage = AsyncUsage(self._transport)

    async def health(self) -> Health:
        """Return the state of the API: its database, and its workers. Needs the permission `metrics:read`."""
        return await self._transport.send(Call(operations.READ_HEALTH))

    async def problems(self) -> ProblemIndex:
        """Return every problem code with its meaning and what to do."""
        return await self._transport.send(Call(operations.LIST_PROBLEMS))

    async def problem(self, code: str) -> ProblemExplanation:
        """Return the explanation of a problem code, with an example."""
        return await self._transport.send(Call(operations.READ_PROBLEM, {"code": code}))

    async def settings_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the settings that the host has declared."""
        return await self._transport.send(Call(operations.READ_SETTINGS_SCHEMA))

    async def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document of the API, with the host's own fields."""
        return await self._transport.send(Call(operations.READ_OPENAPI))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._owns_http:
            await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._base_url!r})"


def check_base_url(url: str) -> str:
    """Return the URL without a slash at its end. Raises `ValueError` if it cannot be that of an API."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("base_url must begin with https:// or http:// and name a host.")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("base_url must contain no user, no query and no fragment.")
    return url.rstrip("/")
