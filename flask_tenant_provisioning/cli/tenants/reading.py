"""``tenants list`` and ``tenants show``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import click
from flask.cli import with_appcontext

from ...tenants import listing
from ...tenants.queries import list_query
from ...web.mount import Mount
from ...web.parameters import LARGEST_PAGE
from ...web.validation import load_parameters
from ..mounts import chosen_mount, mount_option
from ..output import Table, json_option, room, say, say_json
from ..problems import told
from .options import TEXT, on_one_tenant, only_own, pairs
from .working import found, say_tenant

COLUMNS = ("tenant", "client_name", "partner", "status", "email")


@click.command("list", help="List tenants, of every partner unless --partner names one.")
@click.option("--partner", type=TEXT, help="Only this partner's.")
@click.option("--status", type=TEXT, help="Only those with this status.")
@click.option("--email", type=TEXT, help="Only those with this address.")
@click.option("--external-id", type=TEXT, help="Only those with this external id.")
@click.option("--q", type=TEXT, help="Only those whose name begins so.")
@click.option(
    "--where",
    type=TEXT,
    multiple=True,
    callback=pairs,
    metavar="FIELD=VALUE",
    help="Only those with this value of one of the app's own fields; several times for several.",
)
@click.option("--include-deleted", is_flag=True, help="Deleted ones too.")
@click.option("--sort", type=TEXT, help="created_at (default) or client_name; with a minus before it, backwards.")
@click.option("--limit", type=click.IntRange(0), default=50, show_default=True, help="How many at most; 0: all.")
@json_option
@mount_option
@with_appcontext
def list_tenants(
    limit: int,
    include_deleted: bool,
    where: dict[str, str],
    as_json: bool,
    mount: str | None,
    **asked: str | None,
) -> None:
    if include_deleted:
        asked["include_deleted"] = "true"
    chosen = chosen_mount(mount)
    given = {**asked, **only_own(chosen, where, "--where")}
    with told():
        wanted = load_parameters(list_query(chosen), {name: [text] for name, text in given.items() if text is not None})
        pages = _pages(chosen, wanted, limit)
        (_print_json if as_json else _print_table)(pages)


@click.command("show", help="Show the tenant with the id TENANT.")
@on_one_tenant
def show(tenant: str, partner: str | None, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        say_tenant(chosen, found(chosen, tenant, partner), as_json=as_json)


Page = tuple[list[dict[str, Any]], bool]


def _pages(mount: Mount, asked: dict[str, Any], limit: int) -> Iterator[Page]:
    """Page after page up to `limit` (0: all), each with whether more tenants follow."""
    place, left = None, limit
    while True:
        size = min(left, LARGEST_PAGE) if limit else LARGEST_PAGE
        one = partial(listing.page, partner=asked.get("partner"), asked={**asked, "limit": size}, place=place)
        items, place = mount.storage.read(one)
        left -= size
        yield items, place is not None
        if place is None or (limit and left <= 0):
            return


def _print_json(pages: Iterator[Page]) -> None:
    for items, _ in pages:
        if items:
            say_json(*items)


def _print_table(pages: Iterator[Page]) -> None:
    table, shown, unfinished = Table(COLUMNS, room()), 0, False
    for items, more in pages:
        if items:
            say("\n".join(table.lines(items)))
        shown, unfinished = shown + len(items), more
    if not shown:
        say("There are no such tenants.", err=True)
    elif unfinished:
        say("There are more: --limit 0 lists them all.", err=True)
