"""``tenants list`` and ``tenants show``."""

from __future__ import annotations

from typing import Any

import click
from flask.cli import with_appcontext

from ...database import Session
from ...tenants import listing
from ...tenants.queries import list_query
from ...web.validation import load_parameters
from ..mounts import chosen_mount, mount_option
from ..output import json_option, say
from ..paging import pages, say_pages
from ..problems import told
from ..text import printable
from .options import TEXT, on_one_tenant, only_own, pairs
from .provisioning import explained, why
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

        def work(session: Session, limit: int, after: str | None) -> tuple[list[dict[str, Any]], str | None]:
            return listing.page(session, wanted.get("partner"), {**wanted, "limit": limit}, after)

        say_pages(pages(chosen.storage, work, dict, limit), COLUMNS, "tenants", as_json=as_json)


@click.command("show", help="Show the tenant with the id TENANT.")
@on_one_tenant
def show(tenant: str, partner: str | None, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        shown = found(chosen, tenant, partner)
        say_tenant(chosen, shown, as_json=as_json)
        if shown.status == "failed" and not as_json:
            steps = explained(chosen, shown.partner_id, shown.id)["steps"]
            for line in [why(step) for step in steps if step["error"]]:
                say(f"failed: {printable(line)}", err=True)
