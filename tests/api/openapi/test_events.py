"""Each type of event has a schema, for the feed and for webhooks, and events are as it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from flask_tenant_provisioning.events.schemas import EVENT_TYPES
from flask_tenant_provisioning.webhooks.fanout import EVENT_TYPES as WEBHOOK_EVENT_TYPES
from tests.support import hosts
from tests.support.callers import Caller
from tests.support.openapi import DocumentedHost

EVENT = {"$ref": "#/components/schemas/Event"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    new_app = hosts.make_host(f"sqlite:///{tmp_path_factory.mktemp('events')}/x.sqlite3")
    yield new_app
    hosts.get_engine(new_app).dispose()


@pytest.fixture(scope="module")
def documented(app: Flask) -> DocumentedHost:
    return DocumentedHost(app)


def test_the_feed_has_events_of_every_known_type(documented: DocumentedHost) -> None:
    assert documented.component("schemas", "EventPage")["properties"]["items"]["items"] == EVENT
    *known, other = [part["$ref"].rpartition("/")[2] for part in documented.component("schemas", "Event")["anyOf"]]
    assert other == "OtherEvent"
    types = [documented.component("schemas", name)["allOf"][1]["properties"]["type"]["enum"] for name in known]
    assert types == [[event_type] for event_type in EVENT_TYPES]


def test_every_type_of_event_is_a_webhook(documented: DocumentedHost) -> None:
    webhooks = documented.document["webhooks"]
    assert tuple(webhooks) == WEBHOOK_EVENT_TYPES
    for event_type, reference in webhooks.items():
        methods = documented.component("pathItems", reference["$ref"].rpartition("/")[2])
        body = methods["post"]["requestBody"]["content"]["application/json"]["schema"]
        _, own = documented.component("schemas", body["$ref"].rpartition("/")[2])["allOf"]
        assert own["properties"]["type"]["enum"] == [event_type]
    assert list(OpenAPIV31SpecValidator(documented.document).iter_errors()) == []


def test_events_are_as_documented(app: Flask, documented: DocumentedHost) -> None:
    partner = Caller(app, roles=["partner-admin", "provisioning-admin"])
    tenant = partner.create()
    path = f"/tenants/{tenant['tenant']}"
    webhook = partner("POST", "/webhooks", json={"url": "https://93.184.215.14/hooks"}).get_json()["webhook"]
    assert partner("PUT", f"/partners/{partner.partner}", json={"name": "Acme"}).status_code in (200, 201)
    for method, action, options in (
        ("PATCH", path, {"json": {"metadata": {"a": "b"}, "plan": "gold"}}),
        ("POST", f"{path}/suspend", {"json": {"reason": "unpaid"}}),
        ("POST", f"{path}/reactivate", {}),
        ("DELETE", path, {}),
        ("POST", f"{path}/restore", {}),
        ("DELETE", f"{path}?purge=true", {}),
        ("PATCH", f"/webhooks/{webhook}", {"json": {"description": "CRM"}}),
        ("POST", f"/webhooks/{webhook}/rotate-secret", {}),
        ("DELETE", f"/webhooks/{webhook}", {}),
    ):
        assert partner(method, action, **options).status_code in (200, 204), (method, action)
    for role, query in (("partner-viewer", ""), ("provisioning-admin", f"&partner={partner.partner}")):
        response = partner.with_roles(role)("GET", f"/events?limit=100{query}")
        documented.require(response, "GET", "/events")
        events = response.get_json()["items"]
        assert {event["type"] for event in events} >= {
            "tenant.created", "tenant.updated", "tenant.suspended", "tenant.reactivated", "tenant.deleted",
            "tenant.restored", "tenant.purged", "webhook.created", "webhook.rotated", "partner.updated",
        }  # fmt: skip
        for event in events:
            name = "".join(word.capitalize() for word in event["type"].replace(".", "_").split("_"))
            assert documented.errors(documented.component("schemas", f"{name}Event"), event) == []


def test_an_event_of_a_later_release_is_an_event(app: Flask, documented: DocumentedHost) -> None:
    partner = Caller(app)
    partner.create()
    (event,) = partner("GET", "/events").get_json()["items"]
    later: dict[str, Any] = {**event, "type": "tenant.archived", "data": {"anything": 1}}
    assert documented.errors(EVENT, later) == []
    assert documented.errors(EVENT, {**event, "data": {}}) != []
