"""Telemetry that is on: hands spans and metrics to OpenTelemetry, Prometheus or both."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from .base import LOOK_SECONDS, PROBLEM_KEY, REQUEST_KEY, Piece, ReadGauges, RequestLabels, Telemetry, WorkSpan
from .instruments import PROBLEMS, REQUEST_DURATION, Instrument

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from .meters import OtelMetrics
    from .prometheus import PrometheusMetrics


class OpenTelemetrySink:
    """The spans and metrics of one mount at the OpenTelemetry API."""

    def __init__(self, mount: str) -> None:
        from . import meters, tracing

        self.get_traceparent = tracing.format_traceparent
        self.tracing = tracing.Tracing()
        self.metrics = meters.OtelMetrics(mount)


class ActiveTelemetry(Telemetry):
    """Records the spans and metrics of one mount. `prefix` is that of its routes."""

    is_on = True

    def __init__(
        self, prefix: str, opentelemetry: OpenTelemetrySink | None, prometheus: PrometheusMetrics | None
    ) -> None:
        self._prefix = prefix
        self._described: dict[RequestLabels, tuple[str, dict[str, str]]] = {}
        self.has_receiver = False
        self._look_at = -math.inf
        self._opentelemetry, self._prometheus = opentelemetry, prometheus
        self._meters: list[OtelMetrics | PrometheusMetrics] = []
        if opentelemetry is not None:
            self._meters.append(opentelemetry.metrics)
        if prometheus is not None:
            self._meters.append(prometheus)

    def is_recording(self) -> bool:
        """Return whether something takes spans or metrics at present. An SDK may be set up after the app is."""
        if self.has_receiver:
            return True
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + LOOK_SECONDS
        self.has_receiver = any(self.find_sinks().values())
        return self.has_receiver

    def is_tracing(self) -> bool:
        """Return whether something takes spans at present."""
        return self._opentelemetry is not None and self.is_recording() and self._opentelemetry.tracing.has_sdk()

    def start_request(self, environ: WSGIEnvironment, labels: RequestLabels) -> None:
        """Start the span and the time of a request, and make the span the current one."""
        span = None
        if self._opentelemetry is not None and self._opentelemetry.tracing.has_sdk():
            name, attributes = self._describe_request(labels)
            span = self._opentelemetry.tracing.start_request_span(environ, name, attributes)
        environ[REQUEST_KEY] = time.perf_counter(), labels, span

    def finish_request(self, environ: WSGIEnvironment, status: int) -> None:
        """Record a request that `start_request` started, which has put `REQUEST_KEY` into its environ."""
        started, request, span = environ.pop(REQUEST_KEY)
        seconds = time.perf_counter() - started
        if span is not None and self._opentelemetry is not None:
            self._opentelemetry.tracing.end_request_span(span, status)
        text = str(status)
        self.record(REQUEST_DURATION, seconds, {"method": request.method, "route": request.route, "status": text})
        if PROBLEM_KEY in environ:
            self.count(PROBLEMS, 1, {"status": text, "code": environ[PROBLEM_KEY]})

    def _describe_request(self, labels: RequestLabels) -> tuple[str, dict[str, str]]:
        """Return the name and the attributes of a request's span, made once for each route and method."""
        described = self._described.get(labels)
        if described is None:
            route = f"{self._prefix}{labels.route}"
            attributes = {"http.request.method": labels.method, "http.route": route}
            described = self._described.setdefault(labels, (f"{labels.method} {route}", attributes))
        return described

    def get_traceparent(self) -> str | None:
        """Return the `traceparent` of the current span; None without one."""
        if self._opentelemetry is None or not self.is_tracing():
            return None
        return self._opentelemetry.get_traceparent()

    def count(self, instrument: Instrument, amount: int, labels: Mapping[str, str]) -> None:
        """Add `amount` to a counter."""
        for meter in self._meters:
            meter.count(instrument, amount, labels)

    def record(self, instrument: Instrument, seconds: float, labels: Mapping[str, str]) -> None:
        """Record a duration in a histogram."""
        for meter in self._meters:
            meter.record(instrument, seconds, labels)

    @contextmanager
    def measure(self, instrument: Instrument, labels: Mapping[str, str], span: WorkSpan) -> Iterator[Piece]:
        """Context manager of a piece of work; at its end its duration is recorded with its outcome as a label."""
        started = time.perf_counter()
        if self._opentelemetry is None:
            piece = Piece()
            try:
                yield piece
            finally:
                self.record(instrument, time.perf_counter() - started, {**labels, "outcome": piece.outcome})
            return
        piece = Piece()
        try:
            with self._opentelemetry.tracing.open_work_span(span, piece):
                yield piece
        finally:
            self.record(instrument, time.perf_counter() - started, {**labels, "outcome": piece.outcome})

    def trace_transaction(self) -> AbstractContextManager[None]:
        """Return a context manager of a unit of work, which is a span if it is part of a trace."""
        return nullcontext() if self._opentelemetry is None else self._opentelemetry.tracing.open_transaction_span()

    def observe(self, read: ReadGauges) -> None:
        """Read gauges by `read` whenever metrics are collected."""
        for meter in self._meters:
            meter.observe(read)

    def observe_process(self, read: ReadGauges) -> None:
        """Read the gauges of this process by `read` whenever metrics are collected."""
        if self._opentelemetry is not None:
            self._opentelemetry.metrics.observe(read)
        if self._prometheus is not None:
            self._prometheus.observe_process(read)

    def render_metrics(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics for a Prometheus server that accepts these media types, and their media type."""
        if self._prometheus is None:
            return super().render_metrics(accept)
        return self._prometheus.render(accept)

    def find_sinks(self) -> dict[str, bool]:
        """Return by name each sink that is turned on, and whether something takes what it is given."""
        sinks: dict[str, bool] = {}
        if self._opentelemetry is not None:
            sinks["traces"] = self._opentelemetry.tracing.has_sdk()
            sinks["metrics"] = self._opentelemetry.metrics.has_sdk()
        if self._prometheus is not None:
            sinks["prometheus"] = True
        return sinks
