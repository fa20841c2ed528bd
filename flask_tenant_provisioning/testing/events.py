"""The event feed, and webhook endpoints with their deliveries: how tests create and read them, and their fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import pytest

from ..config import Config
from ..web.headers import format_etag
from .callers import WEBHOOKS, Caller, Document
from .responses import ApiResponse

EVENTS = "/events"
#: What an event says, and of whom it says that they brought it about: to those who may audit, from where too.
EVENT_FIELDS = {"id", "type", "timestamp", "partner", "tenant", "request_id", "actor", "data", "changes"}
ACTOR_FIELDS, AUDITED_ACTOR_FIELDS = {"sub", "partner"}, {"sub", "partner", "address", "user_agent"}


def read_event_page(caller: Caller, **query: Any) -> ApiResponse:
    """Return one page of the feed; demand that it is complete."""
    __tracebackhide__ = True
    response = caller("GET", f"{EVENTS}?{urlencode(query)}")
    page = response.document()
    response.require({*page} == {"items", "next", "has_more"}, "answer items, next and has_more")
    response.require(isinstance(page["next"], str) and bool(page["next"]), "name what to ask next, whatever it shows")
    for event in page["items"]:
        response.require({*event} == EVENT_FIELDS, f"show {', '.join(sorted(EVENT_FIELDS))} of each event")
    return response


def iter_event_pages(caller: Caller, **query: Any) -> Iterator[ApiResponse]:
    """Page after page, until no more waits."""
    __tracebackhide__ = True
    response = read_event_page(caller, **query)
    yield response
    while response.json()["has_more"]:
        response = read_event_page(caller, **{**query, "after": response.json()["next"]})
        yield response


def read_events(caller: Caller, **query: Any) -> list[Document]:
    """Every event."""
    __tracebackhide__ = True
    return [event for response in iter_event_pages(caller, **query) for event in response.json()["items"]]


def list_event_types(events: list[Document]) -> list[str]:
    """The types of `events`, without those of a host's steps."""
    return [event["type"] for event in events if event["type"] != "tenant.provisioned"]


#: What every endpoint shows.
ENDPOINT_FIELDS = frozenset({
    "webhook", "partner", "url", "description", "events", "signing", "enabled", "disabled_reason", "failing_since",
    "public_key", "version", "created_at", "updated_at",
})  # fmt: skip
#: What every delivery shows.
DELIVERY_FIELDS = frozenset({
    "delivery", "webhook", "partner", "event", "tenant", "state", "attempts", "resent", "next_attempt_at",
    "created_at", "finished_at",
})  # fmt: skip
#: A global unicast address that leads nowhere: no network has any of 3000::/8 (IANA, IPv6 Global Unicast Address
#: Assignments), so a worker's request there reaches no host.
UNREACHABLE_HOST = "[3000::1]"


def make_webhook_url(settings: Config, host: str = UNREACHABLE_HOST) -> str:
    """A URL of this host whose scheme and port the mount lets pass."""
    scheme, ports = settings.webhook_schemes[0], settings.webhook_ports
    usual = {"https": 443, "http": 80}[scheme]
    port = "" if not ports or usual in ports else f":{ports[0]}"
    return f"{scheme}://{host}{port}/hook"


def make_endpoint_body(caller: Caller, **fields: Any) -> Document:
    """The body of a new endpoint to which nothing is sent, since it is disabled, with these fields."""
    return {"url": make_webhook_url(caller.api.config), "enabled": False, **fields}


def get_endpoint_path(webhook: Mapping[str, Any], action: str = "") -> str:
    """The endpoint's path, or that of something done to it."""
    return f"{WEBHOOKS}/{webhook['webhook']}{action}"


def get_delivery_path(delivery: Mapping[str, Any], action: str = "") -> str:
    """The delivery's path, or that of something done to it."""
    return f"/deliveries/{delivery['delivery']}{action}"


def require_endpoint(response: ApiResponse, status: int = 200) -> Document:
    """The endpoint that the answer shows, with everything that one has, and its `ETag`."""
    __tracebackhide__ = True
    endpoint = response.document(status)
    missing = sorted(ENDPOINT_FIELDS - endpoint.keys())
    response.require(not missing, f"show every field of an endpoint; it lacks {', '.join(missing)}")
    response.require(response.header("ETag") == format_etag(endpoint["version"]), "answer with the version in the ETag")
    return endpoint


def create_endpoint(caller: Caller, **fields: Any) -> Document:
    """An endpoint that was created just now, with its secret. Skips where the host allows the partner no more."""
    __tracebackhide__ = True
    response = caller("POST", WEBHOOKS, json=make_endpoint_body(caller, **fields))
    if response.status == 403 and response.json().get("code") == "quota-exceeded":
        pytest.skip(f"PROVISIONING_WEBHOOK_LIMIT is {caller.api.config.webhook_limit}")
    return require_endpoint(response, 201)


def remove_secret(webhook: Mapping[str, Any]) -> Document:
    """Return the endpoint as it is shown after its secret has been shown once."""
    return {name: value for name, value in webhook.items() if name != "secret"}


def change_endpoint(
    caller: Caller, method: str, webhook: Mapping[str, Any], action: str = "", **options: Any
) -> ApiResponse:
    """Change the endpoint as it stands, with ``If-Match`` where the mount demands it."""
    __tracebackhide__ = True
    headers = {**caller.make_if_match(webhook), **options.pop("headers", {})}
    return caller(method, get_endpoint_path(webhook, action), headers=headers, **options)


def require_delivery(response: ApiResponse, status: int = 202) -> Document:
    """The delivery that the answer shows, with everything that one has."""
    __tracebackhide__ = True
    delivery = response.document(status)
    missing = sorted(DELIVERY_FIELDS - delivery.keys())
    response.require(not missing, f"show every field of a delivery; it lacks {', '.join(missing)}")
    return delivery
