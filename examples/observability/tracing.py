"""The SDK for OpenTelemetry, set up in the host's process: spans and metrics go to a collector in batches.

    pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http

Call `set_up` once in each process that serves or works: in `create_app`, or with a server that forks after it has
loaded the app, in its `post_fork`. The standard variables configure it: `OTEL_EXPORTER_OTLP_ENDPOINT`,
`OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` (`parentbased_traceidratio`), `OTEL_TRACES_SAMPLER_ARG` (`0.1`).
"""

from __future__ import annotations

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def set_up() -> None:
    """Send spans and metrics of this process to the collector."""
    traces = TracerProvider()
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(traces)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
