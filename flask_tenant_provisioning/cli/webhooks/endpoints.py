"""``webhooks list | show | create | enable | disable | delete | rotate-secret``."""

from __future__ import annotations

from functools import partial
from typing import Any

import click
from flask.cli import with_appcontext

from ...tenants.queries import create_query
from ...web.mount import Mount
from ...web.validation import load, load_parameters
from ...webhooks import actions, documents
from ...webhooks.actions import Keyed, Target
from ...webhooks.inputs import load_webhook
from ...webhooks.requests import named
from ...webhooks.schemas import OVERLAP, rotation_input
from ..mounts import chosen_mount, mount_option
from ..operator import operator
from ..output import cell, json_option, say, say_one
from ..paging import pages, say_pages
from ..problems import told
from ..tenants.options import TEXT, on_one, sent

COLUMNS = ("webhook", "partner", "url", "enabled", "disabled_reason", "failing_since")


@click.command("list", help="List webhooks, of every partner unless --partner names one.")
@click.option("--partner", type=TEXT, help="Only this partner's.")
@click.option("--limit", type=click.IntRange(0), default=50, show_default=True, help="How many at most; 0: all.")
@json_option
@mount_option
@with_appcontext
def list_webhooks(partner: str | None, limit: int, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        found = pages(chosen.storage, partial(actions.page, partner=partner), documents.webhook, limit)
        say_pages(found, COLUMNS, "webhooks", as_json=as_json)


@click.command("show", help="Show the webhook with the id WEBHOOK.")
@on_one("webhook")
def show(webhook: str, partner: str | None, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        found = chosen.storage.read(partial(actions.read, partner=partner, webhook_id=named(webhook)))
        say_one(documents.webhook(found), as_json=as_json)


@click.command("create", help="Create a webhook, and show its secret this once.")
@click.option("--partner", type=TEXT, required=True, help="Whose it is to be.")
@click.option("--url", type=TEXT, required=True, help="Where events are sent.")
@click.option("--event", "events", type=TEXT, multiple=True, metavar="GLOB", help="Which events; all by default.")
@click.option("--description", type=TEXT, help="What it is for.")
@click.option("--signing", type=TEXT, help="v1 (HMAC, default) or v1a (Ed25519).")
@json_option
@mount_option
@with_appcontext
def create(partner: str, events: tuple[str, ...], as_json: bool, mount: str | None, **fields: Any) -> None:
    chosen = chosen_mount(mount)
    with told():
        owner = load_parameters(create_query(), {"partner": [partner]})["partner"]
        values = load_webhook(chosen, sent({**fields, "events": list(events) or None}))
        most = chosen.settings.webhook_limit
        actor = operator(owner)
        work = partial(actions.create, actor=actor, keyring=chosen.keyring, partner=owner, values=values, most=most)
        _say_keyed(chosen.storage.transaction(work), as_json=as_json)


@click.command("enable", help="Enable the webhook with the id WEBHOOK; what is pending is sent at once.")
@on_one("webhook")
def enable(webhook: str, partner: str | None, as_json: bool, mount: str | None) -> None:
    _switch(webhook, partner, mount, enabled=True, as_json=as_json)


@click.command("disable", help="Disable the webhook with the id WEBHOOK; nothing is sent to it.")
@on_one("webhook")
def disable(webhook: str, partner: str | None, as_json: bool, mount: str | None) -> None:
    _switch(webhook, partner, mount, enabled=False, as_json=as_json)


@click.command("delete", help="Delete the webhook with the id WEBHOOK, with its deliveries.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
@on_one("webhook")
def delete(webhook: str, partner: str | None, yes: bool, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        found = chosen.storage.read(partial(actions.read, partner=partner, webhook_id=named(webhook)))
        if not yes:
            shown = documents.webhook(found)
            question = f"Delete the webhook of {cell(shown['partner'])} to {cell(shown['url'])}, with its deliveries?"
            click.confirm(question, abort=True, err=True)
        wanted = Target(found.partner_id, found.id)
        chosen.storage.transaction(partial(actions.delete, actor=operator(found.partner_id), target=wanted))
        if not as_json:
            say(f"{named(webhook)} is deleted.")


@click.command("rotate-secret", help="Give the webhook with the id WEBHOOK a new secret, and show it this once.")
@click.option(
    "--overlap-hours", type=int, default=OVERLAP, show_default=True, help="How long the old one signs too; 168 at most."
)
@on_one("webhook")
def rotate_secret(webhook: str, partner: str | None, overlap_hours: int, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        hours = load(rotation_input(), {"overlap_hours": overlap_hours})["overlap_hours"]
        wanted = _meant(chosen, webhook, partner)
        actor, keyring = operator(wanted.partner or ""), chosen.keyring
        work = partial(actions.rotate, actor=actor, target=wanted, keyring=keyring, overlap_hours=hours)
        _say_keyed(chosen.storage.transaction(work), as_json=as_json)


def _switch(webhook: str, partner: str | None, mount: str | None, *, enabled: bool, as_json: bool) -> None:
    chosen = chosen_mount(mount)
    with told():
        wanted = _meant(chosen, webhook, partner)
        values = {"enabled": enabled}
        work = partial(actions.revise, actor=operator(wanted.partner or ""), target=wanted, values=values)
        say_one(documents.webhook(chosen.storage.transaction(work)), as_json=as_json)


def _meant(mount: Mount, webhook: str, partner: str | None) -> Target:
    """The endpoint with this id of `partner`, or of whichever has it. Raises `WebhookNotFound`."""
    found = mount.storage.read(partial(actions.read, partner=partner, webhook_id=named(webhook)))
    return Target(found.partner_id, found.id)


def _say_keyed(found: Keyed, *, as_json: bool) -> None:
    say_one({**documents.webhook(found.endpoint), "secret": found.secret}, as_json=as_json)
