"""What the operations on webhooks can be asked in the query."""

from __future__ import annotations

from ..web.api import Api
from ..web.parameters import ChoiceField, LimitField, QuerySchema
from ..web.validation import PartnerIdField, TextField
from .schemas import STATES

DEFAULT_LIMIT = 50


class WebhookListQuery(QuerySchema):
    """What `GET /webhooks` can be asked; an administrator may name the partner."""

    partner = PartnerIdField()
    limit = LimitField(load_default=DEFAULT_LIMIT)
    cursor = TextField(shortest=1, longest=4096)


class DeliveryListQuery(QuerySchema):
    """What a list of deliveries can be asked."""

    state = ChoiceField(*STATES)
    limit = LimitField(load_default=DEFAULT_LIMIT)
    cursor = TextField(shortest=1, longest=4096)


_WEBHOOKS, _DELIVERIES = WebhookListQuery(), DeliveryListQuery()


def webhook_list_query(_api: Api | None = None) -> WebhookListQuery:
    """The schema of `GET /webhooks`'s parameters; made once."""
    return _WEBHOOKS


def delivery_list_query(_api: Api | None = None) -> DeliveryListQuery:
    """The schema of the parameters of a list of deliveries; made once."""
    return _DELIVERIES
