"""Routes for webhook endpoints and their deliveries."""

from __future__ import annotations

from functools import partial

from flask import Response

from ..database.ids import shorten_instant as shown_instant
from ..errors import (
    DeliveryNotFound,
    InvalidCursor,
    InvalidParameter,
    QuotaExceeded,
    SecretUnavailable,
    WebhookDisabled,
    WebhookNotFound,
)
from ..tenants.schemas import create_query
from ..validation import load
from ..web.headers import JSON, MERGE_PATCH, format_etag, is_not_modified
from ..web.pagination import open_cursor, render_page
from ..web.parameters import NO_QUERY, write_query
from ..web.request import Request, make_precondition_check, parse_id, partner_scope
from ..web.routing import BODY_PROBLEMS, IDEMPOTENCY_PROBLEMS, PRECONDITION_PROBLEMS, Routes
from ..web.write import Result, execute
from . import actions, delivery_actions, models
from .actions import EndpointWithSecret, Target
from .models import Delivery, Endpoint
from .schemas import (
    DeliveryHistorySchema,
    DeliveryPageSchema,
    DeliverySchema,
    RecoveredSchema,
    WebhookPageSchema,
    WebhookSchema,
    WebhookSecretSchema,
    delivery_list_query,
    recovery_input,
    revision_input,
    rotation_input,
    validate_endpoint_patch,
    validate_new_endpoint,
    webhook_input,
    webhook_list_query,
)

WEBHOOKS_PATH = "/webhooks"
WEBHOOK_PATH = f"{WEBHOOKS_PATH}/<webhook_id>"
DELIVERY_PATH = "/deliveries/<delivery_id>"
#: The problems that writes to an endpoint have in common.
WRITE_PROBLEMS = (*PRECONDITION_PROBLEMS, WebhookNotFound)


def parse_webhook_id(webhook_id: str) -> str:
    """An endpoint's id in its canonical form. Raises `WebhookNotFound` for what cannot be one."""
    return parse_id(webhook_id, WebhookNotFound)


def make_target(call: Request, webhook_id: str) -> Target:
    """The endpoint that this write means, and the version that it expects."""
    return Target(partner_scope(call), parse_webhook_id(webhook_id), make_precondition_check(call))


def make_endpoint_result(endpoint: Endpoint) -> Result:
    """The answer that shows an endpoint."""
    return Result(200, models.render_endpoint(endpoint), {"ETag": format_etag(endpoint.version)})


def make_secret_result(found: EndpointWithSecret, status: int = 200, **headers: str) -> Result:
    """The answer that shows an endpoint with its new secret."""
    document = {**models.render_endpoint(found.endpoint), "secret": found.secret}
    return Result(status, document, {"ETag": format_etag(found.endpoint.version), **headers}, secret=True)


def make_delivery_result(call: Request, found: Delivery) -> Result:
    """The answer that shows a delivery to come."""
    where = f"{call.mount.base_path()}/deliveries/{found.id}"
    return Result(202, models.render_delivery(found), {"Location": where, "Retry-After": "1"})


routes = Routes()


@routes.add(
    "POST",
    WEBHOOKS_PATH,
    permissions=("webhook:manage",),
    body=webhook_input,
    query=create_query,
    responses={201: WebhookSecretSchema},
    problems=(*BODY_PROBLEMS, *IDEMPOTENCY_PROBLEMS, InvalidParameter, QuotaExceeded, SecretUnavailable),
)
def create_webhook(call: Request) -> Response:
    """Create an endpoint. Its `secret` is shown this once."""
    mount, asked, body = call.mount, call.query(create_query()), call.body(JSON)
    owner, values = call.require_partner(asked), validate_new_endpoint(mount, body)
    most = mount.config.webhook_limit
    work = partial(
        actions.create_endpoint, actor=call.actor(), keyring=mount.keyring, partner=owner, values=values, most=most
    )

    def answer(made: EndpointWithSecret) -> Result:
        return make_secret_result(made, 201, Location=f"{mount.base_path()}{WEBHOOKS_PATH}/{made.endpoint.id}")

    return execute(call, work, answer, body=body, validate_only=asked["validate_only"])


@routes.add(
    "GET",
    WEBHOOKS_PATH,
    permissions=("webhook:read",),
    query=webhook_list_query,
    responses={200: WebhookPageSchema},
    problems=(InvalidParameter, InvalidCursor),
)
def list_webhooks(call: Request) -> Response:
    """List endpoints, the oldest first, a page at a time."""
    asked = call.query(webhook_list_query())
    owner = asked.get("partner", partner_scope(call))
    question = repr(("webhooks", owner))
    after = open_cursor(call, asked, question)
    work = partial(actions.list_endpoints, partner=owner, limit=asked["limit"], after=after)
    found, end = call.mount.storage.read(work)
    return render_page(call, [models.render_endpoint(one) for one in found], end, question)


@routes.add(
    "GET",
    WEBHOOK_PATH,
    permissions=("webhook:read",),
    responses={200: WebhookSchema, 304: None},
    problems=(InvalidParameter, WebhookNotFound),
)
def read_webhook(call: Request, webhook_id: str) -> Response:
    """Read an endpoint."""
    call.query(NO_QUERY)
    found = call.mount.storage.read(
        partial(actions.load_endpoint, partner=partner_scope(call), webhook_id=parse_webhook_id(webhook_id))
    )
    answer = make_endpoint_result(found)
    if is_not_modified(found.version):
        return Response(status=304, headers=answer.headers)
    return call.json_response(answer.document, answer.headers)


@routes.add(
    "PATCH",
    WEBHOOK_PATH,
    permissions=("webhook:manage",),
    body=revision_input,
    consumes=(MERGE_PATCH, JSON),
    query=write_query,
    responses={200: WebhookSchema},
    problems=(*BODY_PROBLEMS, *IDEMPOTENCY_PROBLEMS, *WRITE_PROBLEMS),
)
def patch_webhook(call: Request, webhook_id: str) -> Response:
    """Change some fields of an endpoint (RFC 7396); `enabled` again, it gets what is pending at once."""
    asked, body = call.query(write_query()), call.body(MERGE_PATCH, JSON)
    values = validate_endpoint_patch(call.mount, body)
    work = partial(actions.update_endpoint, actor=call.actor(), target=make_target(call, webhook_id), values=values)
    return execute(call, work, make_endpoint_result, body=body, validate_only=asked["validate_only"])


@routes.add(
    "DELETE",
    WEBHOOK_PATH,
    permissions=("webhook:manage",),
    query=write_query,
    responses={204: None},
    problems=WRITE_PROBLEMS,
)
def delete_webhook(call: Request, webhook_id: str) -> Response:
    """Delete an endpoint with everything that was delivered to it or waits to be."""
    asked = call.query(write_query())
    work = partial(actions.delete_endpoint, actor=call.actor(), target=make_target(call, webhook_id))
    return execute(call, work, lambda _none: Result(204, None, {}), validate_only=asked["validate_only"])


@routes.add(
    "POST",
    f"{WEBHOOK_PATH}/rotate-secret",
    permissions=("webhook:manage",),
    body=rotation_input,
    body_required=False,
    query=write_query,
    responses={200: WebhookSecretSchema},
    problems=(*BODY_PROBLEMS, *IDEMPOTENCY_PROBLEMS, *WRITE_PROBLEMS, SecretUnavailable),
)
def rotate_webhook_secret(call: Request, webhook_id: str) -> Response:
    """Give an endpoint a new secret, shown this once; the one before signs too for `overlap_hours`."""
    asked, body = call.query(write_query()), call.optional_body(JSON)
    hours = load(rotation_input(), body)["overlap_hours"]
    meant, keyring = make_target(call, webhook_id), call.mount.keyring
    work = partial(actions.rotate_secret, actor=call.actor(), target=meant, keyring=keyring, overlap_hours=hours)
    return execute(call, work, make_secret_result, body=body, validate_only=asked["validate_only"])


delivery_routes = Routes()


@delivery_routes.add(
    "POST",
    f"{WEBHOOK_PATH}/test",
    permissions=("webhook:manage",),
    query=write_query,
    responses={202: DeliverySchema},
    problems=(*IDEMPOTENCY_PROBLEMS, InvalidParameter, WebhookNotFound, WebhookDisabled),
)
def test_webhook(call: Request, webhook_id: str) -> Response:
    """Send an endpoint an event of type `webhook.test`, once."""
    asked = call.query(write_query())
    work = partial(
        delivery_actions.send_test_event,
        actor=call.actor(),
        target=Target(partner_scope(call), parse_webhook_id(webhook_id)),
    )
    return execute(call, work, partial(make_delivery_result, call), validate_only=asked["validate_only"])


@delivery_routes.add(
    "POST",
    f"{WEBHOOK_PATH}/recover",
    permissions=("webhook:manage",),
    body=recovery_input,
    query=write_query,
    responses={202: RecoveredSchema},
    problems=(*BODY_PROBLEMS, *IDEMPOTENCY_PROBLEMS, InvalidParameter, WebhookNotFound, WebhookDisabled),
)
def recover_webhook(call: Request, webhook_id: str) -> Response:
    """Send an endpoint whatever happened since some moment and did not reach it."""
    asked, body = call.query(write_query()), call.body(JSON)
    since: str = load(recovery_input(), body)["since"]
    work = partial(
        delivery_actions.recover, target=Target(partner_scope(call), parse_webhook_id(webhook_id)), since=since
    )

    def answer(found: tuple[Endpoint, int]) -> Result:
        endpoint, count = found
        where = f"{call.mount.base_path()}{WEBHOOKS_PATH}/{endpoint.id}/deliveries"
        document = {"webhook": endpoint.id, "since": shown_instant(since), "deliveries": count}
        return Result(202, document, {"Location": where, "Retry-After": "1"})

    return execute(call, work, answer, body=body, validate_only=asked["validate_only"])


@delivery_routes.add(
    "GET",
    f"{WEBHOOK_PATH}/deliveries",
    permissions=("webhook:read",),
    query=delivery_list_query,
    responses={200: DeliveryPageSchema},
    problems=(InvalidParameter, InvalidCursor, WebhookNotFound),
)
def list_deliveries(call: Request, webhook_id: str) -> Response:
    """List an endpoint's deliveries, the newest first, a page at a time."""
    asked, id = call.query(delivery_list_query()), parse_webhook_id(webhook_id)
    question = repr(("deliveries", partner_scope(call), id, asked.get("state")))
    after = open_cursor(call, asked, question)
    work = partial(
        delivery_actions.list_deliveries,
        partner=partner_scope(call),
        webhook_id=id,
        state=asked.get("state"),
        limit=asked["limit"],
        after=after,
    )
    found, end = call.mount.storage.read(work)
    return render_page(call, [models.render_delivery(one) for one in found], end, question)


@delivery_routes.add(
    "GET",
    DELIVERY_PATH,
    permissions=("webhook:read",),
    responses={200: DeliveryHistorySchema},
    problems=(InvalidParameter, DeliveryNotFound),
)
def read_delivery(call: Request, delivery_id: str) -> Response:
    """Read a delivery with each attempt at it."""
    call.query(NO_QUERY)
    wanted = parse_id(delivery_id, DeliveryNotFound)
    found, history = call.mount.storage.read(
        partial(delivery_actions.load_delivery_history, partner=partner_scope(call), delivery_id=wanted)
    )
    show = partial(models.render_attempt, shows_internal=call.principal.sees_every_partner)
    return call.json_response({**models.render_delivery(found), "history": [show(one) for one in history]})


@delivery_routes.add(
    "POST",
    f"{DELIVERY_PATH}/redeliver",
    permissions=("webhook:manage",),
    query=write_query,
    responses={202: DeliverySchema},
    problems=(*IDEMPOTENCY_PROBLEMS, InvalidParameter, DeliveryNotFound, WebhookDisabled),
)
def redeliver_delivery(call: Request, delivery_id: str) -> Response:
    """Attempt a delivery once more, and only once; one that is pending keeps its further attempts."""
    asked = call.query(write_query())
    wanted = parse_id(delivery_id, DeliveryNotFound)
    work = partial(delivery_actions.redeliver, partner=partner_scope(call), delivery_id=wanted)
    return execute(call, work, partial(make_delivery_result, call), validate_only=asked["validate_only"])
