"""``flask provisioning events``: what happens, as it happens."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import click
from flask.cli import with_appcontext

from ..events.feed import FeedFollower
from ..events.models import render_audited_event
from ..events.schemas import event_query
from ..validation import load_parameters
from .options import TEXT, find_mount, json_option, mount_option
from .output import Table, get_terminal_width, print_json, print_text

COLUMNS = ("timestamp", "type", "tenant", "partner", "by")
#: How often a follower looks, in seconds.
POLL_SECONDS = 1.0


@click.group("events", help="What has happened to tenants, and what happens.")
def event_commands() -> None:
    """The group."""


@event_commands.command("tail", help="Follow what happens, to the tenants of every partner unless --partner names one.")
@click.option("--partner", type=TEXT, help="Only this partner's.")
@click.option("--type", "types", type=TEXT, help="Only these types of events, separated by commas.")
@click.option("--tenant", type=TEXT, help="Only what happens to the tenant with this id.")
@click.option("--all", "everything", is_flag=True, help="Begin with the oldest event that is kept, not with the next.")
@click.option("--no-follow", is_flag=True, help="End with the newest event there is (with --all).")
@json_option
@mount_option
@with_appcontext
def tail(
    partner: str | None,
    types: str | None,
    tenant: str | None,
    everything: bool,
    no_follow: bool,
    as_json: bool,
    mount_name: str | None,
) -> None:
    """Ctrl-C ends it."""
    given = {"type": types, "tenant": tenant}
    mount = find_mount(mount_name)
    asked = load_parameters(event_query(), {name: [text] for name, text in given.items() if text is not None})
    follower = FeedFollower(mount.storage, asked, partner)
    if not everything:
        follower.skip()
    try:
        _follow(follower, as_json=as_json, once=no_follow)
    except KeyboardInterrupt:
        return


def _follow(follower: FeedFollower, *, as_json: bool, once: bool) -> None:
    table = Table(COLUMNS, get_terminal_width())
    while True:
        _print((render_audited_event(event._asdict()) for event in follower.read()), None if as_json else table)
        if once:
            return
        time.sleep(POLL_SECONDS)


def _print(events: Iterable[dict[str, Any]], table: Table | None) -> None:
    for event in events:
        if table is None:
            print_json(event)
        else:
            print_text("\n".join(table.lines([{**event, "by": event["actor"]["sub"]}])))
