"""The OpenTelemetry SDK of a test process, which keeps spans and metrics in memory, and the samples of a scrape."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

TRACED: dict[str, Any] = {"PROVISIONING_TELEMETRY": ["opentelemetry"]}
METRICS_TOKEN = "a-token-of-the-scrapers"
SCRAPED: dict[str, Any] = {"PROVISIONING_TELEMETRY": ["prometheus"], "PROVISIONING_METRICS_TOKEN": METRICS_TOKEN}
SCRAPE_HEADERS = {"Authorization": f"Bearer {METRICS_TOKEN}"}


@functools.cache
def set_up_tracing() -> InMemorySpanExporter:
    """Set up the SDK for traces, once in a process, and return its exporter."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@functools.cache
def set_up_metrics() -> InMemoryMetricReader:
    """Set up the SDK for metrics, once in a process, and return its reader."""
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    return reader


class Spans:
    """The spans that have ended since it was made."""

    def __init__(self) -> None:
        self._exporter = set_up_tracing()
        self._exporter.clear()

    def all(self) -> list[ReadableSpan]:
        """The spans in the order of their ends."""
        return list(self._exporter.get_finished_spans())

    def names(self) -> list[str]:
        """Their names in that order."""
        return [span.name for span in self.all()]

    def one(self, name: str) -> ReadableSpan:
        """The only span of this name."""
        (span,) = [span for span in self.all() if span.name == name]
        return span


def get_id(span: ReadableSpan) -> int:
    """A span's id."""
    assert span.context is not None
    return int(span.context.span_id)


def get_trace_id(span: ReadableSpan) -> int:
    """The id of a span's trace."""
    assert span.context is not None
    return int(span.context.trace_id)


def get_parent_id(span: ReadableSpan) -> int | None:
    """The id of a span's parent; None for the first span of a trace."""
    return None if span.parent is None else span.parent.span_id


def parse_samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The samples of a scrape by name and labels, without those of a histogram's buckets and of creation times."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith(("_bucket", "_created"))
    }


def find_sample(text: str, name: str, labels: Mapping[str, Any]) -> float | None:
    """The value of a sample whose labels include these; None if there is none."""
    wanted = {(label, str(value)) for label, value in labels.items()}
    values = [value for (sample, pairs), value in parse_samples(text).items() if sample == name and wanted <= pairs]
    return sum(values) if values else None
