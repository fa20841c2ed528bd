"""`flask provisioning events`: the event feed, printed as events happen."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import click
from flask.cli import with_appcontext

from ..events.feed import FeedReader
from ..events.models import render_audited_event
from ..events.schemas import EventQuery
from ..validation import load_parameters
from .options import TEXT, find_mount, json_option, mount_option
from .output import Table, make_table, print_json, print_text

COLUMNS = ("timestamp", "type", "tenant", "partner", "by")
#: Seconds between two reads of the feed.
POLL_SECONDS = 1.0


@click.group("events", help="Read the event feed.")
def event_commands() -> None:
    """Group of the commands."""


@event_commands.command(
    "tail", help="Print events as they happen. Events of every partner, unless --partner names one."
)
@click.option("--partner", type=TEXT, help="Only events of this partner.")
@click.option("--type", "types", type=TEXT, help="Only events of these types, separated by commas.")
@click.option("--tenant", type=TEXT, help="Only events of the tenant with this id.")
@click.option("--all", "everything", is_flag=True, help="Begin with the oldest event kept, not with the next one.")
@click.option("--no-follow", is_flag=True, help="Exit after the newest event, for use with --all.")
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
    """Print events until Ctrl-C."""
    filters = {"type": types, "tenant": tenant}
    mount = find_mount(mount_name)
    query = load_parameters(EventQuery(), {name: [text] for name, text in filters.items() if text is not None})
    reader = FeedReader(mount.storage, query, partner)
    if not everything:
        reader.skip_existing()
    try:
        _follow(reader, as_json=as_json, once=no_follow)
    except KeyboardInterrupt:
        return


def _follow(reader: FeedReader, *, as_json: bool, once: bool) -> None:
    table = make_table(COLUMNS)
    while True:
        _print((render_audited_event(event._asdict()) for event in reader.read()), None if as_json else table)
        if once:
            return
        time.sleep(POLL_SECONDS)


def _print(events: Iterable[dict[str, Any]], table: Table | None) -> None:
    for event in events:
        if table is None:
            print_json(event)
        else:
            print_text("\n".join(table.format_rows([{**event, "by": event["actor"]["sub"]}])))
