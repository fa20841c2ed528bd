"""The documents of health checks."""

from __future__ import annotations

from marshmallow import fields, validate

from ..validation import StrictSchema
from ..workers.kinds import WORK_KINDS


class ProbeSchema(StrictSchema):
    """The response to a probe of a load balancer."""

    status = fields.String(
        validate=validate.OneOf(("ok",)),
        metadata={"description": "Always `ok`; another state is another status.", "example": "ok"},
    )


class DatabaseHealthSchema(StrictSchema):
    """The database: the time of its response in milliseconds, and `read-only` while it refuses writes."""

    status = fields.String(
        validate=validate.OneOf(("ok", "read-only")),
        metadata={"description": "`read-only` while the database refuses writes.", "example": "ok"},
    )
    latency_ms = fields.Float(
        metadata={"description": "How long the database took to respond, in milliseconds.", "example": 1.8}
    )


class QueueHealthSchema(StrictSchema):
    """The work of one kind that is due and that no worker has."""

    kind = fields.String(
        validate=validate.OneOf([kind.name for kind in WORK_KINDS]),
        metadata={"description": "The kind of work.", "example": "steps"},
    )
    due = fields.Integer(metadata={"description": "The number of due items; at most 10,000 are counted.", "example": 3})
    lag_seconds = fields.Float(metadata={"description": "The age of the oldest due item, in seconds.", "example": 0.4})


class WorkerHealthSchema(StrictSchema):
    """The backlog of the workers, all kinds of work together and each by itself."""

    status = fields.String(
        validate=validate.OneOf(("ok", "late")),
        metadata={"description": "`late` if an item has been due for more than 60 seconds.", "example": "ok"},
    )
    due = fields.Integer(metadata={"description": "The number of due items of all kinds.", "example": 3})
    lag_seconds = fields.Float(metadata={"description": "The age of the oldest due item, in seconds.", "example": 0.4})
    queues = fields.List(
        fields.Nested(QueueHealthSchema),
        metadata={
            "description": "The backlog by kind of work: steps, webhook deliveries, bulk jobs, and events without a "
            "position in the feed.",
            "example": [{"kind": "steps", "due": 3, "lag_seconds": 0.4}],
        },
    )


class HealthSchema(StrictSchema):
    """`degraded` if the workers are late or the database is read-only. An unreachable database is a problem document
    (503).
    """

    status = fields.String(
        validate=validate.OneOf(("ok", "degraded")),
        metadata={"description": "`degraded` if workers are late or the database is read-only.", "example": "ok"},
    )
    database = fields.Nested(
        DatabaseHealthSchema,
        metadata={"description": "The database.", "example": {"status": "ok", "latency_ms": 1.8}},
    )
    worker = fields.Nested(
        WorkerHealthSchema,
        metadata={
            "description": "The backlog of the workers.",
            "example": {"status": "ok", "due": 0, "lag_seconds": 0.0, "queues": []},
        },
    )
