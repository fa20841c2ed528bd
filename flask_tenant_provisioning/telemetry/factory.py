"""Makes the telemetry that a configuration asks for; only then are its libraries imported."""

from __future__ import annotations

from ..config import Config
from .base import OFF, Telemetry


def make_telemetry(config: Config, mount: str) -> Telemetry:
    """Return the telemetry of a mount with this name."""
    if not config.telemetry:
        return OFF
    from .recording import ActiveTelemetry, OpenTelemetrySink

    opentelemetry = OpenTelemetrySink(mount) if "opentelemetry" in config.telemetry else None
    prometheus = None
    if "prometheus" in config.telemetry:
        from .prometheus import PrometheusMetrics

        prometheus = PrometheusMetrics(mount)
    return ActiveTelemetry(config.url_prefix, opentelemetry, prometheus)
