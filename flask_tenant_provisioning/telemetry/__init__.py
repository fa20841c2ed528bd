"""Spans and metrics: which there are, and how they reach OpenTelemetry and Prometheus.

Both are off by default. Neither `opentelemetry` nor `prometheus_client` is imported before `factory.make_telemetry` is
called for a mount whose configuration turns them on.
"""
