"""Routes for webhook endpoints and their deliveries."""

from __future__ import annotations

from functools import partial

from flask import Response

from ..database.ids import shorten_instant
from ..errors import (
    DeliveryNotFound,
    InvalidCursor,
    InvalidParameter,
    QuotaExceeded,
    SecretUnavailable,
    WebhookDisabled,
    WebhookNotFound,
)
from ..tenants.schemas import CreateQuery
from ..validation import load
from ..web.headers import JSON, MERGE_PATCH, format_etag, is_not_modified
from ..web.pagination import open_cursor, render_page
from ..web.parameters import NoQuery, WriteQuery
from ..web.request import Request, make_precondition_check, parse_id, partner_scope
from ..web.routing import BODY_PROBLEMS, IDEMPOTENCY_PROBLEMS, PRECONDITION_PROBLEMS, Routes
from ..web.write import Result, execute
from . import actions, delivery_actions, models
from .actions import EndpointWithSecret, Target
from .models import Delivery, Endpoint
from .schemas import (
    DeliveryHistorySchema,
    DeliveryListQuery,
    DeliveryPageSchema,
    DeliverySchema,
    RecoveredSchema,
    RecoverySchema,
    RotationSchema,
    WebhookListQuery,
    WebhookPageSchema,
    WebhookRevisionSchema,
    WebhookSchema,
    WebhookSecretSchema,
    validate_endpoint_patch,
    validate_new_endpoint,
)

WEBHOOKS_PATH = "/webhooks"
WEBHOOK_PATH = f"{WEBHOOKS_PATH}/<webhook_id>"
DELIVERY_PATH = "/deliveries/<delivery_id>"
#: The problems common to all writes to an endpoint.
WRITE_PROBLEMS = (*PRECONDITION_PROBLEMS, WebhookNotFound)


def parse_webhook_id(webhook_id: str) -> str:
    """Return an endpoint's id in canonical form. Raises `WebhookNotFound` if it is not a UUID."""
    return parse_id(webhook_id, WebhookNotFound)


def make_target(call: Request, webhook_id: str) -> Target:
    """Return the endpoint that a write applies to, with its check of ``If-Match``."""
    return Target(partner_scope(call), parse_webhook_id(webhook_id), make_precondition_check(call))


def make_endpoint_result(endpoint: Endpoint) -> Result:
    """Make the 200 result that shows an endpoint."""
    return Result(200, models.render_endpoint(endpoint), {"ETag": format_etag(endpoint.version)})


def make_secret_result(result: EndpointWithSecret, status: int = 200, **headers: str) -> Result:
    """Make the result that shows an endpoint and its new secret."""
    document = {**models.render_endpoint(result.endpoint), "secret": result.secret}
    return Result(status, document, {"ETag": format_etag(result.endpoint.version), **headers}, secret=True)


def make_delivery_result(call: Request, delivery: Delivery) -> Result:
    """Make the 202 result that shows a scheduled delivery."""
    location = f"{call.mount.base_path()}/deliveries/{delivery.id}"
    return Result(202, models.render_delivery(delivery), {"Location": location, "Retry-After": "1"})


routes = Routes()


@routes.add(
    "POST",
    WEBHOOKS_PATH,
    permissions=("webhook:manage",),
    body=WebhookSchema,
    query=CreateQuery,
    responses={201: WebhookSecretSchema},
    problems=(*BODY_PROBLEMS, *IDEMPOTENCY_PROBLEMS, InvalidParameter, QuotaExceeded, SecretUnavailable),
)
def create_webhook(call: Request) -> Response:
    """Create a webhook endpoint. Its `secret` is shown only in this response."""
    mount, query, body = call.mount, call.query(CreateQuery), call.body(JSON)
    partner, values = call.require_partner(query), validate_new_endpoint(mount.url_refusal, body)
    quota = mount.config.webhook_limit
    work = partial(
        actions.create_endpoint, actor=call.actor(), keyring=mount.keyring, partner=partner, values=values, quota=quota
    )

    def make_result(result: EndpointWithSecret) -> Result:
        return make_secret_result(result, 201, Location=f"{mount.base_path()}{WEBHOOKS_PATH}/{result.endpoint.id}")

    return execute(call, work, make_result, body=body, validate_only=query["validate_only"])


@routes.add(
    "GET",
    WEBHOOKS_PATH,
    permissions=("webhook:read",),
    query=WebhookListQuery,
    responses={200: WebhookPageSchema},
    problems=(InvalidParameter, InvalidCursor),
)
def list_webhooks(call: Request) -> Response:
    """List webhook endpoints, the oldest first, a page at a time."""
    query = call.query(WebhookListQuery)
    partner = query.get("partner", partner_scope(call))
    cursor_scope = repr(("webhooks", partner))
    after = open_cursor(call, query, cursor_scope)
    work = partial(actions.list_endpoints, partner=partner, limit=query["limit"], after=after)
    endpoints, end = call.mount.storage.read(work)
    return render_page(call, [models.render_endpoint(endpoint) for endpoint in endpoints], end, cursor_scope)


@routes.add(
    "GET",
    WEBHOOK_PATH,
    permissions=("webhook:read",),
    responses={200: WebhookSchema, 304: None},
    problems=(InvalidParameter, WebhookNotFound),
)
def read_webhook(call: Request, webhook_id: str) -> Response:
    """Read a webhook endpoint."""
    call.query(NoQuery)
    endpoint = call.mount.storage.read(
        partial(actions.load_endpoint, partner=partner_scope(call), webhook_id=parse_webhook_id(webhook_id))
    )
    result = make_endpoint_result(endpoint)
    if is_not_modified(endpoint.version):
        return Response(status=304, headers=result.headers)
    return call.json_response(result.document, result.headers)


@routes.add(
    "PATCH",
    WEBHOOK_PATH,
    permissions=("webhook:manage",),
    body=WebhookRevisionSchema,
    consumes=(MERGE_PATCH, JSON),
    query=WriteQuery,
    responses={200: WebhookSchema},
    problems=(*BODY_PROBLEMS, *IDEMPOTENCY_PROBLEMS, *WRITE_PROBLEMS),
)
def patch_webhook(call: Request, webhook_id: str) -> Response:
    """Change some fields of a webhook endpoint (RFC 7396). Enabling it again makes its pending deliveries due."""
    query, body = call.query(WriteQuery), call.body(MERGE_PATCH, JSON)
    values = validate_endpoint_patch(call.mount.url_refusal, body)
    work = partial(actions.update_endpoint, actor=call.actor(), target=make_target(call, webhook_id), values=values)
    return execute(call, work, make_endpoint_result, body=body, validate_only=query["validate_only"])


@routes.add(
    "DELETE",
    WEBHOOK_PATH,
    permissions=("webhook:manage",),
    query=WriteQuery,
    responses={204: None},
    problems=WRITE_PROBLEMS,
)
def delete_webhook(call: Request, webhook_id: str) -> Response:
    """Delete a webhook endpoint with all of its deliveries, pending ones included."""
    query = call.query(WriteQuery)
    work = partial(actions.delete_endpoint, actor=call.actor(), target=make_target(call, webhook_id))
    return execute(call, work, lambda _none: Result(204, None, {}), validate_only=query["validate_only"])


@routes.add(
    "POST",
    f"{WEBHOOK_PATH}/rotate-secret",
    permissions=("webhook:manage",),
    body=RotationSchema,
    body_required=False,
    query=WriteQuery,
    responses={200: WebhookSecretSchema},
    problems=(*BODY_PROBLEMS, *IDEMPOTENCY_PROBLEMS, *WRITE_PROBLEMS, SecretUnavailable),
)
def rotate_webhook_secret(call: Request, webhook_id: str) -> Response:
    """Replace the secret of a webhook endpoint.

    The new one is shown this once; the old one also signs for `overlap_hours`.
    """
    query, body = call.query(WriteQuery), call.optional_body(JSON)
    hours = load(call.mount.schema(RotationSchema), body)["overlap_hours"]
    target, keyring = make_target(call, webhook_id), call.mount.keyring
    work = partial(actions.rotate_secret, actor=call.actor(), target=target, keyring=keyring, overlap_hours=hours)
    return execute(call, work, make_secret_result, body=body, validate_only=query["validate_only"])


@routes.add(
    "POST",
    f"{WEBHOOK_PATH}/test",
    permissions=("webhook:manage",),
    query=WriteQuery,
    responses={202: DeliverySchema},
    problems=(*IDEMPOTENCY_PROBLEMS, InvalidParameter, WebhookNotFound, WebhookDisabled),
)
def test_webhook(call: Request, webhook_id: str) -> Response:
    """Send a test event. It has the type `webhook.test`, and one attempt."""
    query = call.query(WriteQuery)
    work = partial(
        delivery_actions.send_test_event,
        actor=call.actor(),
        target=Target(partner_scope(call), parse_webhook_id(webhook_id)),
    )
    return execute(call, work, partial(make_delivery_result, call), validate_only=query["validate_only"])


@routes.add(
    "POST",
    f"{WEBHOOK_PATH}/recover",
    permissions=("webhook:manage",),
    body=RecoverySchema,
    query=WriteQuery,
    responses={202: RecoveredSchema},
    problems=(*BODY_PROBLEMS, *IDEMPOTENCY_PROBLEMS, InvalidParameter, WebhookNotFound, WebhookDisabled),
)
def recover_webhook(call: Request, webhook_id: str) -> Response:
    """Send again the events since a point in time that were not delivered."""
    query, body = call.query(WriteQuery), call.body(JSON)
    since: str = load(call.mount.schema(RecoverySchema), body)["since"]
    work = partial(
        delivery_actions.recover, target=Target(partner_scope(call), parse_webhook_id(webhook_id)), since=since
    )

    def make_result(result: tuple[Endpoint, int]) -> Result:
        endpoint, count = result
        location = f"{call.mount.base_path()}{WEBHOOKS_PATH}/{endpoint.id}/deliveries"
        document = {"webhook": endpoint.id, "since": shorten_instant(since), "deliveries": count}
        return Result(202, document, {"Location": location, "Retry-After": "1"})

    return execute(call, work, make_result, body=body, validate_only=query["validate_only"])


@routes.add(
    "GET",
    f"{WEBHOOK_PATH}/deliveries",
    permissions=("webhook:read",),
    query=DeliveryListQuery,
    responses={200: DeliveryPageSchema},
    problems=(InvalidParameter, InvalidCursor, WebhookNotFound),
)
def list_deliveries(call: Request, webhook_id: str) -> Response:
    """List an endpoint's deliveries, the newest first, a page at a time."""
    query, id = call.query(DeliveryListQuery), parse_webhook_id(webhook_id)
    cursor_scope = repr(("deliveries", partner_scope(call), id, query.get("state")))
    after = open_cursor(call, query, cursor_scope)
    work = partial(
        delivery_actions.list_deliveries,
        partner=partner_scope(call),
        webhook_id=id,
        state=query.get("state"),
        limit=query["limit"],
        after=after,
    )
    deliveries, end = call.mount.storage.read(work)
    return render_page(call, [models.render_delivery(delivery) for delivery in deliveries], end, cursor_scope)


@routes.add(
    "GET",
    DELIVERY_PATH,
    permissions=("webhook:read",),
    responses={200: DeliveryHistorySchema},
    problems=(InvalidParameter, DeliveryNotFound),
)
def read_delivery(call: Request, delivery_id: str) -> Response:
    """Read a delivery with its attempts."""
    call.query(NoQuery)
    id = parse_id(delivery_id, DeliveryNotFound)
    delivery, attempts = call.mount.storage.read(
        partial(delivery_actions.load_delivery_history, partner=partner_scope(call), delivery_id=id)
    )
    render = partial(models.render_attempt, shows_internal=call.principal.sees_every_partner)
    return call.json_response(
        {**models.render_delivery(delivery), "history": [render(attempt) for attempt in attempts]}
    )


@routes.add(
    "POST",
    f"{DELIVERY_PATH}/redeliver",
    permissions=("webhook:manage",),
    query=WriteQuery,
    responses={202: DeliverySchema},
    problems=(*IDEMPOTENCY_PROBLEMS, InvalidParameter, DeliveryNotFound, WebhookDisabled),
)
def redeliver_delivery(call: Request, delivery_id: str) -> Response:
    """Make one more attempt of a delivery. A pending delivery keeps its scheduled attempts."""
    query = call.query(WriteQuery)
    id = parse_id(delivery_id, DeliveryNotFound)
    work = partial(delivery_actions.redeliver, partner=partner_scope(call), delivery_id=id)
    return execute(call, work, partial(make_delivery_result, call), validate_only=query["validate_only"])
