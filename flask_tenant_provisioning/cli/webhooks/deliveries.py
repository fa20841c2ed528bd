"""``webhooks test | deliveries | redeliver | recover``."""

from __future__ import annotations

from functools import partial

import click

from ...database import Session, shown
from ...problems import DeliveryNotFound
from ...web.requests import identified
from ...web.validation import load, load_parameters
from ...webhooks import actions, documents, resending
from ...webhooks.actions import Target
from ...webhooks.models import Delivery
from ...webhooks.queries import delivery_list_query
from ...webhooks.requests import named
from ...webhooks.schemas import recovery_input
from ..mounts import chosen_mount
from ..operator import operator
from ..output import say_one
from ..paging import pages, say_pages
from ..problems import told
from ..tenants.options import TEXT, on_one

COLUMNS = ("delivery", "state", "attempts", "event", "created_at", "next_attempt_at")


@click.command("test", help="Send the webhook with the id WEBHOOK an event of type webhook.test.")
@on_one("webhook")
def test(webhook: str, partner: str | None, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        wanted = named(webhook)

        def unit(session: Session) -> Delivery:
            owner = actions.read(session, partner, wanted).partner_id
            return resending.test(session, operator(owner), Target(owner, wanted))

        say_one(documents.delivery(chosen.storage.transaction(unit)), as_json=as_json)


@click.command("deliveries", help="List what was sent to the webhook with the id WEBHOOK, the newest first.")
@click.option("--state", type=TEXT, help="Only those that are pending, succeeded or failed.")
@click.option("--limit", type=click.IntRange(0), default=50, show_default=True, help="How many at most; 0: all.")
@on_one("webhook")
def deliveries(
    webhook: str, partner: str | None, state: str | None, limit: int, as_json: bool, mount: str | None
) -> None:
    chosen = chosen_mount(mount)
    with told():
        asked = load_parameters(delivery_list_query(), {} if state is None else {"state": [state]})
        work = partial(resending.page, partner=partner, webhook_id=named(webhook), state=asked.get("state"))
        found = pages(chosen.storage, work, documents.delivery, limit)
        say_pages(found, COLUMNS, "deliveries", as_json=as_json)


@click.command("redeliver", help="Attempt the delivery with the id DELIVERY once more.")
@on_one("delivery")
def redeliver(delivery: str, partner: str | None, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        wanted = identified(delivery, DeliveryNotFound)
        again = chosen.storage.transaction(partial(resending.redeliver, partner=partner, delivery_id=wanted))
        say_one(documents.delivery(again), as_json=as_json)


@click.command("recover", help="Send the webhook with the id WEBHOOK what happened since --since and did not arrive.")
@click.option("--since", type=TEXT, required=True, help="A time such as 2025-02-10T16:30:00Z, 14 days ago at most.")
@on_one("webhook")
def recover(webhook: str, partner: str | None, since: str, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        moment: str = load(recovery_input(), {"since": since})["since"]
        work = partial(resending.recover, target=Target(partner, named(webhook)), since=moment)
        endpoint, count = chosen.storage.transaction(work)
        say_one({"webhook": endpoint.id, "since": shown(moment), "deliveries": count}, as_json=as_json)
