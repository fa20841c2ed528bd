"""The metrics, declared once for OpenTelemetry and Prometheus.

Each label has a bounded set of values: names of routes, steps and operations, statuses, and words listed here. None is
a tenant, a partner, a URL or another text of a caller's.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

#: The upper bounds of the histograms' buckets, in seconds.
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
WORK_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
_SUFFIXES = {"s": "_seconds", "d": "_days", "1": ""}


class Instrument(NamedTuple):
    """One metric: its name in OpenTelemetry, its unit (UCUM), what it means, and its labels besides `mount`.

    A gauge is read when metrics are collected; the other kinds are recorded where something happens.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def prometheus_name(self) -> str:
        """The name in Prometheus, as OpenTelemetry's rules translate it."""
        base = self.name.replace(".", "_") + _SUFFIXES.get(self.unit, "")
        return f"{base}_total" if self.kind == "counter" else base


REQUEST_DURATION = Instrument(
    "provisioning.request.duration",
    "histogram",
    "s",
    "Requests by method, route and status, and how long they took until their response began.",
    ("method", "route", "status"),
    REQUEST_BUCKETS,
)
PROBLEMS = Instrument(
    "provisioning.problems",
    "counter",
    "{problem}",
    "Problem documents by status and code, such as 409 `tenant-exists`, 412 `precondition-failed`, 429 `rate-limited`.",
    ("status", "code"),
)
STEP_DURATION = Instrument(
    "provisioning.step.duration",
    "histogram",
    "s",
    "Attempts at steps. The outcome is `succeeded`, `retried` (another attempt follows), `failed` (none does) or "
    "`lost` (another worker has taken over).",
    ("step", "phase", "outcome"),
    WORK_BUCKETS,
)
CHUNK_DURATION = Instrument(
    "provisioning.chunk.duration",
    "histogram",
    "s",
    "Chunks of bulk jobs. The outcome is `succeeded` (each row has a result), `failed` (it starts again, or was given "
    "up) or `lost` (another worker has it, or the job was cancelled).",
    ("operation", "outcome"),
    WORK_BUCKETS,
)
BULK_ROWS = Instrument(
    "provisioning.bulk.rows",
    "counter",
    "{row}",
    "Rows of bulk jobs by what came of them: `succeeded`, `failed` or `unchanged`.",
    ("operation", "result"),
)
DELIVERY_DURATION = Instrument(
    "provisioning.delivery.duration",
    "histogram",
    "s",
    "Attempts to deliver webhooks. The outcome is `succeeded`, or why it failed: `3xx`, `4xx`, `5xx`, `refused`, "
    "`dns`, `connect`, `tls`, `timeout`, `protocol` or `error`.",
    ("outcome",),
    REQUEST_BUCKETS,
)
RETRIES = Instrument(
    "provisioning.retries",
    "counter",
    "{attempt}",
    "Attempts that were not the first, by kind of work.",
    ("kind",),
)
QUEUE_DEPTH = Instrument(
    "provisioning.queue.depth",
    "gauge",
    "{item}",
    "Work that is due and that no worker has, by kind; at most 10,000 of each are counted.",
    ("kind",),
)
QUEUE_LAG = Instrument(
    "provisioning.queue.lag", "gauge", "s", "How long the oldest due work has waited, by kind.", ("kind",)
)
POOL_CONNECTIONS = Instrument(
    "provisioning.pool.connections",
    "gauge",
    "{connection}",
    "Connections of this process's pool: `used` by units of work, or `idle`.",
    ("state",),
)
POOL_LIMIT = Instrument(
    "provisioning.pool.limit", "gauge", "{connection}", "The most connections that this process's pool opens."
)
LICENSE_DAYS = Instrument(
    "provisioning.license.remaining", "gauge", "d", "Days until the licence expires; negative in its grace period."
)
DATABASE_UP = Instrument(
    "provisioning.database.up", "gauge", "1", "1 if the database answered when the queues were read, else 0."
)
INSTRUMENTS = (
    REQUEST_DURATION,
    PROBLEMS,
    STEP_DURATION,
    CHUNK_DURATION,
    BULK_ROWS,
    DELIVERY_DURATION,
    RETRIES,
    QUEUE_DEPTH,
    QUEUE_LAG,
    POOL_CONNECTIONS,
    POOL_LIMIT,
    LICENSE_DAYS,
    DATABASE_UP,
)


class SpanKind(NamedTuple):
    """One kind of span: its name, the OpenTelemetry kind, and what it covers."""

    name: str
    kind: str
    meaning: str


#: The spans; a name in braces is filled in from declarations, never from a request's values.
SPANS = (
    SpanKind("{method} {route}", "server", "A request, from its route's view to the beginning of its response."),
    SpanKind("transaction", "internal", "A unit of work that writes, with its retries, up to the commit."),
    SpanKind("step {step}", "consumer", "One attempt at a step, and at its undo as `undo {step}`."),
    SpanKind("bulk {operation}", "consumer", "One chunk of a bulk job."),
    SpanKind("webhook", "client", "One attempt to deliver a webhook; its request has a `traceparent` header."),
)
