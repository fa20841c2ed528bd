"""The HTTP of deliveries."""

from __future__ import annotations

from functools import partial

from flask import Response

from ..database import shown as shown_instant
from ..problems import DeliveryNotFound, InvalidCursor, InvalidParameter, WebhookDisabled, WebhookNotFound
from ..web.paging import paged, place
from ..web.parameters import NO_QUERY, write_query
from ..web.requests import REPEATABLE, WITH_BODY, fence, identified
from ..web.routing import JSON, Call, Routes
from ..web.validation import load
from ..web.writing import Answer, write
from . import documents, resending
from .actions import Target
from .models import Endpoint
from .queries import delivery_list_query
from .requests import DELIVERY, WEBHOOK, WEBHOOKS, begun, named
from .schemas import DeliveryHistorySchema, DeliveryPageSchema, DeliverySchema, RecoveredSchema, recovery_input

routes = Routes()


@routes.add(
    "POST",
    f"{WEBHOOK}/test",
    permissions=("webhook:manage",),
    query=write_query,
    answers={202: DeliverySchema},
    problems=(*REPEATABLE, InvalidParameter, WebhookNotFound, WebhookDisabled),
)
def test_webhook(call: Call, webhook_id: str) -> Response:
    """Send an endpoint an event of type `webhook.test`, once."""
    asked = call.asked(write_query())
    work = partial(resending.test, actor=call.actor(), target=Target(fence(call), named(webhook_id)))
    return write(call, work, partial(begun, call), validate_only=asked["validate_only"])


@routes.add(
    "POST",
    f"{WEBHOOK}/recover",
    permissions=("webhook:manage",),
    body=recovery_input,
    query=write_query,
    answers={202: RecoveredSchema},
    problems=(*WITH_BODY, *REPEATABLE, InvalidParameter, WebhookNotFound, WebhookDisabled),
)
def recover_webhook(call: Call, webhook_id: str) -> Response:
    """Send an endpoint whatever happened since some moment and did not reach it."""
    asked, body = call.asked(write_query()), call.body(JSON)
    since: str = load(recovery_input(), body)["since"]
    work = partial(resending.recover, target=Target(fence(call), named(webhook_id)), since=since)

    def answer(found: tuple[Endpoint, int]) -> Answer:
        endpoint, count = found
        where = f"{call.mount.base()}{WEBHOOKS}/{endpoint.id}/deliveries"
        document = {"webhook": endpoint.id, "since": shown_instant(since), "deliveries": count}
        return Answer(202, document, {"Location": where, "Retry-After": "1"})

    return write(call, work, answer, body=body, validate_only=asked["validate_only"])


@routes.add(
    "GET",
    f"{WEBHOOK}/deliveries",
    permissions=("webhook:read",),
    query=delivery_list_query,
    answers={200: DeliveryPageSchema},
    problems=(InvalidParameter, InvalidCursor, WebhookNotFound),
)
def list_deliveries(call: Call, webhook_id: str) -> Response:
    """List an endpoint's deliveries, the newest first, a page at a time."""
    asked, id = call.asked(delivery_list_query()), named(webhook_id)
    question = repr(("deliveries", fence(call), id, asked.get("state")))
    after = place(call, asked, question)
    work = partial(
        resending.page,
        partner=fence(call),
        webhook_id=id,
        state=asked.get("state"),
        limit=asked["limit"],
        after=after,
    )
    found, end = call.mount.storage.read(work)
    return paged(call, [documents.delivery(one) for one in found], end, question)


@routes.add(
    "GET",
    DELIVERY,
    permissions=("webhook:read",),
    answers={200: DeliveryHistorySchema},
    problems=(InvalidParameter, DeliveryNotFound),
)
def read_delivery(call: Call, delivery_id: str) -> Response:
    """Read a delivery with each attempt at it."""
    call.asked(NO_QUERY)
    wanted = identified(delivery_id, DeliveryNotFound)
    found, history = call.mount.storage.read(partial(resending.history, partner=fence(call), delivery_id=wanted))
    show = partial(documents.attempt, shows_internal=call.principal.sees_every_partner)
    return call.answer({**documents.delivery(found), "history": [show(one) for one in history]})


@routes.add(
    "POST",
    f"{DELIVERY}/redeliver",
    permissions=("webhook:manage",),
    query=write_query,
    answers={202: DeliverySchema},
    problems=(*REPEATABLE, InvalidParameter, DeliveryNotFound, WebhookDisabled),
)
def redeliver_delivery(call: Call, delivery_id: str) -> Response:
    """Attempt a delivery once more, and only once; one that is pending keeps its further attempts."""
    asked = call.asked(write_query())
    wanted = identified(delivery_id, DeliveryNotFound)
    work = partial(resending.redeliver, partner=fence(call), delivery_id=wanted)
    return write(call, work, partial(begun, call), validate_only=asked["validate_only"])
