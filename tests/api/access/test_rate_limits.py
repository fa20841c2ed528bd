"""Rate limits: what is counted for whom, what a partner is told of it, and what happens when there is nothing left."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, current_app

from flask_tenant_provisioning import ConfigurationError, TenantProvisioning
from flask_tenant_provisioning.config_checks import RATE_CLASSES
from flask_tenant_provisioning.rate_limits import POLICY_CACHE_SECONDS
from flask_tenant_provisioning.routes import ROUTES
from tests.support.assertions import assert_problem
from tests.support.callers import Caller, tenant_path
from tests.support.clock import LONG_LIVED_TOKENS
from tests.support.database.rows import fetch_rows
from tests.support.hosts import PREFIX, get_mount, make_config
from tests.support.rate_limits.clocked_storage import ManualClock, hand as hand
from tests.support.rate_limits.requests import HOSTILE_PARTNER_IDS, read_rate_limit_headers, send_requests
from tests.support.servers import run_concurrently

MakeApp = Callable[..., Flask]
Limits = Callable[..., Caller]
ROW = {"client_name": "A", "email": "a@example.com"}


@pytest.fixture
def make_partner(make_app: MakeApp, hand: ManualClock) -> Limits:
    """Makes a partner of a host with these limits, which are counted by the clock of `hand`."""

    def make(**limits: str) -> Caller:
        config = {"PROVISIONING_RATE_LIMITS": limits, "PROVISIONING_RATE_LIMIT_STORAGE": hand.url, **LONG_LIVED_TOKENS}
        return Caller(make_app(mount={"clock": hand.clock}, **config))

    return make


# What is told.


def test_each_response_shows_the_remaining_requests(make_partner: Limits, hand: ManualClock) -> None:
    partner = make_partner(read="3/minute")
    policy = '"read";q=3;w=60'
    assert read_rate_limit_headers(partner("GET", "/tenants")) == ('"read";r=2;t=60', policy, None)
    hand.wait(15)
    assert read_rate_limit_headers(partner("GET", "/tenants")) == ('"read";r=1;t=46', policy, None)
    hand.wait(44.75)
    assert read_rate_limit_headers(partner("GET", "/tenants")) == ('"read";r=0;t=1', policy, None)


def test_exhausted_limit_returns_429_until_it_resets(make_partner: Limits, hand: ManualClock) -> None:
    partner = make_partner(write="2/minute")
    assert send_requests(partner, 2, "POST", "/tenants", json={}) == [400, 400]
    hand.wait(20)
    response = partner("POST", "/tenants", json=ROW)
    detail = "More than 2 requests in 60 seconds; there are more in 41."
    assert_problem(response, 429, "rate-limited", detail, **{"violated-policies": ["write"]})
    assert read_rate_limit_headers(response) == ('"write";r=0;t=41', '"write";q=2;w=60', "41")
    assert fetch_rows(partner.app, "tenants") == []
    hand.wait(41)
    response = partner("POST", "/tenants", json=ROW)
    assert (response.status_code, read_rate_limit_headers(response)) == (
        201,
        ('"write";r=1;t=60', '"write";q=2;w=60', None),
    )


def test_several_limits_all_apply(make_partner: Limits, hand: ManualClock) -> None:
    partner = make_partner(read="3/hour; 2 per minute")
    policies = '"read-60s";q=2;w=60, "read-3600s";q=3;w=3600'
    assert read_rate_limit_headers(partner("GET", "/tenants")) == (
        '"read-60s";r=1;t=60, "read-3600s";r=2;t=3600',
        policies,
        None,
    )
    partner("GET", "/tenants")
    response = partner("GET", "/tenants")
    assert (response.status_code, response.get_json()["violated-policies"]) == (429, ["read-60s"])
    assert read_rate_limit_headers(response) == ('"read-60s";r=0;t=60, "read-3600s";r=1;t=3600', policies, "60")
    hand.wait(60)
    assert send_requests(partner, 1) == [200]
    response = partner("GET", "/tenants")
    assert (response.status_code, response.get_json()["violated-policies"]) == (429, ["read-3600s"])
    assert read_rate_limit_headers(response)[2] == "3541"


def test_retry_after_is_at_least_one_second(make_partner: Limits, hand: ManualClock) -> None:
    partner = make_partner(read="1/second")
    partner("GET", "/tenants")
    hand.wait(0.999)
    assert read_rate_limit_headers(partner("GET", "/tenants"))[2] == "1"


# What is counted.


def test_each_authenticated_route_has_a_limit_class() -> None:
    for route in ROUTES:
        assert route.public is (route.rate_class is None), route.endpoint
        assert route.rate_class in (*RATE_CLASSES, None), route.endpoint
    assert [route.endpoint for route in ROUTES if route.rate_class == "bulk"] == ["create_bulk_job"]
    assert {route.method for route in ROUTES if route.rate_class == "read"} == {"GET"}
    assert {route.method for route in ROUTES if route.rate_class == "write"} == {"POST", "PUT", "PATCH", "DELETE"}


def test_reads_writes_and_uploads_are_counted_apart(make_partner: Limits) -> None:
    partner = make_partner(read="1/hour", write="1/hour", bulk="1/hour")
    for method, path, kind in (
        ("GET", "/tenants", "read"),
        ("POST", "/tenants", "write"),
        ("POST", "/bulk-jobs", "bulk"),
    ):
        first, second = (partner(method, path, json=None if kind == "read" else {}) for _ in range(2))
        assert (first.status_code == 429, second.status_code) == (False, 429)
        assert read_rate_limit_headers(first)[1] == f'"{kind}";q=1;w=3600'


def test_a_class_without_a_limit_is_not_counted(make_partner: Limits) -> None:
    partner = make_partner(write="1/hour")
    assert send_requests(partner, 3) == [200] * 3
    assert read_rate_limit_headers(partner("GET", "/tenants")) == (None, None, None)


def test_unauthenticated_requests_are_not_counted(make_partner: Limits) -> None:
    partner = make_partner(read="2/hour")
    anonymous = Caller(partner.app, partner.partner)
    for token in ("", "nonsense", partner.token[:-2], partner.token.replace(".", "..", 1)):
        anonymous.token = token
        response = anonymous("GET", "/tenants")
        assert (response.status_code, read_rate_limit_headers(response)) == (401, (None, None, None))
    assert send_requests(partner, 3) == [200, 200, 429]


def test_forbidden_requests_are_counted(make_partner: Limits) -> None:
    partner = make_partner(write="2/hour")
    viewer = partner.with_roles("partner-viewer")
    response = viewer("POST", "/tenants", json={})
    assert (response.status_code, read_rate_limit_headers(response)) == (
        403,
        ('"write";r=1;t=3600', '"write";q=2;w=3600', None),
    )
    assert send_requests(partner, 2, "POST", "/tenants", json={}) == [400, 429]
    assert send_requests(viewer, 1, "POST", "/tenants", json={}) == [429]


def test_suspended_partner_returns_403_and_is_not_counted(make_partner: Limits) -> None:
    partner = make_partner(read="2/hour")
    admin = Caller(partner.app, roles=["provisioning-admin"])
    assert send_requests(partner, 1) == [200]
    admin("PATCH", f"/partners/{partner.partner}", json={"status": "suspended"})
    response = partner("GET", "/tenants")
    assert (response.get_json()["code"], read_rate_limit_headers(response)) == ("partner-suspended", (None, None, None))
    assert send_requests(partner, 3) == [403] * 3
    admin("PATCH", f"/partners/{partner.partner}", json={"status": "active"})
    assert send_requests(partner, 2) == [200, 429]


def test_every_authenticated_response_has_rate_limit_headers(make_partner: Limits) -> None:
    partner = make_partner(read="5/hour", write="9/hour")
    created = partner("POST", "/tenants", json=ROW)
    path = tenant_path(created.get_json())
    calls: tuple[tuple[str, str, dict[str, Any], int], ...] = (
        ("GET", path, {"headers": {"If-None-Match": created.headers["ETag"]}}, 304),
        ("GET", "/tenants/no-such", {}, 404),
        ("GET", "/tenants?colour=red", {}, 400),
        ("GET", "/tenants", {"headers": {"Accept": "image/png"}}, 406),
        ("HEAD", "/tenants", {}, 200),
    )
    for left, (method, where, options, status) in zip((4, 3, 2, 1, 0), calls, strict=True):
        response = partner(method, where, **options)
        assert (response.status_code, read_rate_limit_headers(response)[0]) == (status, f'"read";r={left};t=3600')


def test_unknown_routes_are_not_counted(make_partner: Limits) -> None:
    partner = make_partner(read="1/hour", write="1/hour")
    for method, path, status in (
        ("GET", "/no-such-thing", 404),
        ("PUT", "/tenants", 405),
        ("OPTIONS", "/tenants", 200),
        ("GET", "/health/ready", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/problems/rate-limited", 200),
    ):
        response = partner(method, path)
        assert (response.status_code, read_rate_limit_headers(response)) == (status, (None, None, None))
    assert send_requests(partner, 1) == [200]


def test_documents_that_ask_for_a_token_are_not_counted_either(make_app: MakeApp) -> None:
    partner = Caller(make_app(PROVISIONING_PUBLIC_DOCS=False, PROVISIONING_RATE_LIMITS={"read": "1/hour"}))
    assert send_requests(partner, 3, path="/openapi.json") == [200] * 3
    assert send_requests(partner, 2) == [200, 429]


def test_a_repeated_request_is_counted_and_a_refusal_is_not_its_answer(make_partner: Limits, hand: ManualClock) -> None:
    partner = make_partner(write="2/minute")
    once = {"json": ROW, "headers": {"Idempotency-Key": "k"}}
    twice = {"json": {**ROW, "email": "b@example.com"}, "headers": {"Idempotency-Key": "l"}}
    created, again = (partner("POST", "/tenants", **once) for _ in range(2))
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (read_rate_limit_headers(created)[0], read_rate_limit_headers(again)[0]) == (
        '"write";r=1;t=60',
        '"write";r=0;t=60',
    )
    assert send_requests(partner, 2, "POST", "/tenants", **twice) == [429, 429]
    hand.wait(60)
    response = partner("POST", "/tenants", **twice)
    assert (response.status_code, "Idempotency-Replayed" in response.headers) == (201, False)


def test_dry_runs_are_counted(make_partner: Limits) -> None:
    partner = make_partner(write="1/hour")
    assert send_requests(partner, 2, "POST", "/tenants?validate_only=true", json=ROW) == [201, 429]


def test_a_stream_is_counted_once(make_partner: Limits) -> None:
    partner = make_partner(read="3/hour")
    job = partner("POST", "/bulk-jobs", json=[ROW]).headers["Location"].removeprefix(PREFIX)
    with partner("GET", f"{job}/progress", environ_overrides={"wsgi.multithread": True}) as response:
        parts = iter(response.response)
        next(parts)
        next(parts)
        assert read_rate_limit_headers(response)[0] == '"read";r=2;t=3600'
    assert read_rate_limit_headers(partner("GET", job))[0] == '"read";r=1;t=3600'


# Whose it is.


def test_each_partner_has_its_own_limit(make_partner: Limits) -> None:
    partner = make_partner(read="1/hour")
    other, colleague = Caller(partner.app), Caller(partner.app, partner.partner, sub="colleague")
    admin = Caller(partner.app, roles=["provisioning-admin"])
    assert send_requests(partner, 2) == [200, 429]
    assert send_requests(colleague, 1) == [429]
    assert send_requests(other, 2) == [200, 429]
    assert send_requests(admin, 2, path=f"/tenants?partner={partner.partner}") == [200, 429]


def test_two_mounts_count_apart(make_app: MakeApp, database_url: str, hand: ManualClock) -> None:
    app = Flask("host")
    app.config.update(make_config(PROVISIONING_RATE_LIMITS={"read": "1/hour"}, **LONG_LIVED_TOKENS))
    for name, limits in (("provisioning", {"read": "1/hour"}), ("eu", {"read": "2/hour"}), ("us", {})):
        mount = TenantProvisioning(
            name=name,
            url_prefix=PREFIX if name == "provisioning" else f"/{name}",
            table_prefix=f"{name[:2]}_",
            rate_limits=limits,
            rate_limit_storage=hand.url,
        )
        mount.init_app(app, database_url)
    partner = Caller(app)

    def send_three(prefix: str) -> list[int]:
        headers = {"Authorization": f"Bearer {partner.token}"}
        return [partner.client.get(f"{prefix}/tenants", headers=headers).status_code for _ in range(3)]

    assert (send_three(PREFIX), send_three("/eu"), send_three("/us")) == ([200, 429, 429], [200, 200, 429], [200] * 3)
    for name in ("provisioning", "eu", "us"):
        get_mount(app, name).storage.engine.dispose()


def test_each_hostile_partner_id_has_its_own_limit(make_partner: Limits) -> None:
    partner = make_partner(read="1/hour")
    for name in HOSTILE_PARTNER_IDS:
        assert send_requests(Caller(partner.app, name), 2) == [200, 429], name


def test_concurrent_requests_do_not_exceed_the_limit(make_partner: Limits) -> None:
    partner = make_partner(read="5/hour")
    responses = run_concurrently(16, lambda _: Caller(partner.app, partner.partner)("GET", "/tenants").status_code)
    assert sorted(responses) == [200] * 5 + [429] * 11


# What the host decides for one partner.


@pytest.fixture
def make_asking_partner(database_url: str, hand: ManualClock) -> Iterator[Callable[..., Caller]]:
    """Makes a partner of a host that decides itself."""
    apps: list[Flask] = []

    def make(function: Callable[[str, str], Any], *, later: bool = False, **limits: str) -> Caller:
        app = Flask("host")
        stored = {"PROVISIONING_RATE_LIMIT_STORAGE": hand.url, **LONG_LIVED_TOKENS}
        app.config.update(make_config(PROVISIONING_RATE_LIMITS=limits, **stored))
        provisioning = TenantProvisioning(clock=hand.clock)
        if not later:
            provisioning.rate_limits(function)
        provisioning.init_app(app, database_url)
        if later:
            assert provisioning.rate_limits(function) is function
        apps.append(app)
        return Caller(app)

    yield make
    for app in apps:
        get_mount(app).storage.engine.dispose()


@pytest.mark.parametrize("later", [False, True])
def test_a_host_gives_a_partner_other_limits(make_asking_partner: Callable[..., Caller], later: bool) -> None:
    def limits(partner: str, route_class: str) -> str | None:
        return "3/hour" if (partner, route_class) == ("acme", "read") else None

    acme = Caller(make_asking_partner(limits, later=later, read="1/hour").app, "acme")
    assert send_requests(acme, 4) == [200, 200, 200, 429]
    assert send_requests(Caller(acme.app), 2) == [200, 429]
    assert read_rate_limit_headers(acme("POST", "/tenants", json={})) == (None, None, None)


def test_a_hosts_function_is_enough(make_asking_partner: Callable[..., Caller]) -> None:
    assert send_requests(make_asking_partner(lambda partner, route_class: "1/hour"), 2) == [200, 429]


def test_a_host_is_asked_once_a_minute_in_its_own_context(
    make_asking_partner: Callable[..., Caller], hand: ManualClock
) -> None:
    calls: list[tuple[str, str, str]] = []

    def limits(partner: str, route_class: str) -> str:
        calls.append((current_app.name, partner, route_class))
        return "100/hour" if len(calls) < 3 else "200/hour"

    partner = make_asking_partner(limits)
    for _ in range(3):
        partner("GET", "/tenants")
    partner("POST", "/tenants", json={})
    assert calls == [("host", partner.partner, "read"), ("host", partner.partner, "write")]
    hand.wait(POLICY_CACHE_SECONDS - 1)
    assert read_rate_limit_headers(partner("GET", "/tenants"))[1] == '"read";q=100;w=3600'
    hand.wait(1)
    assert read_rate_limit_headers(partner("GET", "/tenants"))[1] == '"read";q=200;w=3600'
    assert len(calls) == 3


@pytest.mark.parametrize("message", ["often", "", "0/day", 5, ["1/hour"], ZeroDivisionError("of the host")])
def test_failing_limit_function_falls_back_to_the_configuration(
    make_asking_partner: Callable[..., Caller], message: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def limits(partner: str, route_class: str) -> Any:
        if isinstance(message, Exception):
            raise message
        return message

    partner = make_asking_partner(limits, read="1/hour")
    with caplog.at_level(logging.ERROR, "flask_tenant_provisioning"):
        assert send_requests(partner, 3) == [200, 429, 429]
    (record,) = caplog.records
    expected = f"rate_limits({partner.partner!r}, 'read') failed: the configured limits apply"
    assert (record.getMessage(), record.exc_info is not None) == (expected, True)


def test_a_second_function_is_refused() -> None:
    provisioning = TenantProvisioning()
    provisioning.rate_limits(lambda partner, route_class: None)
    with pytest.raises(ConfigurationError) as caught:
        provisioning.rate_limits(lambda partner, route_class: None)
    assert str(caught.value) == "rate_limits was called already: one function knows every partner's limits."
