"""`flask provisioning webhooks`: endpoints, deliveries, and the encryption of endpoint secrets."""

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
from ..tenants.schemas import CreateQuery
from ..validation import load, load_parameters
from ..web.request import parse_id
from ..webhooks import actions, delivery_actions, models
from ..webhooks.actions import EndpointWithSecret, Target
from ..webhooks.models import Delivery, Endpoint
from ..webhooks.routes import parse_webhook_id
from ..webhooks.schemas import (
    DEFAULT_OVERLAP_HOURS,
    DeliveryListQuery,
    RecoverySchema,
    RotationSchema,
    validate_new_endpoint,
)
from .options import TEXT, build_body, find_mount, json_option, make_operator, mount_option, resource_options
from .output import format_cell, iter_pages, print_document, print_pages, print_text

ENDPOINT_COLUMNS = ("webhook", "partner", "url", "enabled", "disabled_reason", "failing_since")


@click.command("list", help="List webhooks. Those of every partner, unless --partner names one.")
@click.option("--partner", type=TEXT, help="Only those of this partner.")
@click.option(
    "--limit", type=click.IntRange(0), default=50, show_default=True, help="Maximum number to list; 0 for all."
)
@json_option
@mount_option
@with_appcontext
def list_webhooks(partner: str | None, limit: int, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    pages = iter_pages(mount.storage, partial(actions.list_endpoints, partner=partner), models.render_endpoint, limit)
    print_pages(pages, ENDPOINT_COLUMNS, "webhooks", as_json=as_json)


@click.command("show", help="Show the webhook WEBHOOK.")
@resource_options("webhook")
def show(webhook: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    endpoint = mount.storage.read(partial(actions.load_endpoint, partner=partner, webhook_id=parse_webhook_id(webhook)))
    print_document(models.render_endpoint(endpoint), as_json=as_json)


@click.command("create", help="Create a webhook. Its secret is shown only once.")
@click.option("--partner", type=TEXT, required=True, help="The partner that it belongs to.")
@click.option("--url", type=TEXT, required=True, help="The URL that events are sent to.")
@click.option(
    "--event",
    "events",
    type=TEXT,
    multiple=True,
    metavar="GLOB",
    help="Types of events to send; all by default, can be repeated.",
)
@click.option("--description", type=TEXT, help="Description.")
@click.option("--signing", type=TEXT, help="v1 (HMAC, default) or v1a (Ed25519).")
@json_option
@mount_option
@with_appcontext
def create(partner: str, events: tuple[str, ...], as_json: bool, mount_name: str | None, **fields: Any) -> None:
    mount = find_mount(mount_name)
    owner = load_parameters(CreateQuery(), {"partner": [partner]})["partner"]
    values = validate_new_endpoint(mount.url_refusal, build_body({**fields, "events": list(events) or None}))
    limit = mount.config.webhook_limit
    actor = make_operator(owner)
    action = partial(
        actions.create_endpoint, actor=actor, keyring=mount.keyring, partner=owner, values=values, quota=limit
    )
    _print_with_secret(mount.storage.transaction(action), as_json=as_json)


@click.command("enable", help="Enable the webhook WEBHOOK. Pending deliveries are sent at once.")
@resource_options("webhook")
def enable(webhook: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    _set_enabled(webhook, partner, mount_name, enabled=True, as_json=as_json)


@click.command("disable", help="Disable the webhook WEBHOOK. Nothing is sent to it until it is enabled.")
@resource_options("webhook")
def disable(webhook: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    _set_enabled(webhook, partner, mount_name, enabled=False, as_json=as_json)


@click.command("delete", help="Delete the webhook WEBHOOK. Its deliveries are deleted too.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@resource_options("webhook")
def delete(webhook: str, partner: str | None, yes: bool, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    endpoint = mount.storage.read(partial(actions.load_endpoint, partner=partner, webhook_id=parse_webhook_id(webhook)))
    if not yes:
        document = models.render_endpoint(endpoint)
        owner, url = format_cell(document["partner"]), format_cell(document["url"])
        question = f"Delete the webhook of {owner} to {url} and its deliveries?"
        click.confirm(question, abort=True, err=True)
    target = Target(endpoint.partner_id, endpoint.id)
    mount.storage.transaction(partial(actions.delete_endpoint, actor=make_operator(endpoint.partner_id), target=target))
    if not as_json:
        print_text(f"Deleted the webhook {parse_webhook_id(webhook)}.")


@click.command("rotate-secret", help="Create a new secret for the webhook WEBHOOK. The secret is shown only once.")
@click.option(
    "--overlap-hours",
    type=int,
    default=DEFAULT_OVERLAP_HOURS,
    show_default=True,
    help="Hours during which the old secret signs too; 168 at most.",
)
@resource_options("webhook")
def rotate_secret(webhook: str, partner: str | None, overlap_hours: int, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    hours = load(RotationSchema(), {"overlap_hours": overlap_hours})["overlap_hours"]
    target = _find_target(mount, webhook, partner)
    actor, keyring = make_operator(target.partner or ""), mount.keyring
    action = partial(actions.rotate_secret, actor=actor, target=target, keyring=keyring, overlap_hours=hours)
    _print_with_secret(mount.storage.transaction(action), as_json=as_json)


def _set_enabled(webhook: str, partner: str | None, mount_name: str | None, *, enabled: bool, as_json: bool) -> None:
    mount = find_mount(mount_name)
    target = _find_target(mount, webhook, partner)
    values = {"enabled": enabled}
    action = partial(actions.update_endpoint, actor=make_operator(target.partner or ""), target=target, values=values)
    print_document(models.render_endpoint(mount.storage.transaction(action)), as_json=as_json)


def _find_target(mount: Mount, webhook: str, partner: str | None) -> Target:
    """Return the endpoint's id and partner; `partner` limits the search. Raises `WebhookNotFound`."""
    endpoint = mount.storage.read(partial(actions.load_endpoint, partner=partner, webhook_id=parse_webhook_id(webhook)))
    return Target(endpoint.partner_id, endpoint.id)


def _print_with_secret(result: EndpointWithSecret, *, as_json: bool) -> None:
    print_document({**models.render_endpoint(result.endpoint), "secret": result.secret}, as_json=as_json)


DELIVERY_COLUMNS = ("delivery", "state", "attempts", "event", "created_at", "next_attempt_at")


@click.command("test", help="Send a test event to the webhook WEBHOOK. Its type is webhook.test.")
@resource_options("webhook")
def test(webhook: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    webhook_id = parse_webhook_id(webhook)

    def send(session: Session) -> Delivery:
        owner = actions.load_endpoint(session, partner, webhook_id).partner_id
        return delivery_actions.send_test_event(session, make_operator(owner), Target(owner, webhook_id))

    print_document(models.render_delivery(mount.storage.transaction(send)), as_json=as_json)


@click.command("deliveries", help="List deliveries to the webhook WEBHOOK. The newest comes first.")
@click.option("--state", type=TEXT, help="Only deliveries in this state: pending, succeeded or failed.")
@click.option(
    "--limit", type=click.IntRange(0), default=50, show_default=True, help="Maximum number to list; 0 for all."
)
@resource_options("webhook")
def deliveries(
    webhook: str, partner: str | None, state: str | None, limit: int, as_json: bool, mount_name: str | None
) -> None:
    mount = find_mount(mount_name)
    query = load_parameters(DeliveryListQuery(), {} if state is None else {"state": [state]})
    read_page = partial(
        delivery_actions.list_deliveries,
        partner=partner,
        webhook_id=parse_webhook_id(webhook),
        state=query.get("state"),
    )
    pages = iter_pages(mount.storage, read_page, models.render_delivery, limit)
    print_pages(pages, DELIVERY_COLUMNS, "deliveries", as_json=as_json)


@click.command("redeliver", help="Repeat the delivery DELIVERY.")
@resource_options("delivery")
def redeliver(delivery: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    delivery_id = parse_id(delivery, DeliveryNotFound)
    repeated = mount.storage.transaction(partial(delivery_actions.redeliver, partner=partner, delivery_id=delivery_id))
    print_document(models.render_delivery(repeated), as_json=as_json)


@click.command(
    "recover",
    help="Send missed events to the webhook WEBHOOK. Those since --since that were not delivered are sent again.",
)
@click.option("--since", type=TEXT, required=True, help="A time such as 2025-02-10T16:30:00Z, 14 days ago at most.")
@resource_options("webhook")
def recover(webhook: str, partner: str | None, since: str, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    since_instant: str = load(RecoverySchema(), {"since": since})["since"]
    action = partial(delivery_actions.recover, target=Target(partner, parse_webhook_id(webhook)), since=since_instant)
    endpoint, count = mount.storage.transaction(action)
    print_document(
        {"webhook": endpoint.id, "since": shorten_instant(since_instant), "deliveries": count}, as_json=as_json
    )


@click.command(
    "reseal", help="Re-encrypt webhook secrets. Uses the newest key, the first of PROVISIONING_ENCRYPTION_KEYS."
)
@mount_option
@with_appcontext
def reseal(mount_name: str | None) -> None:
    done, failed = reseal_endpoints(find_mount(mount_name))
    print_text(f"Webhooks with re-encrypted secrets: {done}." if done else "All secrets use the newest key already.")
    if failed:
        raise click.ClickException(f"The secrets of {failed} webhooks cannot be decrypted.")


def reseal_endpoints(mount: Mount) -> tuple[int, int]:
    """Encrypt the secrets of every endpoint with the newest key, each in its own transaction.

    Returns the number of changed endpoints, and of those whose secrets cannot be decrypted, which are printed.
    """
    done, failed = 0, 0
    for endpoint in _iter_endpoints(mount):
        try:
            done += _reseal_endpoint(mount, endpoint)
        except UnsealError as error:
            failed += 1
            print_text(f"{endpoint.id}: {error}", err=True)
    return done, failed


def _iter_endpoints(mount: Mount) -> Iterator[Endpoint]:
    list_endpoints = partial(actions.list_endpoints, partner=None)
    for endpoints, _has_more in iter_pages(mount.storage, list_endpoints, lambda endpoint: endpoint, limit=0):
        yield from endpoints


def _reseal_endpoint(mount: Mount, endpoint: Endpoint) -> bool:
    """Return True if the secrets were encrypted again; False if they were current, or the endpoint was deleted."""
    with contextlib.suppress(WebhookNotFound):
        target = Target(endpoint.partner_id, endpoint.id)
        return mount.storage.transaction(partial(actions.reseal_secrets, target=target, keyring=mount.keyring))
    return False


@click.group("webhooks", help="Manage webhooks and their deliveries.")
def webhook_commands() -> None:
    """Group of the commands."""


for command in (
    list_webhooks, show, create, enable, disable, delete, rotate_secret, test, deliveries, redeliver, recover,
    reseal,
):  # fmt: skip
    webhook_commands.add_command(command)
