"""Response schemas of a tenant's provisioning."""

from __future__ import annotations

from marshmallow import fields, validate

from ..registry import DEPROVISIONING, PROVISIONING
from ..validation import StrictSchema

RUN_STATES = ("pending", "running", "paused", "undoing", "succeeded", "failed", "cancelled")
STEP_STATES = (
    "waiting", "running", "succeeded", "failed", "cancelled", "undoing", "undone", "undo_failed",
)  # fmt: skip


class StepErrorSchema(StrictSchema):
    """The error of the last attempt."""

    class_ = fields.String(data_key="class", attribute="class")
    message = fields.String()


class StepSchema(StrictSchema):
    """One step of the application. `attempts` counts those so far; `after` names the steps that it waits for."""

    name = fields.String()
    after = fields.List(fields.String())
    state = fields.String(validate=validate.OneOf(STEP_STATES))
    attempts = fields.Integer()
    undo_attempts = fields.Integer()
    started_at = fields.AwareDateTime(allow_none=True)
    finished_at = fields.AwareDateTime(allow_none=True)
    next_attempt_at = fields.AwareDateTime(allow_none=True)
    error = fields.Nested(StepErrorSchema, allow_none=True)


class ProvisioningSchema(StrictSchema):
    """The progress of a tenant's provisioning, or of its deprovisioning once that has begun."""

    tenant = fields.UUID()
    phase = fields.String(validate=validate.OneOf((PROVISIONING, DEPROVISIONING)))
    state = fields.String(validate=validate.OneOf(RUN_STATES))
    round = fields.Integer()
    created_at = fields.AwareDateTime()
    finished_at = fields.AwareDateTime(allow_none=True)
    steps = fields.List(fields.Nested(StepSchema))
