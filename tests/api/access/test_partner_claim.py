"""The partner claim is required, and only a caller who may do something is registered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning import requires
from tests.support.assertions import check_problem
from tests.support.callers import EXAMPLE, Caller, make_caller_without_partner
from tests.support.database.rows import fetch_rows

MakeApp = Callable[..., Flask]

ADMINISTRATOR = "provisioning-admin"
CSV = {"data": b"client_name,email\n", "content_type": "text/csv"}


def partners(app: Flask) -> set[str]:
    """The ids of all partners that are registered."""
    return {row["partner_id"] for row in fetch_rows(app, "partners")}


@pytest.mark.parametrize("role", ["partner-admin", "partner-viewer", "nobody"])
def test_a_token_without_the_partner_claim_is_refused(app: Flask, role: str) -> None:
    before = partners(app)
    caller = make_caller_without_partner(app, role)
    for call in [("GET", "/tenants", {}), ("POST", "/tenants", {"json": EXAMPLE}), ("GET", "/events", {})]:
        response = caller(call[0], call[1], **call[2])
        detail = "The token names no partner: it must carry the claim partner_id."
        check_problem(response, status=403, code="partner-missing", claim="partner_id", detail=detail)
    assert partners(app) == before


@pytest.mark.one_database
def test_the_problem_names_the_claim_that_the_host_configured(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_PARTNER_CLAIM="org.id")
    check_problem(
        make_caller_without_partner(app, "partner-admin", org={})("GET", "/tenants"),
        code="partner-missing",
        claim="org.id",
    )
    remedy = Caller(app)("GET", "/problems/partner-missing").get_json()["remedy"]
    assert "claim" in remedy


def test_a_token_that_may_do_nothing_registers_no_partner(app: Flask) -> None:
    stranger = Caller(app, roles=["nobody"])
    viewer = Caller(app, roles=["partner-viewer"])
    check_problem(stranger("GET", "/tenants"), status=403, code="insufficient-permission")
    check_problem(viewer("POST", "/tenants", json=EXAMPLE), status=403, code="insufficient-permission")
    assert not {stranger.partner, viewer.partner} & partners(app)
    assert viewer("GET", "/tenants").status_code == 200
    assert viewer.partner in partners(app)


@pytest.mark.one_database
def test_a_request_over_the_rate_limit_registers_no_partner(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_RATE_LIMITS={"write": "1/hour"})
    caller = Caller(app, roles=["partner-viewer"])
    check_problem(caller("POST", "/tenants", json=EXAMPLE), status=403)
    caller = Caller(app, caller.partner)
    check_problem(caller("POST", "/tenants", json=EXAMPLE), status=429)
    assert caller.partner not in partners(app)


def test_host_views_require_the_claim_too(make_app: MakeApp) -> None:
    app = make_app()

    @app.get("/mine")
    @requires("tenant:read")
    def mine() -> str:
        return "mine"

    caller = make_caller_without_partner(app, "partner-admin")
    response = caller.client.get("/mine", headers={"Authorization": f"Bearer {caller.token}"})
    check_problem(response, status=403, code="partner-missing")


def test_an_administrator_needs_no_partner_to_reach_everyones_tenants(app: Flask) -> None:
    partner, administrator = Caller(app), make_caller_without_partner(app, ADMINISTRATOR, "root")
    path = f"/tenants/{partner.create()['tenant']}"
    for read in ("/tenants", path, "/partners", f"/partners/{partner.partner}", "/usage", "/webhooks", "/bulk-jobs"):
        assert administrator("GET", read).status_code == 200, read
    assert administrator("GET", f"/events?partner={partner.partner}").status_code == 200
    key = {"Idempotency-Key": f"key of {partner.partner}"}
    changed = administrator("PATCH", path, json={"plan": "pro"}, headers=key)
    assert changed.get_json()["plan"] == "pro"
    assert administrator("PATCH", path, json={"plan": "pro"}, headers=key).headers["Idempotency-Replayed"] == "true"
    created = administrator("POST", f"/tenants?partner={partner.partner}", json=EXAMPLE)
    assert created.get_json()["partner"] == partner.partner
    event = partner("GET", "/events?type=tenant.updated").get_json()["items"][0]
    assert event["actor"] == {"sub": "root", "partner": ""}


CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/tenants", {"json": EXAMPLE}),
    ("PUT", "/tenants/by-external-id/crm-1", {"json": EXAMPLE}),
    ("POST", "/webhooks", {"json": {"url": "https://example.com/hook", "events": ["tenant.*"]}}),
    ("POST", "/bulk-jobs", CSV),
    ("GET", "/events", {}),
]


@pytest.mark.parametrize(("method", "path", "sent"), CALLS, ids=lambda value: value if isinstance(value, str) else "")
def test_administrator_without_partner_must_name_one_to_create(
    app: Flask, method: str, path: str, sent: dict[str, Any]
) -> None:
    administrator = make_caller_without_partner(app, ADMINISTRATOR, "root")
    check_problem(administrator(method, path, **sent), status=403, code="partner-missing", claim="partner_id")
    response = administrator(method, f"{path}?partner={Caller(app).partner}", **sent)
    assert response.status_code != 403, response.text
    assert not {"", "root"} & partners(app)


@pytest.mark.one_database
def test_administrators_without_a_partner_share_the_configured_rate_limit(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_RATE_LIMITS={"read": "2/hour"})
    codes = [
        make_caller_without_partner(app, ADMINISTRATOR, f"root-{n}")("GET", "/tenants").status_code for n in range(3)
    ]
    assert codes == [200, 200, 429]
    assert Caller(app)("GET", "/tenants").status_code == 200
