"""What may come in about endpoints and deliveries, and what goes out."""

from __future__ import annotations

from marshmallow import fields, validate

from ..web.api import Api
from ..web.validation import StrictSchema, TextField
from .fields import GlobsField, HoursField, SigningField, SinceField, SwitchField, UrlField

STATES = ("pending", "succeeded", "failed")
REASONS = ("gone", "failing")
#: Hours for which a replaced secret signs too, unless the caller says otherwise, and at most.
OVERLAP, LONGEST_OVERLAP = 24, 168


class WebhookSchema(StrictSchema):
    """An endpoint of a partner. `disabled_reason` is null where a person disabled it."""

    webhook = fields.UUID(dump_only=True)
    partner = fields.String(dump_only=True)
    url = UrlField(required=True)
    description = TextField(longest=255, visible=True, allow_none=True)
    events = GlobsField()
    signing = SigningField()
    enabled = SwitchField()
    disabled_reason = fields.String(dump_only=True, allow_none=True, validate=validate.OneOf(REASONS))
    failing_since = fields.AwareDateTime(dump_only=True, allow_none=True)
    public_key = fields.String(
        dump_only=True, allow_none=True, metadata={"description": "What verifies `v1a` signatures; null for `v1`."}
    )
    version = fields.Integer(dump_only=True)
    created_at = fields.AwareDateTime(dump_only=True)
    updated_at = fields.AwareDateTime(dump_only=True)


class WebhookRevisionSchema(WebhookSchema):
    """The same, once it is there: the way of signing stays."""

    signing = SigningField(dump_only=True)


class WebhookSecretSchema(WebhookSchema):
    """An endpoint with its new secret, which is never shown again; null for `v1a`, whose `public_key` is no secret."""

    secret = fields.String(dump_only=True, allow_none=True)


class WebhookPageSchema(StrictSchema):
    """One page of endpoints; `next` is the cursor of the page after it."""

    items = fields.List(fields.Nested(WebhookSchema))
    next = fields.String(allow_none=True)


class RotationSchema(StrictSchema):
    """How long the secret that is replaced signs too, in hours."""

    overlap_hours = HoursField(most=LONGEST_OVERLAP, load_default=OVERLAP)


class RecoverySchema(StrictSchema):
    """From when on events are sent again; 14 days ago at most."""

    since = SinceField(required=True)


class RecoveredSchema(StrictSchema):
    """How many `deliveries` were made of events since then."""

    webhook = fields.UUID()
    since = fields.AwareDateTime()
    deliveries = fields.Integer()


class DeliverySchema(StrictSchema):
    """One event on its way to one endpoint. `event` is the `webhook-id` of each of the `attempts`."""

    delivery = fields.UUID()
    webhook = fields.UUID()
    partner = fields.String()
    event = fields.UUID()
    tenant = fields.UUID(allow_none=True)
    state = fields.String(validate=validate.OneOf(STATES))
    attempts = fields.Integer()
    resent = fields.Boolean(metadata={"description": "Sent by hand: attempted once."})
    next_attempt_at = fields.AwareDateTime(allow_none=True)
    created_at = fields.AwareDateTime()
    finished_at = fields.AwareDateTime(allow_none=True)


class AttemptSchema(StrictSchema):
    """One request: its `status` and the beginning of the `answer`, or the `error` that there was instead.

    Of an answer 8 KiB are kept, of a successful one 1 KiB. It is null where none came, where its tenant has been
    purged, and for all but administrators where a server in the operator's own network gave it.
    """

    number = fields.Integer()
    at = fields.AwareDateTime()
    status = fields.Integer(allow_none=True)
    latency_ms = fields.Integer()
    error = fields.String(allow_none=True)
    answer = fields.String(allow_none=True)


class DeliveryHistorySchema(DeliverySchema):
    """A delivery with each attempt at it."""

    history = fields.List(fields.Nested(AttemptSchema))


class DeliveryPageSchema(StrictSchema):
    """One page of deliveries; `next` is the cursor of the page after it."""

    items = fields.List(fields.Nested(DeliverySchema))
    next = fields.String(allow_none=True)


_NEW, _REVISION, _ROTATION, _RECOVERY = WebhookSchema(), WebhookRevisionSchema(), RotationSchema(), RecoverySchema()


def webhook_input(_api: Api | None = None) -> WebhookSchema:
    """The schema of a new endpoint; made once."""
    return _NEW


def revision_input(_api: Api | None = None) -> WebhookRevisionSchema:
    """The schema of a change to an endpoint; made once."""
    return _REVISION


def rotation_input(_api: Api | None = None) -> RotationSchema:
    """The schema of a rotation; made once."""
    return _ROTATION


def recovery_input(_api: Api | None = None) -> RecoverySchema:
    """The schema of a recovery; made once."""
    return _RECOVERY
