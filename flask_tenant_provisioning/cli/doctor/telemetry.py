"""Check of telemetry: what is turned on, and that something takes it."""

from __future__ import annotations

import importlib.util

from .context import OK, WARN, DoctorContext, Finding

TELEMETRY_KEY = "PROVISIONING_TELEMETRY"


def check_telemetry(context: DoctorContext) -> Finding:
    """Check that what is recorded is taken by an SDK, or can be scraped.

    An SDK may be set up in the servers' processes alone, for example by `opentelemetry-instrument`.
    """
    config = context.mount.config
    if not config.telemetry:
        return Finding(OK, f"off: {TELEMETRY_KEY} is empty")
    parts, advice = [], ""
    sinks = context.mount.telemetry.find_sinks()
    if "opentelemetry" in config.telemetry:
        taken = [name for name in ("traces", "metrics") if sinks[name]]
        parts.append(f"opentelemetry: {' and '.join(taken) if taken else 'no SDK in this process'}")
        if not taken and importlib.util.find_spec("opentelemetry.sdk") is None:
            parts[-1] = "opentelemetry: no SDK is installed, so nothing is recorded"
            advice = "pip install opentelemetry-sdk and an exporter"
    if "prometheus" in config.telemetry:
        who = "callers with metrics:read"
        who = who if config.metrics_token is None else f"PROVISIONING_METRICS_TOKEN or {who}"
        parts.append(f"prometheus: GET {config.url_prefix}/metrics for {who}")
    return Finding(WARN if advice else OK, "; ".join(parts), advice)
