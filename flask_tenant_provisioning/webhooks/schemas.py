"""Schemas of webhook endpoints and deliveries, their query parameters, and the validation of request bodies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from marshmallow import fields, validate

from ..errors import Fault
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
from .client.ssrf import MAX_URL_LENGTH
from .fanout import EVENT_TYPES, has_no_match, is_glob

MAX_GLOBS = 50
FindRefusal = Callable[[str], str | None]
SIGNING_SCHEMES = ("v1", "v1a")
_ERROR_MESSAGES = {"required": [REQUIRED], "null": [NULL]}


class UrlField(TextField):
    """The URL that webhooks are sent to. The SSRF guard checks it separately."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=1, max_length=MAX_URL_LENGTH, **options)


class GlobsField(fields.Field):  # type: ignore[type-arg]
    """Event types or globs such as `*`, `tenant.*`, `tenant.created`, `*.deleted`; duplicates are dropped."""

    default_error_messages = _ERROR_MESSAGES  # type: ignore[assignment]

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> list[str]:
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_GLOBS:
            raise make_field_error(Fault("invalid-type", f"Must be a list of 1 to {MAX_GLOBS} texts."))
        faults = {str(index): _find_glob_fault(glob) for index, glob in enumerate(value)}
        faulty = [{index: fault} for index, fault in faults.items() if fault is not None]
        if faulty:
            raise make_field_error(*faulty)
        return list(dict.fromkeys(value))


class SigningField(TextField):
    """The signature scheme: `v1` is HMAC-SHA256, `v1a` is Ed25519."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=10, **options)

    def validate_text(self, value: str) -> str:
        if value not in SIGNING_SCHEMES:
            raise make_field_error(Fault("invalid-choice", f"Must be one of: {', '.join(SIGNING_SCHEMES)}."))
        return value


class BooleanField(fields.Field):  # type: ignore[type-arg]
    """A boolean."""

    default_error_messages = _ERROR_MESSAGES  # type: ignore[assignment]

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> bool:
        if not isinstance(value, bool):
            raise make_field_error(Fault("invalid-type", "Must be true or false."))
        return value


class HoursField(WholeNumberField):
    """A whole number of hours from 0 to `most`."""


class SinceField(TextField):
    """A point in time in RFC 3339 form with a UTC offset."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=64, **options)

    def validate_text(self, value: str) -> str:
        instant: str = InstantField().deserialize(value)
        return instant


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
#: The default and the maximum number of hours for which a replaced secret keeps signing.
DEFAULT_OVERLAP_HOURS, MAX_OVERLAP_HOURS = 24, 168


class WebhookSchema(StrictSchema):
    """A webhook endpoint of a partner. `disabled_reason` is null unless the endpoint was disabled automatically."""

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
        dump_only=True,
        allow_none=True,
        metadata={"description": "The public key that verifies `v1a` signatures; null for `v1`."},
    )
    version = fields.Integer(dump_only=True)
    created_at = fields.AwareDateTime(dump_only=True)
    updated_at = fields.AwareDateTime(dump_only=True)


class WebhookRevisionSchema(WebhookSchema):
    """The changes to an existing endpoint; `signing` cannot be changed."""

    signing = SigningField(dump_only=True)


class WebhookSecretSchema(WebhookSchema):
    """An endpoint with its new secret, which is never shown again; null for `v1a`, which has a `public_key` instead."""

    secret = fields.String(dump_only=True, allow_none=True)


class WebhookPageSchema(StrictSchema):
    """One page of endpoints; `next` is the cursor of the page after it."""

    items = fields.List(fields.Nested(WebhookSchema))
    next = fields.String(allow_none=True)


class RotationSchema(StrictSchema):
    """The number of hours for which the replaced secret keeps signing."""

    overlap_hours = HoursField(most=MAX_OVERLAP_HOURS, load_default=DEFAULT_OVERLAP_HOURS)


class RecoverySchema(StrictSchema):
    """The time from which events are recovered, at most 14 days ago."""

    since = SinceField(required=True)


class RecoveredSchema(StrictSchema):
    """The number of `deliveries` created for events since that time."""

    webhook = fields.UUID()
    since = fields.AwareDateTime()
    deliveries = fields.Integer()


class DeliverySchema(StrictSchema):
    """The delivery of one event to one endpoint. `event` is sent as `webhook-id` with every attempt."""

    delivery = fields.UUID()
    webhook = fields.UUID()
    partner = fields.String()
    event = fields.UUID()
    tenant = fields.UUID(allow_none=True)
    state = fields.String(validate=validate.OneOf(DELIVERY_STATES))
    attempts = fields.Integer()
    resent = fields.Boolean(metadata={"description": "Whether it was requested by hand and is attempted once."})
    next_attempt_at = fields.AwareDateTime(allow_none=True)
    created_at = fields.AwareDateTime()
    finished_at = fields.AwareDateTime(allow_none=True)


class AttemptSchema(StrictSchema):
    """One attempt of a delivery: the `status` and the beginning of the response (`answer`), or an `error`.

    `answer` holds up to 8 KiB of a response, 1 KiB of a successful one. It is null if there was no response, if the
    tenant has been purged, and for non-administrators if a server in an internal network sent it.
    """

    number = fields.Integer()
    at = fields.AwareDateTime()
    status = fields.Integer(allow_none=True)
    latency_ms = fields.Integer()
    error = fields.String(allow_none=True)
    answer = fields.String(allow_none=True)


class DeliveryHistorySchema(DeliverySchema):
    """A delivery with its attempts."""

    history = fields.List(fields.Nested(AttemptSchema))


class DeliveryPageSchema(StrictSchema):
    """One page of deliveries; `next` is the cursor of the page after it."""

    items = fields.List(fields.Nested(DeliverySchema))
    next = fields.String(allow_none=True)


DEFAULT_PAGE_SIZE = 50


class WebhookListQuery(QuerySchema):
    """The query parameters of `GET /webhooks`; an administrator may name the partner."""

    partner = PartnerIdField()
    limit = PageSizeField(load_default=DEFAULT_PAGE_SIZE)
    cursor = TextField(min_length=1, max_length=4096)


class DeliveryListQuery(QuerySchema):
    """The query parameters of a list of deliveries."""

    state = ChoiceField(*DELIVERY_STATES)
    limit = PageSizeField(load_default=DEFAULT_PAGE_SIZE)
    cursor = TextField(min_length=1, max_length=4096)


def validate_new_endpoint(find_refusal: FindRefusal, body: Any) -> dict[str, Any]:
    """Validate the body of a new endpoint and return its values. Raises `InvalidInput` with every error found.

    `find_refusal` returns the reason why a URL is refused, or None. It resolves the host name, so this function must
    run outside a transaction.
    """
    return _validate_endpoint(find_refusal, WebhookSchema(), body, partial=False)


def validate_endpoint_patch(find_refusal: FindRefusal, body: Any) -> dict[str, Any]:
    """Validate a merge patch (RFC 7396) of an endpoint and return its values. As `validate_new_endpoint` otherwise."""
    return _validate_endpoint(find_refusal, WebhookRevisionSchema(), body, partial=True)


def _validate_endpoint(find_refusal: FindRefusal, schema: StrictSchema, body: Any, *, partial: bool) -> dict[str, Any]:
    values, _ = run_all(lambda: load(schema, body, partial=partial), lambda: _validate_url(find_refusal, body))
    return values


def _validate_url(find_refusal: FindRefusal, body: Any) -> dict[str, Any]:
    """Raise `InvalidInput` if the body has a URL that the SSRF guard refuses."""
    url = body.get("url") if isinstance(body, dict) else None
    if isinstance(url, str) and 1 <= len(url) <= MAX_URL_LENGTH and "\0" not in url:
        reason = find_refusal(url)
        if reason is not None:
            raise make_invalid_input([make_entry(Fault("refused-url", reason), "url")])
    return {}
