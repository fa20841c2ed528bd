"""The HTTP of endpoints."""

from __future__ import annotations

from functools import partial

from flask import Response

from ..problems import InvalidCursor, InvalidParameter, QuotaExceeded, SecretUnavailable, WebhookNotFound
from ..tenants.queries import create_query
from ..web.paging import paged, place
from ..web.parameters import NO_QUERY, write_query
from ..web.preconditions import not_modified
from ..web.requests import REPEATABLE, WITH_BODY, fence
from ..web.routing import JSON, MERGE_PATCH, Call, Routes
from ..web.validation import load
from ..web.writing import Answer, write
from . import actions, documents
from .actions import Keyed
from .inputs import load_revision, load_webhook
from .queries import webhook_list_query
from .requests import WEBHOOK, WEBHOOKS, WRITE, keyed, named, shown, target
from .schemas import (
    WebhookPageSchema,
    WebhookSchema,
    WebhookSecretSchema,
    revision_input,
    rotation_input,
    webhook_input,
)

routes = Routes()


@routes.add(
    "POST",
    WEBHOOKS,
    permissions=("webhook:manage",),
    body=webhook_input,
    query=create_query,
    answers={201: WebhookSecretSchema},
    problems=(*WITH_BODY, *REPEATABLE, InvalidParameter, QuotaExceeded, SecretUnavailable),
)
def create_webhook(call: Call) -> Response:
    """Create an endpoint. Its `secret` is shown this once."""
    mount, asked, body = call.mount, call.asked(create_query()), call.body(JSON)
    owner, values = call.partner(asked), load_webhook(mount, body)
    most = mount.settings.webhook_limit
    work = partial(actions.create, actor=call.actor(), keyring=mount.keyring, partner=owner, values=values, most=most)

    def answer(made: Keyed) -> Answer:
        return keyed(made, 201, Location=f"{mount.base()}{WEBHOOKS}/{made.endpoint.id}")

    return write(call, work, answer, body=body, validate_only=asked["validate_only"])


@routes.add(
    "GET",
    WEBHOOKS,
    permissions=("webhook:read",),
    query=webhook_list_query,
    answers={200: WebhookPageSchema},
    problems=(InvalidParameter, InvalidCursor),
)
def list_webhooks(call: Call) -> Response:
    """List endpoints, the oldest first, a page at a time."""
    asked = call.asked(webhook_list_query())
    owner = asked.get("partner", fence(call))
    question = repr(("webhooks", owner))
    after = place(call, asked, question)
    work = partial(actions.page, partner=owner, limit=asked["limit"], after=after)
    found, end = call.mount.storage.read(work)
    return paged(call, [documents.webhook(one) for one in found], end, question)


@routes.add(
    "GET",
    WEBHOOK,
    permissions=("webhook:read",),
    answers={200: WebhookSchema, 304: None},
    problems=(InvalidParameter, WebhookNotFound),
)
def read_webhook(call: Call, webhook_id: str) -> Response:
    """Read an endpoint."""
    call.asked(NO_QUERY)
    found = call.mount.storage.read(partial(actions.read, partner=fence(call), webhook_id=named(webhook_id)))
    answer = shown(found)
    if not_modified(found.version):
        return Response(status=304, headers=answer.headers)
    return call.answer(answer.document, answer.headers)


@routes.add(
    "PATCH",
    WEBHOOK,
    permissions=("webhook:manage",),
    body=revision_input,
    consumes=(MERGE_PATCH, JSON),
    query=write_query,
    answers={200: WebhookSchema},
    problems=(*WITH_BODY, *REPEATABLE, *WRITE),
)
def patch_webhook(call: Call, webhook_id: str) -> Response:
    """Change some fields of an endpoint (RFC 7396); `enabled` again, it gets what is pending at once."""
    asked, body = call.asked(write_query()), call.body(MERGE_PATCH, JSON)
    values = load_revision(call.mount, body)
    work = partial(actions.revise, actor=call.actor(), target=target(call, webhook_id), values=values)
    return write(call, work, shown, body=body, validate_only=asked["validate_only"])


@routes.add(
    "DELETE",
    WEBHOOK,
    permissions=("webhook:manage",),
    query=write_query,
    answers={204: None},
    problems=WRITE,
)
def delete_webhook(call: Call, webhook_id: str) -> Response:
    """Delete an endpoint with everything that was delivered to it or waits to be."""
    asked = call.asked(write_query())
    work = partial(actions.delete, actor=call.actor(), target=target(call, webhook_id))
    return write(call, work, lambda _none: Answer(204, None, {}), validate_only=asked["validate_only"])


@routes.add(
    "POST",
    f"{WEBHOOK}/rotate-secret",
    permissions=("webhook:manage",),
    body=rotation_input,
    body_required=False,
    query=write_query,
    answers={200: WebhookSecretSchema},
    problems=(*WITH_BODY, *REPEATABLE, *WRITE, SecretUnavailable),
)
def rotate_webhook_secret(call: Call, webhook_id: str) -> Response:
    """Give an endpoint a new secret, shown this once; the one before signs too for `overlap_hours`."""
    asked, body = call.asked(write_query()), call.optional_body(JSON)
    hours = load(rotation_input(), body)["overlap_hours"]
    meant, keyring = target(call, webhook_id), call.mount.keyring
    work = partial(actions.rotate, actor=call.actor(), target=meant, keyring=keyring, overlap_hours=hours)
    return write(call, work, keyed, body=body, validate_only=asked["validate_only"])
