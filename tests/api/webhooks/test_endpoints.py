"""Endpoints and their deliveries over HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from flask_tenant_provisioning.database.ids import format_instant, make_uuid7
from flask_tenant_provisioning.events.feed import publish_all
from flask_tenant_provisioning.routes import ROUTES
from flask_tenant_provisioning.webhooks.fanout import EVENT_TYPES
from tests.support.assertions import assert_invalid_fields, check_problem
from tests.support.callers import Caller
from tests.support.hosts import PREFIX, get_engine, get_mount

MakeApp = Callable[..., Flask]
URL = "https://93.184.215.14/hook"
LIST_OF_TEXTS = "Must be a list of 1 to 50 texts."


def create(partner: Caller, **fields: Any) -> dict[str, Any]:
    """An endpoint that was created just now."""
    response = partner("POST", "/webhooks", json={"url": URL, **fields})
    assert response.status_code == 201, response.text
    document: dict[str, Any] = response.get_json()
    return document


def endpoint_path(webhook: dict[str, Any], action: str = "") -> str:
    return f"/webhooks/{webhook['webhook']}{action}"


def public(webhook: dict[str, Any]) -> dict[str, Any]:
    """The endpoint as later responses show it."""
    return {name: value for name, value in webhook.items() if name != "secret"}


def execute(app: Flask, statement: str, **values: Any) -> Any:
    """Whatever else has happened to the tables: what a worker would have done."""
    with get_engine(app).begin() as connection:
        return connection.execute(text(statement), values)


def row(webhook: dict[str, Any], app: Flask) -> Any:
    rows = execute(app, "SELECT * FROM provisioning_webhooks WHERE id = :id", id=webhook["webhook"])
    return rows.mappings().one()


# Creating.


def test_a_new_endpoint_is_shown_with_its_secret(partner: Caller) -> None:
    response = partner("POST", "/webhooks", json={"url": URL})
    document = response.get_json()
    assert (response.status_code, response.headers["ETag"]) == (201, '"1"')
    assert response.headers["Location"] == PREFIX + endpoint_path(document)
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", document["secret"])
    assert document == {
        "webhook": document["webhook"],
        "partner": partner.partner,
        "url": URL,
        "description": None,
        "events": ["*"],
        "signing": "v1",
        "enabled": True,
        "disabled_reason": None,
        "failing_since": None,
        "public_key": None,
        "version": 1,
        "created_at": document["created_at"],
        "updated_at": document["created_at"],
        "secret": document["secret"],
    }


def test_a_v1a_endpoint_has_a_public_key_and_no_secret_to_show(partner: Caller) -> None:
    endpoint = create(partner, signing="v1a", description="Ünïcode", events=["tenant.*", "*.deleted", "tenant.*"])
    assert endpoint["secret"] is None
    assert re.fullmatch(r"whpk_[A-Za-z0-9+/]{43}=", endpoint["public_key"])
    assert (endpoint["description"], endpoint["events"]) == ("Ünïcode", ["tenant.*", "*.deleted"])
    assert partner("GET", endpoint_path(endpoint)).get_json()["public_key"] == endpoint["public_key"]


def test_all_errors_are_listed_at_once(partner: Caller) -> None:
    body = {
        "url": "",
        "description": 5,
        "events": ["tenant.*", 7, "Tenant", "invoice.*"],
        "signing": "v2",
        "enabled": 1,
    }
    assert_invalid_fields(
        partner("POST", "/webhooks", json={**body, "secret": "whsec_x", "version": 3}),
        ("#/description", "invalid-type", "Must be a text."),
        ("#/enabled", "invalid-type", "Must be true or false."),
        ("#/events/1", "invalid-type", "Must be a text."),
        ("#/events/2", "invalid-glob", "Must be a type of events such as tenant.created, with * for any part of it."),
        ("#/events/3", "invalid-choice", f"invoice.* matches none of: {', '.join(EVENT_TYPES)}."),
        ("#/secret", "unknown-field", "There is no such field."),
        ("#/signing", "invalid-choice", "Must be one of: v1, v1a."),
        ("#/url", "invalid-length", "Must have 1 to 2048 characters."),
        ("#/version", "read-only", "This field is set by the server."),
    )


@pytest.mark.parametrize("events", [[], "*", {}, None, 5, ["*"] * 51], ids=repr)
def test_events_of_a_wrong_shape_are_refused(partner: Caller, events: Any) -> None:
    wrong = ("null", "This field may not be null.") if events is None else ("invalid-type", LIST_OF_TEXTS)
    assert_invalid_fields(partner("POST", "/webhooks", json={"url": URL, "events": events}), ("#/events", *wrong))


@pytest.mark.parametrize("url", [None, 5, "", "h" * 2049])
def test_a_url_of_a_wrong_shape_is_refused(partner: Caller, url: Any) -> None:
    document = check_problem(partner("POST", "/webhooks", json={"url": url}), status=400, code="validation-error")
    assert [error["pointer"] for error in document["errors"]] == ["#/url"]


def test_a_url_that_the_guard_refuses_is_said_with_the_rest(make_app: MakeApp) -> None:
    app = make_app()
    get_mount(app).url_refusal = lambda url: f"Not {url}." if url.startswith("http:") else None
    partner = Caller(app)
    wrong = ("#/url", "refused-url", "Not http://localhost.")
    assert_invalid_fields(partner("POST", "/webhooks", json={"url": "http://localhost"}), wrong)
    assert_invalid_fields(
        partner("POST", "/webhooks", json={"url": "http://localhost", "enabled": 5}),
        ("#/enabled", "invalid-type", "Must be true or false."),
        wrong,
    )
    assert_invalid_fields(partner("PATCH", endpoint_path(create(partner)), json={"url": "http://localhost"}), wrong)


def test_dry_run_leaves_nothing_behind(partner: Caller) -> None:
    response = partner("POST", "/webhooks?validate_only=true", json={"url": URL})
    assert (response.status_code, response.headers["X-Validate-Only"]) == (201, "true")
    assert partner("GET", "/webhooks").get_json() == {"items": [], "next": None}


def test_a_partner_has_as_many_endpoints_as_the_host_allows(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_WEBHOOK_LIMIT=2)
    partner = Caller(app)
    endpoints = [create(partner), create(partner)]
    refused = check_problem(partner("POST", "/webhooks", json={"url": URL}), status=403, code="quota-exceeded", limit=2)
    assert refused["detail"] == "The limit of 2 webhooks is reached."
    create(Caller(app))
    assert partner("DELETE", endpoint_path(endpoints[0])).status_code == 204
    create(partner)


def test_the_limit_is_exact_when_many_create_at_once(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_WEBHOOK_LIMIT=3)
    callers = [Caller(app, "racing") for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(lambda caller: caller("POST", "/webhooks", json={"url": URL}).status_code, callers))
    assert sorted(statuses) == [201] * 3 + [403] * 9


# Reading.


def test_an_endpoint_is_read_without_its_secret(partner: Caller) -> None:
    endpoint = create(partner)
    response = partner("GET", endpoint_path(endpoint))
    assert (response.status_code, response.headers["ETag"], response.get_json()) == (200, '"1"', public(endpoint))
    unchanged = partner("GET", endpoint_path(endpoint), headers={"If-None-Match": '"1"'})
    assert (unchanged.status_code, unchanged.headers["ETag"]) == (304, '"1"')


def test_a_list_is_read_page_by_page(partner: Caller) -> None:
    created = [public(create(partner)) for _ in range(5)]
    Caller(partner.app)("POST", "/webhooks", json={"url": URL})
    endpoints, page = [], partner("GET", "/webhooks?limit=2")
    while page.get_json()["next"] is not None:
        endpoints += page.get_json()["items"]
        link = re.fullmatch(rf'<{PREFIX}(/webhooks\?.*)>; rel="next"', page.headers["Link"])
        assert link is not None
        page = partner("GET", link[1])
    assert endpoints + page.get_json()["items"] == created
    assert "Link" not in page.headers


def test_a_cursor_is_good_for_its_own_list_alone(partner: Caller) -> None:
    create(partner), create(partner)
    cursor = partner("GET", "/webhooks?limit=1").get_json()["next"]
    stranger = Caller(partner.app)("GET", f"/webhooks?cursor={cursor}")
    check_problem(stranger, status=400, code="invalid-cursor")


def test_administrator_reaches_endpoints_of_any_partner(app: Flask, partner: Caller) -> None:
    endpoint, admin = create(partner), Caller(app, roles=["provisioning-admin"])
    query = f"?partner={partner.partner}"
    other = admin("POST", f"/webhooks{query}", json={"url": URL}).get_json()
    assert other["partner"] == partner.partner
    assert admin("GET", f"/webhooks{query}").get_json()["items"] == [public(endpoint), public(other)]
    assert public(other) in admin("GET", "/webhooks?limit=1000").get_json()["items"]
    assert admin("PATCH", endpoint_path(endpoint), json={"enabled": False}).get_json()["enabled"] is False
    assert admin("DELETE", endpoint_path(endpoint)).status_code == 204
    check_problem(partner("GET", f"/webhooks{query}"), status=403, code="insufficient-permission")


# What is another partner's.

OF_ONE = [
    ("GET", "", None),
    ("PATCH", "", {"enabled": False}),
    ("DELETE", "", None),
    ("POST", "/rotate-secret", None),
    ("POST", "/test", None),
    ("POST", "/recover", {"since": "2100-01-01T00:00:00Z"}),
    ("GET", "/deliveries", None),
]


def test_these_tests_cover_every_route_with_an_endpoint_id() -> None:
    rules = {(route.method, route.rule) for route in ROUTES if "<webhook_id>" in route.rule}
    assert rules == {(method, f"/webhooks/<webhook_id>{action}") for method, action, _ in OF_ONE}


@pytest.mark.parametrize(("method", "action", "body"), OF_ONE)
def test_another_partners_endpoint_returns_the_404_of_an_absent_one(
    partner: Caller, method: str, action: str, body: Any
) -> None:
    endpoint, stranger = create(partner), Caller(partner.app)
    sent = {} if body is None else {"json": body}
    for id in (endpoint["webhook"], make_uuid7(), "no-such"):
        refused = check_problem(
            stranger(method, f"/webhooks/{id}{action}", **sent), status=404, code="webhook-not-found"
        )
        assert refused["detail"] == "Webhook not found."
    assert partner("GET", endpoint_path(endpoint)).get_json() == public(endpoint)


@pytest.mark.parametrize(("method", "action"), [("GET", ""), ("POST", "/redeliver")])
def test_another_partners_delivery_returns_the_404_of_an_absent_one(partner: Caller, method: str, action: str) -> None:
    sent = partner("POST", endpoint_path(create(partner), "/test")).get_json()
    for id in (sent["delivery"], make_uuid7(), "no-such"):
        refused = Caller(partner.app)(method, f"/deliveries/{id}{action}")
        assert check_problem(refused, status=404, code="delivery-not-found")["detail"] == "Delivery not found."


# Changing.


def test_merge_patch_changes_named_fields_only(partner: Caller) -> None:
    endpoint = create(partner, description="old", events=["tenant.*"])
    sent = {"url": f"{URL}/2", "description": None, "events": ["*.deleted"]}
    response = partner(
        "PATCH", endpoint_path(endpoint), data=json.dumps(sent), content_type="application/merge-patch+json"
    )
    changed = response.get_json()
    assert (response.status_code, response.headers["ETag"]) == (200, '"2"')
    assert changed == {**public(endpoint), **sent, "version": 2, "updated_at": changed["updated_at"]}
    assert changed["updated_at"] >= endpoint["updated_at"]


def test_the_same_values_change_nothing(partner: Caller) -> None:
    endpoint = create(partner)
    assert partner(
        "PATCH", endpoint_path(endpoint), json={"url": URL, "enabled": True, "events": ["*"]}
    ).get_json() == public(endpoint)
    assert partner("PATCH", endpoint_path(endpoint), json={}).get_json() == public(endpoint)


def test_signing_scheme_cannot_be_changed(partner: Caller) -> None:
    refusal = ("#/signing", "read-only", "This field is set by the server.")
    assert_invalid_fields(partner("PATCH", endpoint_path(create(partner)), json={"signing": "v1a"}), refusal)


@pytest.mark.parametrize("field", ["url", "events", "enabled"])
def test_required_fields_cannot_be_removed(partner: Caller, field: str) -> None:
    refusal = (f"#/{field}", "null", "This field may not be null.")
    assert_invalid_fields(partner("PATCH", endpoint_path(create(partner)), json={field: None}), refusal)


def test_a_write_to_another_version_is_refused(partner: Caller) -> None:
    endpoint = create(partner)
    for method, action, body in (("PATCH", "", {"enabled": False}), ("DELETE", "", {}), ("POST", "/rotate-secret", {})):
        stale = partner(method, endpoint_path(endpoint, action), json=body, headers={"If-Match": '"7"'})
        check_problem(stale, status=412, code="precondition-failed")
    assert (
        partner("PATCH", endpoint_path(endpoint), json={"enabled": False}, headers={"If-Match": '"1"'}).status_code
        == 200
    )


def test_a_host_may_demand_if_match(make_app: MakeApp) -> None:
    partner = Caller(make_app(PROVISIONING_REQUIRE_IF_MATCH=True))
    endpoint = create(partner)
    check_problem(partner("PATCH", endpoint_path(endpoint), json={}), status=428, code="precondition-required")
    assert partner("POST", endpoint_path(endpoint, "/rotate-secret"), headers={"If-Match": "*"}).status_code == 200


def test_concurrent_writes_to_one_version_have_one_winner(partner: Caller) -> None:
    endpoint = create(partner)
    callers = [Caller(partner.app, partner.partner) for _ in range(8)]

    def patch(number: int) -> int:
        headers = {"If-Match": '"1"'}
        return callers[number](
            "PATCH", endpoint_path(endpoint), json={"description": f"{number}"}, headers=headers
        ).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(patch, range(8))) == [200] + [412] * 7


def test_a_disabled_endpoint_is_due_no_more_and_an_enabled_one_at_once(partner: Caller) -> None:
    endpoint, app = create(partner), partner.app
    partner("POST", endpoint_path(endpoint, "/test"))
    disabled = partner("PATCH", endpoint_path(endpoint), json={"enabled": False}).get_json()
    assert (disabled["enabled"], row(endpoint, app)["due_at"]) == (False, None)
    partner("PATCH", endpoint_path(endpoint), json={"enabled": True})
    assert row(endpoint, app)["due_at"] is not None


def test_enabled_endpoint_without_pending_deliveries_is_not_due(partner: Caller) -> None:
    endpoint = create(partner, enabled=False)
    partner("PATCH", endpoint_path(endpoint), json={"enabled": True})
    assert row(endpoint, partner.app)["due_at"] is None


def test_enabling_a_failed_endpoint_resets_its_failures(partner: Caller) -> None:
    created, since = create(partner), "2025-02-10T16:30:00.000000Z"
    execute(
        partner.app,
        "UPDATE provisioning_webhooks SET enabled = 0, disabled_reason = 'failing', failures = 9, failing_since = :at, "
        "rests_until = :at WHERE id = :id",
        at=since,
        id=created["webhook"],
    )
    shown = partner("GET", endpoint_path(created)).get_json()
    assert (shown["disabled_reason"], shown["failing_since"]) == ("failing", "2025-02-10T16:30:00.000Z")
    enabled = partner("PATCH", endpoint_path(created), json={"enabled": True}).get_json()
    assert (enabled["enabled"], enabled["disabled_reason"], enabled["failing_since"]) == (True, None, None)
    endpoint = row(created, partner.app)
    assert (endpoint["failures"], endpoint["rests_until"]) == (0, None)


def test_a_deleted_endpoint_takes_its_deliveries_and_attempts_along(partner: Caller) -> None:
    created, other = create(partner), create(partner)
    sent, kept = (partner("POST", endpoint_path(endpoint, "/test")).get_json() for endpoint in (created, other))
    record_attempt(partner, sent)
    record_attempt(partner, kept)
    response = partner("DELETE", endpoint_path(created))
    assert (response.status_code, response.data) == (204, b"")
    check_problem(partner("GET", f"/deliveries/{sent['delivery']}"), status=404)
    assert len(partner("GET", f"/deliveries/{kept['delivery']}").get_json()["history"]) == 1
    counted = "SELECT count(*) FROM provisioning_attempts WHERE delivery_id = :id"
    assert execute(partner.app, counted, id=sent["delivery"]).scalar() == 0


# Secrets.


def test_a_rotation_shows_the_new_secret_as_the_next_version(partner: Caller) -> None:
    endpoint = create(partner)
    response = partner("POST", endpoint_path(endpoint, "/rotate-secret"), json={"overlap_hours": 0})
    rotated = response.get_json()
    assert (response.status_code, response.headers["ETag"], rotated["version"]) == (200, '"2"', 2)
    assert rotated["secret"] != endpoint["secret"]
    assert public(rotated).keys() == public(endpoint).keys()


@pytest.mark.parametrize("hours", [-1, 169, 1.5, "24", True, None, [], float(10**300)])
def test_an_overlap_is_of_0_to_168_hours(partner: Caller, hours: Any) -> None:
    refused = partner("POST", endpoint_path(create(partner), "/rotate-secret"), json={"overlap_hours": hours})
    document = check_problem(refused, status=400, code="validation-error")
    assert [error["pointer"] for error in document["errors"]] == ["#/overlap_hours"]


# Deliveries.


def record_attempt(partner: Caller, delivery: dict[str, Any], state: str = "failed", status: int = 500) -> None:
    """Store the state that a worker leaves after one attempt."""
    where = {"partner": partner.partner, "id": delivery["delivery"], "at": "2025-02-10T16:30:00.000000Z"}
    execute(
        partner.app,
        "INSERT INTO provisioning_attempts (partner_id, delivery_id, number, at, status, latency_ms, error, answer) "
        "VALUES (:partner, :id, 1, :at, :status, 12, NULL, 'Oops')",
        **where,
        status=status,
    )
    execute(
        partner.app,
        "UPDATE provisioning_deliveries SET state = :state, attempts = 1, due_at = NULL, finished_at = :at "
        "WHERE partner_id = :partner AND id = :id",
        **where,
        state=state,
    )


def test_a_test_is_one_delivery_of_an_event_of_its_own(partner: Caller) -> None:
    endpoint = create(partner, events=["tenant.deleted"])
    response = partner("POST", endpoint_path(endpoint, "/test"))
    sent = response.get_json()
    assert (response.status_code, response.headers["Retry-After"]) == (202, "1")
    assert response.headers["Location"] == f"{PREFIX}/deliveries/{sent['delivery']}"
    assert sent == {
        "delivery": sent["delivery"],
        "webhook": endpoint["webhook"],
        "partner": partner.partner,
        "event": sent["event"],
        "tenant": None,
        "state": "pending",
        "attempts": 0,
        "resent": True,
        "next_attempt_at": sent["created_at"],
        "created_at": sent["created_at"],
        "finished_at": None,
    }
    assert partner("GET", f"/deliveries/{sent['delivery']}").get_json() == {**sent, "history": []}
    query = "SELECT payload FROM provisioning_deliveries WHERE id = :id"
    payload = execute(partner.app, query, id=sent["delivery"]).scalar()
    event = payload if isinstance(payload, dict) else json.loads(payload)
    assert (event["id"], event["type"], event["data"]) == (sent["event"], "webhook.test", public(endpoint))
    assert row(endpoint, partner.app)["due_at"] is not None


def test_nothing_is_sent_to_a_disabled_endpoint(partner: Caller) -> None:
    endpoint = create(partner)
    sent = partner("POST", endpoint_path(endpoint, "/test")).get_json()
    partner("PATCH", endpoint_path(endpoint), json={"enabled": False})
    since = {"since": "2100-01-01T00:00:00Z"}
    for path, body in ((endpoint_path(endpoint, "/test"), {}), (endpoint_path(endpoint, "/recover"), since)):
        check_problem(partner("POST", path, json=body), status=409, code="webhook-disabled")
    check_problem(partner("POST", f"/deliveries/{sent['delivery']}/redeliver"), status=409, code="webhook-disabled")


def test_a_delivery_shows_each_attempt(partner: Caller) -> None:
    sent = partner("POST", endpoint_path(create(partner), "/test")).get_json()
    record_attempt(partner, sent)
    shown = partner("GET", f"/deliveries/{sent['delivery']}").get_json()
    assert (shown["state"], shown["attempts"], shown["next_attempt_at"]) == ("failed", 1, None)
    assert shown["history"] == [
        {
            "number": 1,
            "at": "2025-02-10T16:30:00.000Z",
            "status": 500,
            "latency_ms": 12,
            "error": None,
            "answer": "Oops",
        }
    ]


def test_deliveries_are_listed_newest_first_and_by_state(partner: Caller) -> None:
    endpoint = create(partner)
    sent = [partner("POST", endpoint_path(endpoint, "/test")).get_json() for _ in range(3)]
    record_attempt(partner, sent[1], "succeeded", 204)
    first = partner("GET", endpoint_path(endpoint, "/deliveries?limit=2")).get_json()
    rest = partner("GET", endpoint_path(endpoint, f"/deliveries?limit=2&cursor={first['next']}")).get_json()
    listed = [delivery["delivery"] for delivery in first["items"] + rest["items"]]
    assert (listed, rest["next"]) == ([delivery["delivery"] for delivery in reversed(sent)], None)
    succeeded = partner("GET", endpoint_path(endpoint, "/deliveries?state=succeeded")).get_json()["items"]
    assert [delivery["delivery"] for delivery in succeeded] == [sent[1]["delivery"]]
    refused = partner("GET", endpoint_path(endpoint, f"/deliveries?state=failed&cursor={first['next']}"))
    check_problem(refused, status=400, code="invalid-cursor")
    check_problem(
        partner("GET", endpoint_path(endpoint, "/deliveries?state=lost")), status=400, code="invalid-parameter"
    )


def test_a_redelivery_is_one_attempt_more(partner: Caller) -> None:
    sent = partner("POST", endpoint_path(create(partner), "/test")).get_json()
    record_attempt(partner, sent)
    response = partner("POST", f"/deliveries/{sent['delivery']}/redeliver")
    again = response.get_json()
    assert (response.status_code, response.headers["Location"]) == (202, f"{PREFIX}/deliveries/{sent['delivery']}")
    assert (again["event"], again["state"], again["resent"]) == (sent["event"], "pending", True)
    assert (again["attempts"], again["finished_at"]) == (1, None)
    assert again["next_attempt_at"] is not None


# Recovery.


def happen(partner: Caller) -> list[str]:
    """The ids of three published events: a tenant was created, suspended, and deleted."""
    path = f"/tenants/{partner.create()['tenant']}"
    partner("POST", f"{path}/suspend")
    partner("DELETE", path)
    return [event["id"] for event in partner("GET", "/events?limit=1000").get_json()["items"]]


def count_recovered(partner: Caller, webhook: dict[str, Any], since: str = "") -> int:
    """Recover; return the number of new deliveries."""
    since = since or format_instant(get_mount(partner.app).storage.clock() - 3600)
    response = partner("POST", endpoint_path(webhook, "/recover"), json={"since": since})
    assert response.status_code == 202, response.text
    assert response.headers["Location"] == PREFIX + endpoint_path(webhook, "/deliveries")
    count: int = response.get_json()["deliveries"]
    return count


def test_recovery_delivers_matching_events_that_did_not_arrive(partner: Caller) -> None:
    events = happen(partner)
    endpoint = create(partner, events=["*.created", "*.deleted"])
    assert count_recovered(partner, endpoint) == 2
    listed = partner("GET", endpoint_path(endpoint, "/deliveries")).get_json()["items"]
    assert {delivery["event"] for delivery in listed} == {events[0], events[2]}
    assert all(
        (delivery["state"], delivery["resent"], delivery["tenant"] is None) == ("pending", False, False)
        for delivery in listed
    )
    assert count_recovered(partner, endpoint) == 0
    record_attempt(partner, listed[0])
    record_attempt(partner, listed[1], "succeeded", 200)
    assert count_recovered(partner, endpoint) == 1
    assert row(endpoint, partner.app)["due_at"] is not None


def test_a_recovery_begins_with_its_moment(partner: Caller) -> None:
    happen(partner)
    endpoint = create(partner)
    assert count_recovered(partner, endpoint, "2100-01-01T00:00:00Z") == 0


@pytest.mark.parametrize(
    ("since", "code"),
    [
        (lambda now: format_instant(now, days=-15), "invalid-time"),
        (lambda _now: "yesterday", "invalid-time"),
        (lambda _now: "2025-02-10T16:30:00", "invalid-time"),
        (lambda _now: 5, "invalid-type"),
        (lambda _now: None, "null"),
    ],
)
def test_a_recovery_reaches_back_14_days_at_most(partner: Caller, since: Callable[[float], Any], code: str) -> None:
    endpoint, now = create(partner), get_mount(partner.app).storage.clock()
    refused = check_problem(
        partner("POST", endpoint_path(endpoint, "/recover"), json={"since": since(now)}), status=400
    )
    assert [(error["pointer"], error["code"]) for error in refused["errors"]] == [("#/since", code)]
    assert count_recovered(partner, endpoint, format_instant(now, days=-13)) == 0


# What is told of changes.


def list_endpoint_events(caller: Caller) -> list[dict[str, Any]]:
    """The events about endpoints, the oldest first."""
    return [event for event in caller("GET", "/events").get_json()["items"] if event["type"].startswith("webhook.")]


@pytest.mark.parametrize("signing", ["v1", "v1a"])
def test_each_change_of_an_endpoint_is_an_event_with_its_actor(app: Flask, signing: str) -> None:
    partner = Caller(app, sub="alice")
    created = create(partner, signing=signing, description="CRM")
    changed = partner("PATCH", endpoint_path(created), json={"url": f"{URL}/2", "enabled": False}).get_json()
    rotated = partner("POST", endpoint_path(created, "/rotate-secret"), json={}).get_json()
    assert partner("DELETE", endpoint_path(created)).status_code == 204

    events = list_endpoint_events(partner)
    assert [event["type"] for event in events] == [
        "webhook.created", "webhook.updated", "webhook.rotated", "webhook.deleted",
    ]  # fmt: skip
    shown = [public(endpoint) for endpoint in (created, changed, rotated, rotated)]
    assert [event["data"] for event in events] == shown
    key = {"public_key": {"previous": created["public_key"], "new": rotated["public_key"]}} if signing == "v1a" else {}
    assert [event["changes"] for event in events] == [
        {},
        {"url": {"previous": URL, "new": f"{URL}/2"}, "enabled": {"previous": True, "new": False}},
        key,
        {},
    ]
    for event in events:
        assert (event["actor"], event["tenant"]) == ({"sub": "alice", "partner": partner.partner}, None)
    stored = json.dumps(
        [dict(row) for row in execute(app, "SELECT * FROM provisioning_events").mappings()], default=str
    )
    assert [
        secret for secret in (created["secret"], rotated["secret"]) if secret is not None and secret in stored
    ] == []


def test_no_event_for_dry_runs_and_unchanged_writes(partner: Caller) -> None:
    endpoint = create(partner)
    before = list_endpoint_events(partner)
    assert partner("PATCH", endpoint_path(endpoint), json={"url": URL}).status_code == 200
    assert partner("PATCH", endpoint_path(endpoint, "?validate_only=true"), json={"url": f"{URL}/2"}).status_code == 200
    assert partner("DELETE", endpoint_path(endpoint, "?validate_only=true")).status_code == 204
    assert partner("POST", "/webhooks?validate_only=true", json={"url": URL}).status_code == 201
    assert list_endpoint_events(partner) == before


def test_event_hides_endpoint_details_without_webhook_read(make_app: MakeApp) -> None:
    app = make_app(
        PROVISIONING_ROLES={"admin": ["webhook:manage", "webhook:read", "event:read"], "feed": ["event:read"]}
    )
    partner = Caller(app, roles=["admin"])
    endpoint = create(partner)
    partner("PATCH", endpoint_path(endpoint), json={"url": f"{URL}/2"})

    events = list_endpoint_events(partner.with_roles("feed"))
    whole = list_endpoint_events(partner)
    assert [event["data"] for event in events] == [{"webhook": endpoint["webhook"]}] * 2
    assert [event["changes"] for event in events] == [{}, {}]
    assert [{**event, "data": 0, "changes": 0} for event in events] == [
        {**event, "data": 0, "changes": 0} for event in whole
    ]


def test_endpoint_events_are_delivered_if_subscribed(partner: Caller, app: Flask) -> None:
    for globs in (["*"], ["*.*"], ["webhook.*"], ["webhook.deleted"]):
        create(partner, events=globs)
    partner("DELETE", endpoint_path(create(partner, events=["tenant.*"])))
    publish_all(get_mount(app).storage)

    statement = "SELECT w.events AS globs, e.type AS kind FROM provisioning_deliveries d"
    statement += " JOIN provisioning_events e ON e.partner_id = d.partner_id AND e.id = d.event_id"
    statement += " JOIN provisioning_webhooks w ON w.partner_id = d.partner_id AND w.id = d.webhook_id"
    rows = execute(app, f"{statement} WHERE d.partner_id = :partner", partner=partner.partner).mappings()
    heard = sorted((str(row["globs"]).strip("[]'\""), row["kind"]) for row in rows)
    assert heard == [("webhook.*", "webhook.created")] * 5 + [
        ("webhook.*", "webhook.deleted"),
        ("webhook.deleted", "webhook.deleted"),
    ]
