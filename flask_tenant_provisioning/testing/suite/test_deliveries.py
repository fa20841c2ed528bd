"""Deliveries: events and tests on their way to endpoints, which only their partner sees.

They go to an unassigned address: a worker that runs at the same time reaches no host, and may have failed already.
"""

from __future__ import annotations

from typing import Any

import pytest

from flask_tenant_provisioning.routes import ROUTES
from flask_tenant_provisioning.testing.callers import Caller
from flask_tenant_provisioning.testing.events import (
    change_endpoint,
    create_endpoint,
    get_delivery_path,
    get_endpoint_path,
    read_events,
    require_delivery,
    require_endpoint,
)
from flask_tenant_provisioning.testing.responses import ApiResponse
from flask_tenant_provisioning.web.routing import Route

NEVER_SENT = "01890000-0000-7000-8000-000000000000"
OF_A_DELIVERY = [route for route in ROUTES if "<delivery_id>" in route.rule]
FUTURE = "2100-01-01T00:00:00Z"
NO_MOMENTS: dict[str, tuple[Any, str]] = {
    "long ago": ("2020-01-01T00:00:00Z", "invalid-time"),
    "no time": ("yesterday", "invalid-time"),
    "no offset": ("2100-01-01T00:00:00", "invalid-time"),
    "a number": (7, "invalid-type"),
    "null": (None, "null"),
}


def create_subscription(partner: Caller, *globs: str) -> dict[str, Any]:
    """Create an enabled endpoint for these events; by default for those alone that no test here causes."""
    return create_endpoint(partner, enabled=True, events=[*globs] or ["webhook.disabled"])


def send_test(partner: Caller, webhook: dict[str, Any]) -> dict[str, Any]:
    """The delivery of a test."""
    return require_delivery(partner("POST", get_endpoint_path(webhook, "/test")))


def get_deliveries(partner: Caller, webhook: dict[str, Any]) -> ApiResponse:
    """The deliveries of an endpoint, on one page."""
    return partner("GET", get_endpoint_path(webhook, "/deliveries?limit=1000"))


def select_delivery(response: ApiResponse) -> dict[str, Any]:
    """Return the problem without the members that differ between two requests."""
    problem = response.problem(404, "delivery-not-found")
    return {name: value for name, value in problem.items() if name not in ("request_id", "instance")}


def test_a_test_is_answered_with_its_delivery(provisioning_partner: Caller) -> None:
    endpoint = create_subscription(provisioning_partner)
    response = provisioning_partner("POST", get_endpoint_path(endpoint, "/test"))
    sent = require_delivery(response)
    expected = {"webhook": endpoint["webhook"], "partner": provisioning_partner.partner, "tenant": None, "attempts": 0}
    response.require(
        sent | expected == sent and sent["state"] == "pending", "show a delivery to the endpoint, still pending"
    )
    response.require(int(response.header("Retry-After")) > 0, "say when to look again")
    delivery = provisioning_partner("GET", provisioning_partner.api.get_path(response.header("Location")))
    shown = require_delivery(delivery, 200)
    same = all(shown[name] == sent[name] for name in ("delivery", "webhook", "event", "created_at"))
    delivery.require(same and len(shown["history"]) == shown["attempts"], "show the delivery with each attempt at it")


def test_deliveries_are_listed_the_newest_first(provisioning_partner: Caller) -> None:
    endpoint = create_subscription(provisioning_partner)
    sent = [send_test(provisioning_partner, endpoint)["delivery"] for _ in range(3)]
    path = get_endpoint_path(endpoint, "/deliveries")
    first = provisioning_partner("GET", f"{path}?limit=2")
    page = first.document()
    rest = provisioning_partner("GET", f"{path}?limit=2&cursor={page['next']}").document()
    listed = [delivery["delivery"] for delivery in page["items"] + rest["items"]]
    first.require(listed == sent[::-1] and rest["next"] is None, "list each delivery once, the newest first")
    first.require(page["next"] in first.header("Link"), "lead to the next page")
    arrived = provisioning_partner("GET", f"{path}?state=succeeded")
    arrived.require(arrived.document()["items"] == [], "list no delivery as succeeded that no receiver accepted")
    other = provisioning_partner("GET", f"{path}?state=failed&cursor={page['next']}")
    other.problem(400, "invalid-cursor")
    lost = provisioning_partner("GET", f"{path}?state=lost")
    lost.require({*lost.faults("invalid-parameter")} == {"#/state"}, "name the state alone")


def test_event_is_delivered_to_its_subscribers(provisioning_partner: Caller) -> None:
    subscribed, other = (
        create_subscription(provisioning_partner, "*.created"),
        create_subscription(provisioning_partner),
    )
    silent = create_endpoint(provisioning_partner)
    tenant = provisioning_partner.create()
    (event,) = read_events(provisioning_partner, type="tenant.created")
    for webhook, expected in ((subscribed, [(event["id"], tenant["tenant"])]), (other, []), (silent, [])):
        response = get_deliveries(provisioning_partner, webhook)
        listed = [(delivery["event"], delivery["tenant"]) for delivery in response.document()["items"]]
        response.require(listed == expected, "list what this endpoint asked for, where it is enabled")


def test_a_delivery_is_attempted_again(provisioning_partner: Caller) -> None:
    sent = send_test(provisioning_partner, create_subscription(provisioning_partner))
    response = provisioning_partner("POST", get_delivery_path(sent, "/redeliver"))
    again = require_delivery(response)
    response.require(again["delivery"] == sent["delivery"], "attempt this delivery, and make no other")
    response.require((again["event"], again["state"]) == (sent["event"], "pending"), "have the same event sent again")
    response.require(again["finished_at"] is None and bool(again["next_attempt_at"]), "say when it will be")


def test_earlier_event_is_recovered_once(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    (event,) = read_events(provisioning_partner, type="tenant.created")
    endpoint = create_subscription(provisioning_partner, "tenant.created")
    body = {"since": tenant["created_at"]}
    response = provisioning_partner("POST", get_endpoint_path(endpoint, "/recover"), json=body)
    recovery = response.document(202)
    response.require(recovery == {"webhook": endpoint["webhook"], **body, "deliveries": 1}, "make one delivery")
    where = provisioning_partner.api.get_path(response.header("Location"))
    response.require(where == get_endpoint_path(endpoint, "/deliveries"), "name the list of deliveries as its Location")
    listed = [delivery["event"] for delivery in get_deliveries(provisioning_partner, endpoint).document()["items"]]
    response.require(listed == [event["id"]], "make a delivery of the event")
    again = provisioning_partner("POST", get_endpoint_path(endpoint, "/recover"), json=body)
    again.require(again.document(202)["deliveries"] == 0, "make no second one of what is on its way")


def test_nothing_of_the_future_is_recovered(provisioning_partner: Caller) -> None:
    provisioning_partner.create()
    endpoint = create_subscription(provisioning_partner, "tenant.created")
    response = provisioning_partner("POST", get_endpoint_path(endpoint, "/recover"), json={"since": FUTURE})
    response.require(response.document(202)["deliveries"] == 0, "make no delivery")


@pytest.mark.parametrize("case", NO_MOMENTS)
def test_a_recovery_begins_at_a_time_within_14_days(provisioning_partner: Caller, case: str) -> None:
    since, code = NO_MOMENTS[case]
    response = provisioning_partner(
        "POST", get_endpoint_path(create_subscription(provisioning_partner), "/recover"), json={"since": since}
    )
    response.require(response.faults() == {"#/since": code}, f"say {code} of the time alone")


def test_nothing_is_sent_to_an_endpoint_that_is_disabled(provisioning_partner: Caller) -> None:
    endpoint = create_subscription(provisioning_partner)
    sent = send_test(provisioning_partner, endpoint)
    require_endpoint(change_endpoint(provisioning_partner, "PATCH", endpoint, json={"enabled": False}))
    since = {"since": FUTURE}
    for response in (
        provisioning_partner("POST", get_endpoint_path(endpoint, "/test")),
        provisioning_partner("POST", get_endpoint_path(endpoint, "/recover"), json=since),
        provisioning_partner("POST", get_delivery_path(sent, "/redeliver")),
    ):
        response.problem(409, "webhook-disabled")


def test_test_that_is_repeated_or_dry_run_is_one_delivery(provisioning_partner: Caller) -> None:
    endpoint, headers = create_subscription(provisioning_partner), {"Idempotency-Key": "once"}
    first, again = (
        provisioning_partner("POST", get_endpoint_path(endpoint, "/test"), headers=headers) for _ in range(2)
    )
    again.require(require_delivery(again) == require_delivery(first), "repeat the answer")
    require_delivery(provisioning_partner("POST", get_endpoint_path(endpoint, "/test?validate_only=true")))
    response = get_deliveries(provisioning_partner, endpoint)
    listed = [delivery["delivery"] for delivery in response.document()["items"]]
    response.require(listed == [require_delivery(first)["delivery"]], "list one delivery")


def test_deliveries_go_with_their_endpoint(provisioning_partner: Caller) -> None:
    endpoint = create_subscription(provisioning_partner)
    sent = send_test(provisioning_partner, endpoint)
    change_endpoint(provisioning_partner, "DELETE", endpoint).expect(204)
    provisioning_partner("GET", get_delivery_path(sent)).problem(404, "delivery-not-found")


@pytest.mark.parametrize("route", OF_A_DELIVERY, ids=lambda route: f"{route.method} {route.rule}")
def test_delivery_of_another_partner_returns_404(
    provisioning_partner: Caller, provisioning_stranger: Caller, route: Route
) -> None:
    sent = send_test(provisioning_partner, create_subscription(provisioning_partner))
    theirs, absent = (
        provisioning_stranger(route.method, route.rule.replace("<delivery_id>", id))
        for id in (sent["delivery"], NEVER_SENT)
    )
    theirs.require(select_delivery(theirs) == select_delivery(absent), "answer as for an id that never was")
