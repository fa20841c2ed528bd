"""Routes of probes, of the health report and of the metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from flask import Response, request

from ..access.guard import PUBLIC
from ..database.session import Storage
from ..errors import InvalidParameter, StorageUnavailable
from ..web.parameters import NoQuery
from ..web.request import Request
from ..web.routing import Routes
from .backlog import LATE_SECONDS, read_backlog
from .readiness import Readiness
from .schemas import HealthSchema, ProbeSchema

routes = Routes()
#: The routes of a mount whose `PROVISIONING_TELEMETRY` contains ``prometheus``.
metrics_routes = Routes()
_OK = {"status": "ok"}


@routes.add(
    "GET",
    "/health/live",
    permissions=PUBLIC,
    always_public=True,
    responses={200: ProbeSchema},
    problems=(InvalidParameter,),
)
def read_liveness(call: Request) -> Response:
    """Report that this process answers.

    Asks nothing of the database: a process that cannot reach it need not be restarted.
    """
    call.query(NoQuery)
    return call.json_response(_OK)


@routes.add(
    "GET",
    "/health/ready",
    permissions=PUBLIC,
    always_public=True,
    responses={200: ProbeSchema},
    problems=(InvalidParameter, StorageUnavailable),
)
def read_readiness(call: Request) -> Response:
    """Report whether this process can serve requests.

    503 while the database does not answer or its tables are missing or outdated. Late workers are no reason: other
    processes would not be faster. `GET /health` shows them.
    """
    call.query(NoQuery)
    call.mount.once(Readiness).check()
    return call.json_response(_OK)


@routes.add(
    "GET",
    "/health",
    permissions=("metrics:read",),
    takes_metrics_token=True,
    responses={200: HealthSchema},
    problems=(InvalidParameter, StorageUnavailable),
)
def read_health(call: Request) -> Response:
    """Report how fast the database responds and whether the workers keep up.

    The operator's monitoring may also send the token of `PROVISIONING_METRICS_TOKEN`.
    """
    call.query(NoQuery)
    return call.json_response(check_health(call.mount.storage))


#: The media types of the metrics: the Prometheus text format and OpenMetrics.
TEXT_FORMAT, OPEN_METRICS = "text/plain", "application/openmetrics-text"
_METRICS_SCHEMA = {
    "type": "string",
    "description": "One line per sample; the documentation's page on observability lists the metrics.",
    "example": 'provisioning_queue_depth{kind="steps",mount="provisioning"} 3.0\n',
}


@metrics_routes.add(
    "GET",
    "/metrics",
    permissions=("metrics:read",),
    takes_metrics_token=True,
    responses={200: {TEXT_FORMAT: _METRICS_SCHEMA, OPEN_METRICS: _METRICS_SCHEMA}},
    problems=(InvalidParameter,),
)
def read_metrics(call: Request) -> Response:
    """Return the metrics for a Prometheus server.

    In the text format, or as OpenMetrics where `Accept` asks for it. A Prometheus server may also send the token of
    `PROVISIONING_METRICS_TOKEN`. No metric names a tenant or a partner.
    """
    call.query(NoQuery)
    content, media_type = call.mount.telemetry.render_metrics(request.environ.get("HTTP_ACCEPT", ""))
    return Response(content, content_type=media_type)


def check_health(storage: Storage, stopwatch: Callable[[], float] = time.perf_counter) -> dict[str, Any]:
    """Return the health of one mount. Raises `StorageUnavailable` if the database does not respond."""
    started = stopwatch()
    backlog = read_backlog(storage)
    latency = (stopwatch() - started) * 1000
    due, lag = sum(due for due, _ in backlog.values()), max(lag for _, lag in backlog.values())
    is_late, is_writable = lag > LATE_SECONDS, storage.takes_writes()
    queues = [{"kind": kind, "due": due, "lag_seconds": round(seconds, 1)} for kind, (due, seconds) in backlog.items()]
    worker = {"status": "late" if is_late else "ok", "due": due, "lag_seconds": round(lag, 1), "queues": queues}
    return {
        "status": "degraded" if is_late or not is_writable else "ok",
        "database": {"status": "ok" if is_writable else "read-only", "latency_ms": round(latency, 1)},
        "worker": worker,
    }
