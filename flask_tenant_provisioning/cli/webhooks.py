"""`flask provisioning webhooks`: endpoints, their deliveries, and the encryption of their secrets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import click
from flask.cli import with_appcontext

from ..database.ids import shorten_instant
from ..database.session import Session
from ..errors import DeliveryNotFound, WebhookNotFound
from ..keyring import UnsealError
from ..mount import Mount
from ..tenants.schemas import create_query
from ..validation import load, load_parameters
from ..web.request import parse_id
from ..webhooks import actions, delivery_actions, models
from ..webhooks.actions import EndpointWithSecret, Target
from ..webhooks.models import Delivery, Endpoint
from ..webhooks.routes import parse_webhook_id
from ..webhooks.schemas import (
    DEFAULT_OVERLAP_HOURS,
    delivery_list_query,
    recovery_input,
    rotation_input,
    validate_new_endpoint,
)
from .options import TEXT, build_body, find_mount, json_option, make_operator, mount_option, resource_options
from .output import format_cell, iter_pages, print_document, print_pages, print_text

ENDPOINT_COLUMNS = ("webhook", "partner", "url", "enabled", "disabled_reason", "failing_since")


@click.command("list", help="List webhooks, of every partner unless --partner names one.")
@click.option("--partner", type=TEXT, help="Only this partner's.")
@click.option("--limit", type=click.IntRange(0), default=50, show_default=True, help="How many at most; 0: all.")
@json_option
@mount_option
@with_appcontext
def list_webhooks(partner: str | None, limit: int, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    found = iter_pages(mount.storage, partial(actions.list_endpoints, partner=partner), models.render_endpoint, limit)
    print_pages(found, ENDPOINT_COLUMNS, "webhooks", as_json=as_json)


@click.command("show", help="Show the webhook with the id WEBHOOK.")
@resource_options("webhook")
def show(webhook: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    found = mount.storage.read(partial(actions.load_endpoint, partner=partner, webhook_id=parse_webhook_id(webhook)))
    print_document(models.render_endpoint(found), as_json=as_json)


@click.command("create", help="Create a webhook, and show its secret this once.")
@click.option("--partner", type=TEXT, required=True, help="Whose it is to be.")
@click.option("--url", type=TEXT, required=True, help="Where events are sent.")
@click.option("--event", "events", type=TEXT, multiple=True, metavar="GLOB", help="Which events; all by default.")
@click.option("--description", type=TEXT, help="What it is for.")
@click.option("--signing", type=TEXT, help="v1 (HMAC, default) or v1a (Ed25519).")
@json_option
@mount_option
@with_appcontext
def create(partner: str, events: tuple[str, ...], as_json: bool, mount_name: str | None, **fields: Any) -> None:
    mount = find_mount(mount_name)
    owner = load_parameters(create_query(), {"partner": [partner]})["partner"]
    values = validate_new_endpoint(mount, build_body({**fields, "events": list(events) or None}))
    most = mount.settings.webhook_limit
    actor = make_operator(owner)
    work = partial(actions.create_endpoint, actor=actor, keyring=mount.keyring, partner=owner, values=values, most=most)
    _print_with_secret(mount.storage.transaction(work), as_json=as_json)


@click.command("enable", help="Enable the webhook with the id WEBHOOK; what is pending is sent at once.")
@resource_options("webhook")
def enable(webhook: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    _set_enabled(webhook, partner, mount_name, enabled=True, as_json=as_json)


@click.command("disable", help="Disable the webhook with the id WEBHOOK; nothing is sent to it.")
@resource_options("webhook")
def disable(webhook: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    _set_enabled(webhook, partner, mount_name, enabled=False, as_json=as_json)


@click.command("delete", help="Delete the webhook with the id WEBHOOK, with its deliveries.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
@resource_options("webhook")
def delete(webhook: str, partner: str | None, yes: bool, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    found = mount.storage.read(partial(actions.load_endpoint, partner=partner, webhook_id=parse_webhook_id(webhook)))
    if not yes:
        shown = models.render_endpoint(found)
        owner, url = format_cell(shown["partner"]), format_cell(shown["url"])
        question = f"Delete the webhook of {owner} to {url}, with its deliveries?"
        click.confirm(question, abort=True, err=True)
    wanted = Target(found.partner_id, found.id)
    mount.storage.transaction(partial(actions.delete_endpoint, actor=make_operator(found.partner_id), target=wanted))
    if not as_json:
        print_text(f"{parse_webhook_id(webhook)} is deleted.")


@click.command("rotate-secret", help="Give the webhook with the id WEBHOOK a new secret, and show it this once.")
@click.option(
    "--overlap-hours",
    type=int,
    default=DEFAULT_OVERLAP_HOURS,
    show_default=True,
    help="How long the old one signs too; 168 at most.",
)
@resource_options("webhook")
def rotate_secret(webhook: str, partner: str | None, overlap_hours: int, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    hours = load(rotation_input(), {"overlap_hours": overlap_hours})["overlap_hours"]
    wanted = _find_target(mount, webhook, partner)
    actor, keyring = make_operator(wanted.partner or ""), mount.keyring
    work = partial(actions.rotate_secret, actor=actor, target=wanted, keyring=keyring, overlap_hours=hours)
    _print_with_secret(mount.storage.transaction(work), as_json=as_json)


def _set_enabled(webhook: str, partner: str | None, mount_name: str | None, *, enabled: bool, as_json: bool) -> None:
    mount = find_mount(mount_name)
    wanted = _find_target(mount, webhook, partner)
    values = {"enabled": enabled}
    work = partial(actions.update_endpoint, actor=make_operator(wanted.partner or ""), target=wanted, values=values)
    print_document(models.render_endpoint(mount.storage.transaction(work)), as_json=as_json)


def _find_target(mount: Mount, webhook: str, partner: str | None) -> Target:
    """The endpoint with this id of `partner`, or of whichever has it. Raises `WebhookNotFound`."""
    found = mount.storage.read(partial(actions.load_endpoint, partner=partner, webhook_id=parse_webhook_id(webhook)))
    return Target(found.partner_id, found.id)


def _print_with_secret(found: EndpointWithSecret, *, as_json: bool) -> None:
    print_document({**models.render_endpoint(found.endpoint), "secret": found.secret}, as_json=as_json)


DELIVERY_COLUMNS = ("delivery", "state", "attempts", "event", "created_at", "next_attempt_at")


@click.command("test", help="Send the webhook with the id WEBHOOK an event of type webhook.test.")
@resource_options("webhook")
def test(webhook: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    wanted = parse_webhook_id(webhook)

    def unit(session: Session) -> Delivery:
        owner = actions.load_endpoint(session, partner, wanted).partner_id
        return delivery_actions.send_test_event(session, make_operator(owner), Target(owner, wanted))

    print_document(models.render_delivery(mount.storage.transaction(unit)), as_json=as_json)


@click.command("deliveries", help="List what was sent to the webhook with the id WEBHOOK, the newest first.")
@click.option("--state", type=TEXT, help="Only those that are pending, succeeded or failed.")
@click.option("--limit", type=click.IntRange(0), default=50, show_default=True, help="How many at most; 0: all.")
@resource_options("webhook")
def deliveries(
    webhook: str, partner: str | None, state: str | None, limit: int, as_json: bool, mount_name: str | None
) -> None:
    mount = find_mount(mount_name)
    asked = load_parameters(delivery_list_query(), {} if state is None else {"state": [state]})
    work = partial(
        delivery_actions.list_deliveries,
        partner=partner,
        webhook_id=parse_webhook_id(webhook),
        state=asked.get("state"),
    )
    found = iter_pages(mount.storage, work, models.render_delivery, limit)
    print_pages(found, DELIVERY_COLUMNS, "deliveries", as_json=as_json)


@click.command("redeliver", help="Attempt the delivery with the id DELIVERY once more.")
@resource_options("delivery")
def redeliver(delivery: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    wanted = parse_id(delivery, DeliveryNotFound)
    again = mount.storage.transaction(partial(delivery_actions.redeliver, partner=partner, delivery_id=wanted))
    print_document(models.render_delivery(again), as_json=as_json)


@click.command("recover", help="Send the webhook with the id WEBHOOK what happened since --since and did not arrive.")
@click.option("--since", type=TEXT, required=True, help="A time such as 2025-02-10T16:30:00Z, 14 days ago at most.")
@resource_options("webhook")
def recover(webhook: str, partner: str | None, since: str, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    moment: str = load(recovery_input(), {"since": since})["since"]
    work = partial(delivery_actions.recover, target=Target(partner, parse_webhook_id(webhook)), since=moment)
    endpoint, count = mount.storage.transaction(work)
    print_document({"webhook": endpoint.id, "since": shorten_instant(moment), "deliveries": count}, as_json=as_json)


@click.command("reseal", help="Encrypt every webhook's secrets with the first of PROVISIONING_ENCRYPTION_KEYS.")
@mount_option
@with_appcontext
def reseal(mount_name: str | None) -> None:
    done, failed = reseal_endpoints(find_mount(mount_name))
    print_text(f"Webhooks sealed anew: {done}." if done else "Nothing was left to be sealed anew.")
    if failed:
        raise click.ClickException(f"The secrets of {failed} webhooks cannot be opened.")


def reseal_endpoints(mount: Mount) -> tuple[int, int]:
    """Seal the secrets of every endpoint anew: how many had to be, and how many, which it says, cannot be opened."""
    done, failed = 0, 0
    for endpoint in _iter_endpoints(mount):
        try:
            done += _reseal_endpoint(mount, endpoint)
        except UnsealError as error:
            failed += 1
            print_text(f"{endpoint.id}: {error}", err=True)
    return done, failed


def _iter_endpoints(mount: Mount) -> Iterator[Endpoint]:
    for found, _ in iter_pages(
        mount.storage, partial(actions.list_endpoints, partner=None), lambda endpoint: endpoint, limit=0
    ):
        yield from found


def _reseal_endpoint(mount: Mount, endpoint: Endpoint) -> bool:
    """Whether it had to be; one that was deleted meanwhile had not."""
    with contextlib.suppress(WebhookNotFound):
        target = Target(endpoint.partner_id, endpoint.id)
        return mount.storage.transaction(partial(actions.reseal_secrets, target=target, keyring=mount.keyring))
    return False


@click.group("webhooks", help="List, show, create and change webhooks as the API does, and send once more.")
def webhook_commands() -> None:
    """The group."""


for command in (
    list_webhooks, show, create, enable, disable, delete, rotate_secret, test, deliveries, redeliver, recover,
    reseal,
):  # fmt: skip
    webhook_commands.add_command(command)
