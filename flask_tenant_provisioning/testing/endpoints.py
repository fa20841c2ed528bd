"""Endpoints and their deliveries: how the suite makes them, and what it demands of how they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ..config import Settings
from ..web.preconditions import etag
from .answers import Answer
from .callers import WEBHOOKS, Caller, Document

#: What every endpoint shows.
FIELDS = frozenset({
    "webhook", "partner", "url", "description", "events", "signing", "enabled", "disabled_reason", "failing_since",
    "public_key", "version", "created_at", "updated_at",
})  # fmt: skip
#: What every delivery shows.
DELIVERY_FIELDS = frozenset({
    "delivery", "webhook", "partner", "event", "tenant", "state", "attempts", "resent", "next_attempt_at",
    "created_at", "finished_at",
})  # fmt: skip
#: A global unicast address that leads nowhere: nobody has any of 3000::/8 (IANA, IPv6 Global Unicast Address
#: Assignments), so what a worker sends there reaches nobody.
NOBODY = "[3000::1]"


def url_to(settings: Settings, host: str = NOBODY) -> str:
    """A URL of this host whose scheme and port the mount lets pass."""
    scheme, ports = settings.webhook_schemes[0], settings.webhook_ports
    usual = {"https": 443, "http": 80}[scheme]
    port = "" if not ports or usual in ports else f":{ports[0]}"
    return f"{scheme}://{host}{port}/hook"


def endpoint_body(caller: Caller, **fields: Any) -> Document:
    """The body of a new endpoint to which nothing is sent, since it is disabled, with these fields."""
    return {"url": url_to(caller.api.settings), "enabled": False, **fields}


def endpoint_path(webhook: Mapping[str, Any], action: str = "") -> str:
    """The endpoint's path, or that of something done to it."""
    return f"{WEBHOOKS}/{webhook['webhook']}{action}"


def delivery_path(delivery: Mapping[str, Any], action: str = "") -> str:
    """The delivery's path, or that of something done to it."""
    return f"/deliveries/{delivery['delivery']}{action}"


def endpoint(answer: Answer, status: int = 200) -> Document:
    """The endpoint that the answer shows, with everything that one has, and its `ETag`."""
    __tracebackhide__ = True
    found = answer.document(status)
    missing = sorted(FIELDS - found.keys())
    answer.require(not missing, f"show every field of an endpoint; it lacks {', '.join(missing)}")
    answer.require(answer.header("ETag") == etag(found["version"]), "answer with the version in the ETag")
    return found


def new_endpoint(caller: Caller, **fields: Any) -> Document:
    """An endpoint that was created just now, with its secret. Skips where the host allows the partner no more."""
    __tracebackhide__ = True
    answer = caller("POST", WEBHOOKS, json=endpoint_body(caller, **fields))
    if answer.status == 403 and answer.json().get("code") == "quota-exceeded":
        pytest.skip(f"PROVISIONING_WEBHOOK_LIMIT is {caller.api.settings.webhook_limit}")
    return endpoint(answer, 201)


def public(webhook: Mapping[str, Any]) -> Document:
    """What is shown of an endpoint once its secret was."""
    return {name: value for name, value in webhook.items() if name != "secret"}


def change(caller: Caller, method: str, webhook: Mapping[str, Any], action: str = "", **options: Any) -> Answer:
    """Change the endpoint as it stands, with ``If-Match`` where the mount demands it."""
    __tracebackhide__ = True
    headers = {**caller.matching(webhook), **options.pop("headers", {})}
    return caller(method, endpoint_path(webhook, action), headers=headers, **options)


def delivery(answer: Answer, status: int = 202) -> Document:
    """The delivery that the answer shows, with everything that one has."""
    __tracebackhide__ = True
    found = answer.document(status)
    missing = sorted(DELIVERY_FIELDS - found.keys())
    answer.require(not missing, f"show every field of a delivery; it lacks {', '.join(missing)}")
    return found
