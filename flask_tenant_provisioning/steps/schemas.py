"""Response schemas of a tenant's provisioning."""

from __future__ import annotations

from marshmallow import fields, validate

from ..registry import DEPROVISIONING, PROVISIONING
from ..validation import StrictSchema, describe

RUN_STATES = ("pending", "running", "paused", "undoing", "succeeded", "failed", "cancelled")
STEP_STATES = (
    "waiting", "running", "succeeded", "failed", "cancelled", "undoing", "undone", "undo_failed",
)  # fmt: skip


class StepErrorSchema(StrictSchema):
    """The error of the last attempt."""

    class_ = fields.String(
        data_key="class",
        attribute="class",
        metadata=describe("The class of the application's exception.", "ConnectionError"),
    )
    message = fields.String(metadata=describe("The text of the exception.", "The storage does not answer."))


class StepSchema(StrictSchema):
    """One step of the application. `attempts` counts those so far; `after` names the steps that it waits for."""

    name = fields.String(metadata=describe("The name of the step.", "bucket"))
    after = fields.List(
        fields.String(), metadata=describe("The steps that must succeed before this one starts.", ["schema"])
    )
    state = fields.String(validate=validate.OneOf(STEP_STATES), metadata=describe("The state of the step."))
    attempts = fields.Integer(metadata=describe("How often the step was attempted so far.", 1))
    undo_attempts = fields.Integer(metadata=describe("How often undoing the step was attempted so far.", 0))
    started_at = fields.AwareDateTime(
        allow_none=True, metadata=describe("The time of the first attempt; null before it.")
    )
    finished_at = fields.AwareDateTime(
        allow_none=True, metadata=describe("The time at which the step ended; null before that.")
    )
    next_attempt_at = fields.AwareDateTime(
        allow_none=True, metadata=describe("The time of the next attempt; null if none is planned.")
    )
    error = fields.Nested(
        StepErrorSchema, allow_none=True, metadata=describe("The error of the last attempt; null if it succeeded.")
    )


class ProvisioningSchema(StrictSchema):
    """The progress of a tenant's provisioning, or of its deprovisioning once that has begun."""

    tenant = fields.UUID(metadata=describe("The id of the tenant.", "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f"))
    phase = fields.String(
        validate=validate.OneOf((PROVISIONING, DEPROVISIONING)),
        metadata=describe("Whether the application sets the tenant up or cleans up after it."),
    )
    state = fields.String(validate=validate.OneOf(RUN_STATES), metadata=describe("The state of the whole run."))
    round = fields.Integer(
        metadata=describe("How often the run was started; it begins with 1, and each retry adds 1.", 1)
    )
    created_at = fields.AwareDateTime(metadata=describe("The time at which the run was planned."))
    finished_at = fields.AwareDateTime(
        allow_none=True, metadata=describe("The time at which the run ended; null before that.")
    )
    steps = fields.List(
        fields.Nested(StepSchema), metadata=describe("The steps in the order in which they were declared.")
    )
