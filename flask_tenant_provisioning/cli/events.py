"""``flask provisioning events``: what happens, as it happens."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import click
from flask.cli import with_appcontext

from ..events.feed import audited
from ..events.following import Follower
from ..events.schemas import event_query
from ..web.validation import load_parameters
from .mounts import chosen_mount, mount_option
from .output import Table, json_option, room, say, say_json
from .problems import told
from .tenants.options import TEXT

COLUMNS = ("timestamp", "type", "tenant", "partner", "by")
#: How often a follower looks, in seconds.
EVERY = 1.0


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
    mount: str | None,
) -> None:
    """Ctrl-C ends it."""
    given = {"type": types, "tenant": tenant}
    chosen = chosen_mount(mount)
    with told():
        asked = load_parameters(event_query(), {name: [text] for name, text in given.items() if text is not None})
        follower = Follower(chosen.storage, asked, partner)
        if not everything:
            follower.skip()
        try:
            _follow(follower, as_json=as_json, once=no_follow)
        except KeyboardInterrupt:
            return


def _follow(follower: Follower, *, as_json: bool, once: bool) -> None:
    table = Table(COLUMNS, room())
    while True:
        _print((audited(event._asdict()) for event in follower.read()), None if as_json else table)
        if once:
            return
        time.sleep(EVERY)


def _print(events: Iterable[dict[str, Any]], table: Table | None) -> None:
    for event in events:
        if table is None:
            say_json(event)
        else:
            say("\n".join(table.lines([{**event, "by": event["actor"]["sub"]}])))
