"""The metrics: what is counted, its labels, and how a Prometheus server or an SDK for OpenTelemetry reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import MetricsData
from sqlalchemy import event
from werkzeug.test import TestResponse

from flask_tenant_provisioning.health.gauges import BACKLOG_SECONDS
from flask_tenant_provisioning.telemetry.instruments import INSTRUMENTS
from tests.support.assertions import assert_invalid_parameters, check_problem
from tests.support.callers import Caller, tenant_path
from tests.support.database.rows import get_storage
from tests.support.hosts import PREFIX, make_host
from tests.support.telemetry import (
    METRICS_TOKEN,
    SCRAPE_HEADERS,
    SCRAPED,
    TRACED,
    find_sample,
    parse_samples,
    set_up_metrics,
)
from tests.support.webhooks.plain_receiver import LOCAL_WEBHOOKS, Receiver, open_receiver
from tests.support.workers.step_hosts import StepHost

OPEN_METRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


@pytest.fixture
def host(database_url: str) -> Iterator[StepHost]:
    host = StepHost(database_url, **SCRAPED, **LOCAL_WEBHOOKS)
    yield host
    host.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as opened:
        yield opened


def request_metrics(app: Any, **headers: str) -> TestResponse:
    """A scrape's response."""
    response: TestResponse = app.test_client().get(f"{PREFIX}/metrics", headers={**SCRAPE_HEADERS, **headers})
    return response


def scrape(app: Any) -> str:
    """The text of a scrape."""
    response = request_metrics(app)
    assert response.status_code == 200, response.text
    return response.text


def test_requests_are_counted_by_route_and_status(host: StepHost) -> None:
    partner = host.open()
    tenant = partner.create()
    conflict = {"client_name": "B", "email": tenant["email"]}
    assert partner("POST", "/tenants", json=conflict).status_code == 409
    outdated = {"If-Match": '"7"'}
    assert partner("PATCH", tenant_path(tenant), json={"client_name": "C"}, headers=outdated).status_code == 412
    assert partner("GET", "/nothing/here").status_code == 404

    text = scrape(host.app)
    counted = "provisioning_request_duration_seconds_count"
    for method, route, status in (
        ("POST", "/tenants", 201),
        ("POST", "/tenants", 409),
        ("PATCH", "/tenants/{tenant_id}", 412),
        ("GET", "/{unmatched}", 404),
    ):
        labels = {"mount": "provisioning", "method": method, "route": route, "status": status}
        assert find_sample(text, counted, labels) == 1, labels
    assert find_sample(text, "provisioning_request_duration_seconds_sum", {"route": "/tenants"}) > 0  # type: ignore[operator]
    for status, code in ((409, "tenant-exists"), (412, "precondition-failed"), (404, "not-found")):
        assert find_sample(text, "provisioning_problems_total", {"status": status, "code": code}) == 1


@pytest.mark.one_database
def test_rate_limits_are_counted_by_their_code(database_url: str) -> None:
    app = make_host(database_url, **{**SCRAPED, "PROVISIONING_RATE_LIMITS": {"read": "1/hour"}})
    partner = Caller(app)
    assert [partner("GET", "/tenants").status_code for _ in range(3)] == [200, 429, 429]

    assert find_sample(scrape(app), "provisioning_problems_total", {"status": 429, "code": "rate-limited"}) == 2


def test_steps_chunks_rows_and_deliveries_are_measured(host: StepHost, receiver: Receiver) -> None:
    host.step("bucket", retries=1)
    host.step("dns", retries=0)
    partner = host.open()
    host.broken["bucket"] = ValueError("once")
    assert partner("POST", "/webhooks", json={"url": receiver.url}).status_code == 201
    rows = [{"client_name": "A", "email": f"u{n}@example.com"} for n in (1, 2)] + [{"client_name": "A"}]
    assert partner("POST", "/bulk-jobs", json=rows).status_code == 202
    host.work()
    host.broken.clear()
    receiver.status = 500
    host.work(60)
    receiver.status = 204
    host.work(3600)

    text = scrape(host.app)

    def count(name: str, **labels: Any) -> float | None:
        return find_sample(text, name, labels)

    steps = "provisioning_step_duration_seconds_count"
    assert count(steps, step="bucket", phase="provisioning", outcome="retried") == 2
    assert count(steps, step="bucket", outcome="succeeded") == 2
    assert count(steps, step="dns", outcome="succeeded") == 2
    assert count("provisioning_retries_total", kind="steps") == 2
    assert count("provisioning_chunk_duration_seconds_count", operation="create", outcome="succeeded") == 1
    assert count("provisioning_bulk_rows_total", operation="create", result="succeeded") == 2
    assert count("provisioning_bulk_rows_total", operation="create", result="failed") == 1
    deliveries = "provisioning_delivery_duration_seconds_count"
    assert count(deliveries, outcome="succeeded") == len(receiver.requests) - (count(deliveries, outcome="5xx") or 0)
    assert (count(deliveries, outcome="5xx") or 0) > 0
    assert (count("provisioning_retries_total", kind="deliveries") or 0) > 0


def test_gauges_show_queues_connections_and_licence(host: StepHost) -> None:
    host.step("bucket")
    host.open().create()
    host.clock.now += 30

    text = scrape(host.app)
    assert find_sample(text, "provisioning_queue_depth", {"kind": "steps"}) == 1
    assert 29 < find_sample(text, "provisioning_queue_lag_seconds", {"kind": "steps"}) < 31  # type: ignore[operator]
    assert find_sample(text, "provisioning_queue_depth", {"kind": "bulk jobs"}) == 0
    assert find_sample(text, "provisioning_database_up", {}) == 1
    assert 300 < find_sample(text, "provisioning_license_remaining_days", {}) < 366  # type: ignore[operator]


def test_connections_of_the_pool_are_shown(host: StepHost) -> None:
    host.open().create()

    text = scrape(host.app)
    used, idle = (find_sample(text, "provisioning_pool_connections", {"state": state}) for state in ("used", "idle"))
    assert (used, idle) == (0, 1)
    assert find_sample(text, "provisioning_pool_limit", {}) == 15


@pytest.mark.one_database
def test_many_scrapes_ask_the_database_once(host: StepHost) -> None:
    host.open()
    storage, statements = get_storage(host.app), []
    scrape(host.app)
    event.listen(storage.engine, "checkout", lambda *_arguments: statements.append(1))
    for _ in range(20):
        scrape(host.app)

    assert statements == []
    assert BACKLOG_SECONDS >= 5


@pytest.mark.without_tables
def test_a_database_without_tables_is_reported_as_down(host: StepHost) -> None:
    host.app.config["PROVISIONING_AUTO_MIGRATE"] = False
    host.open()

    text = scrape(host.app)
    assert find_sample(text, "provisioning_database_up", {}) == 0
    assert find_sample(text, "provisioning_queue_depth", {}) is None


@pytest.mark.one_database
def test_labels_are_those_declared_and_name_no_partner_and_no_tenant(host: StepHost) -> None:
    host.step("bucket")
    partner = host.open()
    tenant = partner.create()
    partner("GET", tenant_path(tenant))
    partner("GET", f"/{partner.partner}")
    host.work()

    text = scrape(host.app)
    assert partner.partner not in text
    assert tenant["tenant"] not in text
    assert tenant["email"] not in text
    declared = {instrument.prometheus_name: {"mount", *instrument.labels} for instrument in INSTRUMENTS}
    for name, labels in parse_samples(text):
        base = name.removesuffix("_count").removesuffix("_sum") if name.endswith(("_count", "_sum")) else name
        assert {label for label, _ in labels} == declared[base]


@pytest.mark.one_database
def test_format_follows_the_accept_header(host: StepHost) -> None:
    host.open()
    plain, open_metrics = request_metrics(host.app), request_metrics(host.app, Accept=OPEN_METRICS)

    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert open_metrics.headers["Content-Type"].startswith("application/openmetrics-text; version=")
    assert open_metrics.text.endswith("# EOF\n")


@pytest.mark.one_database
def test_metrics_need_the_permission_or_the_token(host: StepHost) -> None:
    partner = host.open()

    check_problem(host.app.test_client().get(f"{PREFIX}/metrics"), status=401, code="authentication-required")
    for wrong in ("", METRICS_TOKEN[:-1], f"{METRICS_TOKEN}x", METRICS_TOKEN.upper(), "\xe9" * 30):
        response = request_metrics(host.app, Authorization=f"Bearer {wrong}")
        assert response.status_code == 401, wrong
    check_problem(partner("GET", "/metrics"), status=403, code="insufficient-permission")
    assert partner.with_roles("provisioning-admin")("GET", "/metrics").status_code == 200
    response = host.app.test_client().get(f"{PREFIX}/metrics?name=x", headers=SCRAPE_HEADERS)
    assert_invalid_parameters(response, ("#/name", "unknown-field", "There is no such field."))


@pytest.mark.one_database
def test_without_prometheus_there_are_no_metrics_and_no_operation(database_url: str) -> None:
    app = make_host(database_url, PROVISIONING_METRICS_TOKEN=METRICS_TOKEN)

    check_problem(request_metrics(app), status=404, code="not-found")
    assert "/metrics" not in app.test_client().get(f"{PREFIX}/openapi.json").get_json()["paths"]


@pytest.mark.one_database
def test_metrics_are_an_operation_of_the_document(host: StepHost) -> None:
    host.open()

    operation = host.app.test_client().get(f"{PREFIX}/openapi.json").get_json()["paths"]["/metrics"]["get"]
    assert operation["security"] == [{"bearerAuth": ["metrics:read"]}, {"oauth2": ["metrics:read"]}]
    assert {*operation["responses"]["200"]["content"]} == {"text/plain", "application/openmetrics-text"}


@pytest.mark.one_database
def test_two_mounts_count_by_their_names(database_url: str) -> None:
    first = make_host(database_url, **SCRAPED)
    second = make_host(database_url, {"name": "eu"}, **SCRAPED)
    Caller(first)("GET", "/tenants")

    assert find_sample(scrape(first), "provisioning_request_duration_seconds_count", {"mount": "provisioning"}) == 1
    assert find_sample(scrape(second), "provisioning_request_duration_seconds_count", {"mount": "provisioning"}) is None


def read_points(data: MetricsData | None) -> dict[str, list[dict[str, Any]]]:
    """The labels of each metric's points."""
    assert data is not None
    scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
    points: dict[str, list[dict[str, Any]]] = {}
    for scope in scopes:
        for metric in scope.metrics if scope.scope.name.startswith("flask_tenant_provisioning.") else ():
            points.setdefault(metric.name, []).extend(dict(point.attributes or {}) for point in metric.data.data_points)
    return points


@pytest.mark.one_database
def test_an_sdk_for_metrics_gets_the_same_instruments_of_each_mount(database_url: str) -> None:
    reader = set_up_metrics()
    apps = {name: make_host(database_url, {"name": name}, **TRACED) for name in ("north", "south")}
    for app in apps.values():
        partner = Caller(app)
        tenant = partner.create()
        partner("POST", "/tenants", json={"client_name": "B", "email": tenant["email"]})

    points = read_points(reader.get_metrics_data())
    for name in apps:
        request = {"mount": name, "method": "POST", "route": "/tenants", "status": "409"}
        assert request in points["provisioning.request.duration"]
        assert {"mount": name, "status": "409", "code": "tenant-exists"} in points["provisioning.problems"]
        assert {"mount": name, "kind": "steps"} in points["provisioning.queue.depth"]
        assert {"mount": name} in points["provisioning.license.remaining"]
