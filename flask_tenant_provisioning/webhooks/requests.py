"""What the routes of webhooks have in common: whose endpoint is meant, and how it is answered."""

from __future__ import annotations

from ..problems import WebhookNotFound
from ..web.call import Call
from ..web.preconditions import etag
from ..web.requests import CONDITIONAL, expectation, fence, identified
from ..web.writing import Answer
from . import documents
from .actions import Keyed, Target
from .models import Delivery, Endpoint

WEBHOOKS = "/webhooks"
WEBHOOK = f"{WEBHOOKS}/<webhook_id>"
DELIVERY = "/deliveries/<delivery_id>"

#: The problems that writes to an endpoint have in common.
WRITE = (*CONDITIONAL, WebhookNotFound)


def named(webhook_id: str) -> str:
    """An endpoint's id in its canonical form. Raises `WebhookNotFound` for what cannot be one."""
    return identified(webhook_id, WebhookNotFound)


def target(call: Call, webhook_id: str) -> Target:
    """The endpoint that this write means, and the version that it expects."""
    return Target(fence(call), named(webhook_id), expectation(call))


def shown(endpoint: Endpoint) -> Answer:
    """The answer that shows an endpoint."""
    return Answer(200, documents.webhook(endpoint), {"ETag": etag(endpoint.version)})


def keyed(found: Keyed, status: int = 200, **headers: str) -> Answer:
    """The answer that shows an endpoint with its new secret."""
    document = {**documents.webhook(found.endpoint), "secret": found.secret}
    return Answer(status, document, {"ETag": etag(found.endpoint.version), **headers}, secret=True)


def begun(call: Call, found: Delivery) -> Answer:
    """The answer that shows a delivery to come."""
    where = f"{call.mount.base()}/deliveries/{found.id}"
    return Answer(202, documents.delivery(found), {"Location": where, "Retry-After": "1"})
