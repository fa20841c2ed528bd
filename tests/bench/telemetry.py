"""CPU of a request with telemetry beside the same request without, in alternating slices of one process.

    python -m tests.bench.telemetry --db sqlite --slices 300
    python -m tests.bench.telemetry --db postgresql://localhost/bench --modes api batches

Each mode runs in a process of its own, with three apps: one with telemetry in this mode, and two without, the second
of which shows how far two equal apps differ. On PostgreSQL the databases' names end in ``_on``, ``_off`` and
``_control``, and they must exist. The modes are `api` (telemetry is on, and there is no SDK), `batches` (an SDK keeps
every trace and hands it to an exporter in batches, which drops them), `sampled` and `traces` (one trace in ten, or
every one, is encoded as OTLP does before it is dropped), `metrics` (an SDK collects metrics alone), `all` (as
`traces`, and metrics) and `prometheus`. The time of the exporter's thread is part of the figures. `span` is a request
of an app without telemetry around which an SDK's span without attributes is started and ended: what no instrumentation
by this SDK can fall below.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app

SINKS = {
    "api": ("opentelemetry",),
    "span": (),
    "batches": ("opentelemetry",),
    "sampled": ("opentelemetry",),
    "traces": ("opentelemetry",),
    "metrics": ("opentelemetry",),
    "all": ("opentelemetry",),
    "prometheus": ("prometheus",),
}
#: The requests of a slice, by endpoint.
SLICE = {"post": 10, "get": 20, "list": 6}
APPS = ("on", "off", "control")
WARM_UP_SLICES = 20
_SAMPLED_RATIO = 0.1


def set_up_sdk(mode: str) -> None:
    """Set up the SDK of a mode: spans that are exported in batches, and metrics that are collected every second."""
    from opentelemetry import metrics, trace
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    class EncodingExporter(SpanExporter):
        """Sends spans nowhere, though it may encode them before."""

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            if mode not in ("span", "batches"):
                encode_spans(spans).SerializeToString()
            return SpanExportResult.SUCCESS

    if mode in ("span", "batches", "sampled", "traces", "all"):
        ratio = _SAMPLED_RATIO if mode == "sampled" else 1.0
        provider = TracerProvider(sampler=ParentBasedTraceIdRatio(ratio))
        provider.add_span_processor(BatchSpanProcessor(EncodingExporter()))
        trace.set_tracer_provider(provider)
    if mode in ("metrics", "all"):
        metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))


Call = Callable[[dict[str, Any]], object]


def prepare_app(name: str, mode: str, db: str, rows: int) -> tuple[Call, str]:
    """Return what calls the app of this name, on a database of its own with `rows` tenants, and a token for it."""
    from opentelemetry import trace

    from tests.bench import target

    target.config["PROVISIONING_TELEMETRY"] = SINKS[mode] if name == "on" else ()
    target.prepare(f"{db}_{name}", rows)
    app: Flask = target.app
    tracer = trace.get_tracer(__name__)

    def call(environ: dict[str, Any]) -> object:
        return run_wsgi_app(app, environ, buffered=True)

    def call_in_span(environ: dict[str, Any]) -> object:
        span = tracer.start_span("request")
        try:
            return call(environ)
        finally:
            span.end()

    return call_in_span if mode == "span" and name == "on" else call, target.token()


def build_environ(endpoint: str, n: int, token: str) -> dict[str, Any]:
    """Return the WSGI environ of the n-th request of an endpoint."""
    from tests.bench import target

    headers = [("Authorization", f"Bearer {token}")]
    if endpoint == "post":
        body = json.loads(target.post_body(n))
        return EnvironBuilder(target.BASE, method="POST", json=body, headers=headers).get_environ()
    path, query = (target.get_path(n), None) if endpoint == "get" else (target.BASE, target.list_query(n))
    return EnvironBuilder(path, query_string=query, headers=headers).get_environ()


def measure(endpoint: str, apps: dict[str, tuple[Call, str]], slices: int) -> dict[str, list[float]]:
    """Return the microseconds of CPU per request of each slice, by app."""
    numbers, results = itertools.count(1_000_000), {name: list[float]() for name in apps}
    names = list(apps)
    for turn in range(slices + WARM_UP_SLICES):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            call, token = apps[name]
            environs = [build_environ(endpoint, next(numbers), token) for _ in range(SLICE[endpoint])]
            before = time.process_time()
            for environ in environs:
                call(environ)
            results[name].append((time.process_time() - before) / len(environs) * 1e6)
    return {name: times[WARM_UP_SLICES:] for name, times in results.items()}


def describe(mode: str, endpoint: str, results: dict[str, list[float]]) -> str:
    """Return the line of an endpoint: medians, and the ratios of the medians and of the calmest tenths."""

    def compare(name: str, average: Callable[[Sequence[float]], float]) -> float:
        return average(results[name]) / average(results["off"])

    def calm(times: Sequence[float]) -> float:
        return statistics.mean(sorted(times)[: max(1, len(times) // 10)])

    on, off = statistics.median(results["on"]), statistics.median(results["off"])
    ratios: Iterable[str] = (
        f"{name} {compare(name, statistics.median):.3f} (calm {compare(name, calm):.3f})" for name in ("on", "control")
    )
    return f"{mode:10} {endpoint:5} {on:5.0f} µs, off {off:5.0f} µs: {', '.join(ratios)}"


def run_mode(mode: str, db: str, rows: int, slices: int) -> None:
    """Measure and print every endpoint in this process."""
    if mode not in ("api", "prometheus"):
        set_up_sdk(mode)
    with tempfile.TemporaryDirectory() as folder:
        base = f"sqlite:///{folder}/bench" if db == "sqlite" else db
        apps = {name: prepare_app(name, mode, base, rows) for name in APPS}
        for endpoint in SLICE:
            print(describe(mode, endpoint, measure(endpoint, apps, slices)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--modes", nargs="*", choices=list(SINKS), default=list(SINKS))
    parser.add_argument("--db", default="sqlite")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--slices", type=int, default=300, help="of each endpoint and app")
    parser.add_argument("--mode", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.mode:
        run_mode(arguments.mode, arguments.db, arguments.rows, arguments.slices)
        return
    options = ["--db", arguments.db, "--rows", str(arguments.rows), "--slices", str(arguments.slices)]
    for mode in arguments.modes:
        subprocess.run([sys.executable, "-m", "tests.bench.telemetry", "--mode", mode, *options], check=True)


if __name__ == "__main__":
    assert Path("tests/bench").is_dir(), "run this from the root of the repository"
    main()
