"""The spans of requests, units of work, steps, chunks and deliveries, and the trace that they continue."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from tests.support.callers import Caller
from tests.support.database.rows import fetch_rows
from tests.support.hosts import PREFIX, make_host
from tests.support.telemetry import TRACED, Spans, get_id, get_parent_id, get_trace_id
from tests.support.webhooks.plain_receiver import LOCAL_WEBHOOKS, Receiver, open_receiver
from tests.support.workers.step_hosts import StepHost

TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C
PARENT_ID = 0xB7AD6B7169203331
TRACEPARENT = f"00-{TRACE_ID:032x}-{PARENT_ID:016x}-01"
POST = f"POST {PREFIX}/tenants"


@pytest.fixture
def host(database_url: str) -> Iterator[StepHost]:
    host = StepHost(database_url, **TRACED, **LOCAL_WEBHOOKS)
    yield host
    host.close()


@pytest.fixture
def spans() -> Spans:
    return Spans()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as opened:
        yield opened


def test_request_is_a_span_named_by_its_route_with_its_transaction_below(host: StepHost, spans: Spans) -> None:
    partner = host.open()
    tenant = partner.create()
    partner("GET", f"/tenants/{tenant['tenant']}")

    request, read = spans.one(POST), spans.one(f"GET {PREFIX}/tenants/{{tenant_id}}")
    assert request.kind is SpanKind.SERVER
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": f"{PREFIX}/tenants",
        "http.response.status_code": 201,
    }
    assert request.status.status_code is StatusCode.UNSET
    assert get_parent_id(request) is None
    transactions = [span for span in spans.all() if get_parent_id(span) == get_id(request)]
    assert {span.name for span in transactions} == {"transaction"}
    assert tenant["tenant"] not in str(read.to_json())


def test_refused_and_unmatched_requests_have_bounded_names(host: StepHost, spans: Spans) -> None:
    partner = host.open("partner-viewer")
    assert partner("POST", "/tenants", json={}).status_code == 403
    assert partner("GET", "/nothing/of/the/sort").status_code == 404
    assert partner("INVENT", "/nothing").status_code in (404, 405)

    statuses = {span.name: dict(span.attributes or {})["http.response.status_code"] for span in spans.all()}
    assert statuses[POST] == 403
    assert statuses[f"GET {PREFIX}/{{unmatched}}"] == 404
    assert f"_OTHER {PREFIX}/{{unmatched}}" in statuses


def test_trace_of_the_partners_request_is_continued(host: StepHost, spans: Spans) -> None:
    partner = host.open()
    partner("POST", "/tenants", json={}, headers={"traceparent": TRACEPARENT, "tracestate": "vendor=1"})

    request = spans.one(POST)
    assert (get_trace_id(request), get_parent_id(request)) == (TRACE_ID, PARENT_ID)


@pytest.mark.one_database
@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": "00-" + "0" * 32 + f"-{PARENT_ID:016x}-01"},
        {"traceparent": TRACEPARENT[:-1]},
        {"traceparent": f"{TRACEPARENT},{TRACEPARENT}"},
        {"traceparent": f"ff{TRACEPARENT[2:]}"},
        {"traceparent": TRACEPARENT + "-" + "a" * 100_000},
        {"traceparent": "\x7f\xe9 ; DROP TABLE"},
        {"traceparent": ""},
        {"tracestate": "vendor=1"},
    ],
    ids=["zeros", "short", "two", "version", "long", "text", "empty", "state alone"],
)
def test_malformed_trace_headers_are_ignored(host: StepHost, spans: Spans, headers: dict[str, str]) -> None:
    partner = host.open()
    assert partner("GET", "/tenants", headers=headers).status_code == 200

    request = spans.one(f"GET {PREFIX}/tenants")
    assert get_parent_id(request) is None
    assert get_trace_id(request) != TRACE_ID


@pytest.mark.one_database
def test_huge_tracestate_leaves_the_trace_alone(host: StepHost, spans: Spans) -> None:
    partner = host.open()
    state = ",".join(f"k{n}=v" for n in range(5000))
    assert partner("GET", "/tenants", headers={"traceparent": TRACEPARENT, "tracestate": state}).status_code == 200

    request = spans.one(f"GET {PREFIX}/tenants")
    assert get_trace_id(request) == TRACE_ID
    assert request.context is not None
    assert not request.context.trace_state


@pytest.mark.one_database
def test_current_span_of_the_host_is_the_parent(host: StepHost, spans: Spans) -> None:
    partner = host.open()
    inner = host.app.wsgi_app

    def instrumented(environ: Any, start_response: Any) -> Any:
        with trace.get_tracer("host").start_as_current_span("host"):
            return inner(environ, start_response)

    host.app.wsgi_app = instrumented  # type: ignore[method-assign]
    partner("GET", "/tenants", headers={"traceparent": TRACEPARENT})

    request, outer = spans.one(f"GET {PREFIX}/tenants"), spans.one("host")
    assert get_parent_id(request) == get_id(outer)
    assert get_trace_id(request) == get_trace_id(outer) != TRACE_ID


def test_step_and_what_follows_it_belong_to_the_request_that_planned_it(host: StepHost, spans: Spans) -> None:
    host.step("bucket")
    partner = host.open()
    partner(
        "POST", "/tenants", json={"client_name": "A", "email": "a@example.com"}, headers={"traceparent": TRACEPARENT}
    )
    host.work()

    request, step = spans.one(POST), spans.one("step bucket")
    assert step.kind is SpanKind.CONSUMER
    assert get_trace_id(step) == TRACE_ID
    planning = {get_id(span) for span in spans.all() if get_parent_id(span) == get_id(request)}
    assert get_parent_id(step) in planning
    assert dict(step.attributes or {})["provisioning.outcome"] == "succeeded"
    parents = {row["type"]: row["traceparent"] for row in fetch_rows(host.app, "events")}
    step_transactions = {get_id(span) for span in spans.all() if get_parent_id(span) == get_id(step)}
    assert parents["tenant.created"].split("-")[1] == f"{TRACE_ID:032x}"
    assert int(parents["tenant.provisioned"].split("-")[2], 16) in step_transactions


def test_failed_attempts_are_errors_and_their_message_is_not_exported(host: StepHost, spans: Spans) -> None:
    host.step("bucket", retries=1)
    host.broken["bucket"] = ValueError("secret of the host")
    partner = host.open()
    partner.create()
    host.work()
    host.work(60)

    attempts = [span for span in spans.all() if span.name == "step bucket"]
    assert [dict(span.attributes or {})["provisioning.outcome"] for span in attempts] == ["retried", "failed"]
    assert {span.status.status_code for span in attempts} == {StatusCode.ERROR}
    assert "secret of the host" not in "".join(str(span.to_json()) for span in spans.all())


def test_chunks_continue_the_trace_of_the_upload(host: StepHost, spans: Spans) -> None:
    partner = host.open()
    rows = [{"client_name": "A", "email": f"u{n}@example.com"} for n in range(3)]
    response = partner("POST", "/bulk-jobs", json=rows, headers={"traceparent": TRACEPARENT})
    assert response.status_code == 202, response.text
    host.work()

    chunk = spans.one("bulk create")
    assert get_trace_id(chunk) == TRACE_ID
    assert dict(chunk.attributes or {})["provisioning.job"] == response.get_json()["job"]
    parents = {row["traceparent"] for row in fetch_rows(host.app, "events") if row["type"] == "tenant.created"}
    assert {parent.split("-")[1] for parent in parents} == {f"{TRACE_ID:032x}"}


def test_webhooks_carry_the_span_of_their_delivery(host: StepHost, spans: Spans, receiver: Receiver) -> None:
    partner = host.open()
    assert partner("POST", "/webhooks", json={"url": receiver.url}).status_code == 201
    partner(
        "POST", "/tenants", json={"client_name": "A", "email": "a@example.com"}, headers={"traceparent": TRACEPARENT}
    )
    host.work()

    ((headers, _),) = receiver.requests
    delivery = spans.one("webhook")
    assert delivery.kind is SpanKind.CLIENT
    assert headers["traceparent"] == f"00-{TRACE_ID:032x}-{get_id(delivery):016x}-01"
    assert "tracestate" not in headers


@pytest.mark.one_database
def test_polls_of_an_idle_worker_leave_no_spans(host: StepHost, spans: Spans) -> None:
    host.open()
    host.work()
    host.work(60)

    assert spans.names() == []


@pytest.mark.one_database
def test_without_telemetry_no_row_has_a_trace(database_url: str, spans: Spans) -> None:
    app = make_host(database_url)
    Caller(app)(
        "POST", "/tenants", json={"client_name": "A", "email": "a@example.com"}, headers={"traceparent": TRACEPARENT}
    )

    assert {row["traceparent"] for row in fetch_rows(app, "events")} == {None}
    assert spans.names() == []


@pytest.mark.one_database
@pytest.mark.parametrize("sinks", [[], ["opentelemetry"]])
def test_without_an_sdk_requests_are_served_and_the_libraries_are_loaded_only_if_asked(
    tmp_path: Path, sinks: list[str]
) -> None:
    script = f"""
import json, sys
from flask import Flask
from tests.support.callers import Caller
from tests.support.hosts import make_host
app = make_host("sqlite:///{tmp_path}/db.sqlite3", PROVISIONING_TELEMETRY={sinks!r})
tenant = Caller(app).create()
loaded = {{name.partition(".")[0] for name in sys.modules}}
print(json.dumps(sorted(loaded & {{"opentelemetry", "prometheus_client"}})))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split("\n")[0] == ('["opentelemetry"]' if sinks else "[]")
