"""How the service's health is shown."""

from __future__ import annotations

from marshmallow import fields, validate

from ..web.validation import StrictSchema


class DatabaseHealthSchema(StrictSchema):
    """The database answers, after so many milliseconds; it is `read-only` while it refuses writes."""

    status = fields.String(validate=validate.OneOf(("ok", "read-only")))
    latency_ms = fields.Float()


class WorkerHealthSchema(StrictSchema):
    """How much waits for a worker: steps and deliveries that are due, bulk jobs, and events without their place in the
    feed, together; and for how many seconds the first of them all has."""

    status = fields.String(validate=validate.OneOf(("ok", "late")))
    due = fields.Integer()
    lag_seconds = fields.Float()


class HealthSchema(StrictSchema):
    """`degraded` where the workers are late or the database takes no writes; a database that does not answer is a
    problem document (503)."""

    status = fields.String(validate=validate.OneOf(("ok", "degraded")))
    database = fields.Nested(DatabaseHealthSchema)
    worker = fields.Nested(WorkerHealthSchema)
