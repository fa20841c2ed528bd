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
    describe,
    load,
    make_entry,
    make_field_error,
    make_invalid_input,
    run_all,
)
from ..web.pagination import CURSOR, NEXT_CURSOR, PAGE_SIZE, PageSizeField
from ..web.parameters import ChoiceField, MomentField, QuerySchema
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

    webhook = fields.UUID(
        dump_only=True, metadata=describe("The id of the endpoint.", "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f")
    )
    partner = fields.String(dump_only=True, metadata=describe("The partner to whom the endpoint belongs.", "acme"))
    url = UrlField(
        required=True,
        metadata=describe(
            "The URL that events are sent to by `POST`. 2048 characters at most.", "https://example.com/hooks"
        ),
    )
    description = TextField(
        max_length=255,
        visible=True,
        allow_none=True,
        metadata=describe(
            "What the endpoint is for, in your own words; null for nothing. 255 characters at most.", "CRM"
        ),
    )
    events = GlobsField(
        metadata=describe(
            "Which events are sent: 1 to 50 types, or globs with `*` for any part. By default all, except "
            "changes of endpoints and of API clients.",
            ["tenant.*"],
        )
    )
    signing = SigningField(
        metadata=describe(
            "The signature scheme: `v1` is HMAC-SHA256 with a shared secret, `v1a` is Ed25519 with a public "
            "key. By default `v1`."
        )
    )
    enabled = BooleanField(metadata=describe("Whether events are sent. By default true.", True))
    disabled_reason = fields.String(
        dump_only=True,
        allow_none=True,
        validate=validate.OneOf(DISABLED_REASONS),
        metadata=describe(
            "Why the endpoint was disabled automatically: it was gone (410) or failed for days; null otherwise."
        ),
    )
    failing_since = fields.AwareDateTime(
        dump_only=True,
        allow_none=True,
        metadata=describe("The time since which every attempt has failed; null if the last one succeeded."),
    )
    public_key = fields.String(
        dump_only=True,
        allow_none=True,
        metadata=describe(
            "The public key that verifies `v1a` signatures; null for `v1`.",
            "whpk_L3Db2IBTQyxnkiZjhkMnI1n6kK1xvmjYH4GfrL1lN4k=",
        ),
    )
    version = fields.Integer(
        dump_only=True,
        metadata=describe(
            "The number of the endpoint's current version, from 1, raised by each change. `ETag` has it in quotes.", 1
        ),
    )
    created_at = fields.AwareDateTime(dump_only=True, metadata=describe("The time of the creation."))
    updated_at = fields.AwareDateTime(dump_only=True, metadata=describe("The time of the last change."))


class WebhookRevisionSchema(WebhookSchema):
    """The changes to an existing endpoint; `signing` cannot be changed."""

    signing = SigningField(dump_only=True)


class WebhookSecretSchema(WebhookSchema):
    """An endpoint with its new secret, which is never shown again; null for `v1a`, which has a `public_key` instead."""

    secret = fields.String(
        dump_only=True,
        allow_none=True,
        metadata=describe(
            "The secret that signs `v1` webhooks, shown only this once; null for `v1a`.",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ),
    )


class WebhookPageSchema(StrictSchema):
    """One page of endpoints; `next` is the cursor of the page after it."""

    items = fields.List(fields.Nested(WebhookSchema), metadata=describe("The endpoints of this page, up to `limit`."))
    next = fields.String(
        allow_none=True,
        metadata=NEXT_CURSOR,
    )


class RotationSchema(StrictSchema):
    """The number of hours for which the replaced secret keeps signing."""

    overlap_hours = HoursField(
        most=MAX_OVERLAP_HOURS,
        load_default=DEFAULT_OVERLAP_HOURS,
        metadata=describe(
            "For how many hours the replaced secret keeps signing beside the new one, from 0 to 168. By default 24.", 24
        ),
    )


class RecoverySchema(StrictSchema):
    """The time from which events are recovered, at most 14 days ago."""

    since = MomentField(
        required=True,
        metadata=describe(
            "The time from which events are sent again, RFC 3339 with an offset; at most 14 days ago.",
            "2025-02-10T16:30:00Z",
        ),
    )


class RecoveredSchema(StrictSchema):
    """The number of `deliveries` created for events since that time."""

    webhook = fields.UUID(metadata=describe("The id of the endpoint.", "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f"))
    since = fields.AwareDateTime(metadata=describe("The time from which events are sent again."))
    deliveries = fields.Integer(metadata=describe("The number of deliveries that were created.", 12))


class DeliverySchema(StrictSchema):
    """The delivery of one event to one endpoint. `event` is sent as `webhook-id` with every attempt."""

    delivery = fields.UUID(metadata=describe("The id of the delivery.", "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f"))
    webhook = fields.UUID(metadata=describe("The id of the endpoint.", "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f"))
    partner = fields.String(metadata=describe("The partner to whom the endpoint belongs.", "acme"))
    event = fields.UUID(
        metadata=describe(
            "The id of the event, sent as `webhook-id` with every attempt.", "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f"
        )
    )
    tenant = fields.UUID(
        allow_none=True,
        metadata=describe(
            "The id of the tenant that the event is about; null for other events.",
            "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f",
        ),
    )
    state = fields.String(
        validate=validate.OneOf(DELIVERY_STATES),
        metadata=describe("Whether the event is still to be sent, has arrived, or is given up."),
    )
    attempts = fields.Integer(metadata=describe("How often it was sent so far.", 1))
    resent = fields.Boolean(metadata=describe("Whether it was requested by hand and is attempted once.", False))
    next_attempt_at = fields.AwareDateTime(
        allow_none=True, metadata=describe("The time of the next attempt; null if none is planned.")
    )
    created_at = fields.AwareDateTime(metadata=describe("The time at which the delivery was created."))
    finished_at = fields.AwareDateTime(
        allow_none=True, metadata=describe("The time at which it succeeded or was given up; null before that.")
    )


class AttemptSchema(StrictSchema):
    """One attempt of a delivery: the `status` and the beginning of the response (`answer`), or an `error`.

    `answer` holds up to 8 KiB of a response, 1 KiB of a successful one. It is null if there was no response, if the
    tenant has been purged, and for non-administrators if a server in an internal network sent it.
    """

    number = fields.Integer(metadata=describe("The number of the attempt, counted from 1.", 1))
    at = fields.AwareDateTime(metadata=describe("The time of the attempt."))
    status = fields.Integer(
        allow_none=True, metadata=describe("The HTTP status of the response; null if there was none.", 204)
    )
    latency_ms = fields.Integer(metadata=describe("The duration of the attempt, in milliseconds.", 42))
    error = fields.String(
        allow_none=True,
        metadata=describe(
            "Why there was no response, in a few words; null if there was one.", "The connection was refused."
        ),
    )
    answer = fields.String(
        allow_none=True,
        metadata=describe(
            "The beginning of the response: up to 8 KiB, or 1 KiB of a successful one. Null if there was "
            "none, the tenant has been purged, or a server in an internal network sent it and you are no "
            "administrator.",
            "ok",
        ),
    )


class DeliveryHistorySchema(DeliverySchema):
    """A delivery with its attempts."""

    history = fields.List(fields.Nested(AttemptSchema), metadata=describe("The attempts, in order."))


class DeliveryPageSchema(StrictSchema):
    """One page of deliveries; `next` is the cursor of the page after it."""

    items = fields.List(
        fields.Nested(DeliverySchema), metadata=describe("The deliveries of this page, up to `limit`, newest first.")
    )
    next = fields.String(
        allow_none=True,
        metadata=NEXT_CURSOR,
    )


DEFAULT_PAGE_SIZE = 50


class WebhookListQuery(QuerySchema):
    """The query parameters of `GET /webhooks`; an administrator may name the partner."""

    partner = PartnerIdField(
        metadata=describe(
            "Only endpoints of this partner. Only an administrator may name a partner other than the caller's own.",
            "acme",
        )
    )
    limit = PageSizeField(
        load_default=DEFAULT_PAGE_SIZE,
        metadata=PAGE_SIZE,
    )
    cursor = TextField(
        min_length=1,
        max_length=4096,
        metadata=CURSOR,
    )


class DeliveryListQuery(QuerySchema):
    """The query parameters of a list of deliveries."""

    state = ChoiceField(*DELIVERY_STATES, metadata=describe("Only deliveries in this state."))
    limit = PageSizeField(
        load_default=DEFAULT_PAGE_SIZE,
        metadata=PAGE_SIZE,
    )
    cursor = TextField(
        min_length=1,
        max_length=4096,
        metadata=CURSOR,
    )


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
