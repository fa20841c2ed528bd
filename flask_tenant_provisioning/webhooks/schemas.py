"""Schemas of webhook endpoints and deliveries, their query parameters, and validation of what clients send."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from ..errors import Fault
from ..mount import Api, Mount
from ..validation import (
    NOT_TEXT,
    NULL,
    REQUIRED,
    PartnerIdField,
    StrictSchema,
    TextField,
    WholeNumberField,
    load,
    make_entry,
    make_field_error,
    make_invalid_input,
    run_all,
)
from ..web.pagination import PageSizeField
from ..web.parameters import ChoiceField, InstantField, QuerySchema
from .fanout import EVENT_TYPES, has_no_match, is_glob

MAX_URL_LENGTH = 2048
MAX_GLOBS = 50
SIGNING_SCHEMES = ("v1", "v1a")
_ERROR_MESSAGES = {"required": [REQUIRED], "null": [NULL]}


class UrlField(TextField):
    """Where webhooks are sent. Whether they may be sent there is the guard's business."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=1, max_length=MAX_URL_LENGTH, **options)


class GlobsField(fields.Field):  # type: ignore[type-arg]
    """Globs over types of events, each once: `*`, `tenant.*`, `tenant.created`, `*.deleted`."""

    default_error_messages = _ERROR_MESSAGES  # type: ignore[assignment]

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> list[str]:
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_GLOBS:
            raise make_field_error(Fault("invalid-type", f"Must be a list of 1 to {MAX_GLOBS} texts."))
        wrong = [{str(place): fault} for place, glob in enumerate(value) if (fault := _find_glob_fault(glob))]
        if wrong:
            raise make_field_error(*wrong)
        return list(dict.fromkeys(value))


class SigningField(TextField):
    """How webhooks are signed: `v1` is HMAC-SHA256, `v1a` Ed25519."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=10, **options)

    def validate_text(self, value: str) -> str:
        if value not in SIGNING_SCHEMES:
            raise make_field_error(Fault("invalid-choice", f"Must be one of: {', '.join(SIGNING_SCHEMES)}."))
        return value


class BooleanField(fields.Field):  # type: ignore[type-arg]
    """True or false."""

    default_error_messages = _ERROR_MESSAGES  # type: ignore[assignment]

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> bool:
        if not isinstance(value, bool):
            raise make_field_error(Fault("invalid-type", "Must be true or false."))
        return value


class HoursField(WholeNumberField):
    """A whole number of hours, `most` at most."""


class SinceField(TextField):
    """A point in time, RFC 3339 with an offset."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=64, **options)

    def validate_text(self, value: str) -> str:
        found: str = InstantField().deserialize(value)
        return found


def _find_glob_fault(glob: Any) -> Fault | None:
    if not isinstance(glob, str):
        return NOT_TEXT
    if not is_glob(glob):
        return Fault("invalid-glob", "Must be a type of events such as tenant.created, with * for any part of it.")
    if has_no_match(glob):
        return Fault("invalid-choice", f"{glob} matches none of: {', '.join(EVENT_TYPES)}.")
    return None


DELIVERY_STATES = ("pending", "succeeded", "failed")
DISABLED_REASONS = ("gone", "failing")
#: Hours for which a replaced secret signs too, unless the caller says otherwise, and at most.
DEFAULT_OVERLAP_HOURS, MAX_OVERLAP_HOURS = 24, 168


class WebhookSchema(StrictSchema):
    """An endpoint of a partner. `disabled_reason` is null where a person disabled it."""

    webhook = fields.UUID(dump_only=True)
    partner = fields.String(dump_only=True)
    url = UrlField(required=True)
    description = TextField(max_length=255, visible=True, allow_none=True)
    events = GlobsField()
    signing = SigningField()
    enabled = BooleanField()
    disabled_reason = fields.String(dump_only=True, allow_none=True, validate=validate.OneOf(DISABLED_REASONS))
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

    overlap_hours = HoursField(most=MAX_OVERLAP_HOURS, load_default=DEFAULT_OVERLAP_HOURS)


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
    state = fields.String(validate=validate.OneOf(DELIVERY_STATES))
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


DEFAULT_PAGE_SIZE = 50


class WebhookListQuery(QuerySchema):
    """What `GET /webhooks` can be asked; an administrator may name the partner."""

    partner = PartnerIdField()
    limit = PageSizeField(load_default=DEFAULT_PAGE_SIZE)
    cursor = TextField(min_length=1, max_length=4096)


class DeliveryListQuery(QuerySchema):
    """What a list of deliveries can be asked."""

    state = ChoiceField(*DELIVERY_STATES)
    limit = PageSizeField(load_default=DEFAULT_PAGE_SIZE)
    cursor = TextField(min_length=1, max_length=4096)


_WEBHOOKS, _DELIVERIES = WebhookListQuery(), DeliveryListQuery()


def webhook_list_query(_api: Api | None = None) -> WebhookListQuery:
    """The schema of `GET /webhooks`'s parameters; made once."""
    return _WEBHOOKS


def delivery_list_query(_api: Api | None = None) -> DeliveryListQuery:
    """The schema of the parameters of a list of deliveries; made once."""
    return _DELIVERIES


def validate_new_endpoint(mount: Mount, body: Any) -> dict[str, Any]:
    """The valid values of a new endpoint. Raises `InvalidInput` that lists everything wrong with it.

    This looks the URL's name up, so it is no part of a unit of work.
    """
    return _validate_endpoint(mount, webhook_input(), body, partial=False)


def validate_endpoint_patch(mount: Mount, body: Any) -> dict[str, Any]:
    """The values that a merge patch (RFC 7396) gives an endpoint; as `load_webhook`."""
    return _validate_endpoint(mount, revision_input(), body, partial=True)


def _validate_endpoint(mount: Mount, schema: StrictSchema, body: Any, *, partial: bool) -> dict[str, Any]:
    values, _ = run_all(lambda: load(schema, body, partial=partial), lambda: _validate_url(mount, body))
    return values


def _validate_url(mount: Mount, body: Any) -> dict[str, Any]:
    """Raise `InvalidInput` where there is a URL that no webhook may be sent to."""
    url = body.get("url") if isinstance(body, dict) else None
    if isinstance(url, str) and 1 <= len(url) <= MAX_URL_LENGTH and "\0" not in url:
        reason = mount.url_refusal(url)
        if reason is not None:
            raise make_invalid_input([make_entry(Fault("refused-url", reason), "url")])
    return {}
