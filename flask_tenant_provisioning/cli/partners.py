"""``flask provisioning partners``: what the API does about partners, for an operator."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click
from flask.cli import with_appcontext

from .. import usage as usage
from ..partners import actions
from ..partners.actions import Values
from ..partners.models import STATUSES, Partner
from ..partners.schemas import partner_input, validate_partner_id
from ..usage import CSV_COLUMNS as REPORT, flatten_row, render_csv
from ..validation import load
from .options import TEXT, build_body, find_mount, json_option, make_operator, mount_option
from .output import iter_pages, print_document, print_pages

F = TypeVar("F", bound=Callable[..., Any])

COLUMNS = ("partner", "status", "name", "contact", "parent", "max_tenants", "suspended_reason", "created_at")

USAGE_COLUMNS = tuple(name for name in REPORT if name != "name")


def _partner_options(command: F) -> F:
    """What the commands have in common that say something of one partner."""
    for option in (
        with_appcontext,
        mount_option,
        json_option,
        click.option("--allow-no-plan", is_flag=True, help="Its tenants may be put on no plan at all."),
        click.option(
            "--allowed-plan",
            "allowed_plans",
            type=TEXT,
            multiple=True,
            metavar="PLAN",
            help="Its tenants may be put on this plan; several times for several, and on no others.",
        ),
        click.option("--parent", type=TEXT, help="The partner below which it stands."),
        click.option("--max-tenants", type=int, help="How many tenants it may have."),
        click.option("--contact", type=TEXT, help="Whom to ask there."),
        click.option("--name", type=TEXT, help="What people call it."),
        click.argument("partner", type=TEXT),
    ):
        command = option(command)
    return command


@click.group("partners", help="List, show, register, change and suspend partners as the API does.")
def partner_commands() -> None:
    """The group."""


@partner_commands.command("list", help="List partners by their ids.")
@click.option("--status", type=click.Choice(STATUSES), help="Only those with this status.")
@click.option("--parent", type=TEXT, help="Only those right below this partner.")
@click.option("--limit", type=click.IntRange(0), default=50, show_default=True, help="How many at most; 0: all.")
@json_option
@mount_option
@with_appcontext
def list_partners(status: str | None, parent: str | None, limit: int, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    found = iter_pages(mount.storage, partial(actions.load_page, status=status, parent=parent), Partner.document, limit)
    print_pages(found, COLUMNS, "partners", as_json=as_json)


@partner_commands.command("show", help="Show the partner with the id PARTNER.")
@click.argument("partner", type=TEXT)
@json_option
@mount_option
@with_appcontext
def show(partner: str, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    found = mount.storage.read(partial(actions.load_partner, partner_id=partner))
    print_document(found.document(), as_json=as_json)


@partner_commands.command("usage", help="Report how many tenants partners have, and how many more they may.")
@click.option("--partner", type=TEXT, help="Only this partner.")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV, for spreadsheets.")
@json_option
@mount_option
@with_appcontext
def report(partner: str | None, as_csv: bool, as_json: bool, mount_name: str | None) -> None:
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other.")
    storage = find_mount(mount_name).storage
    one = None if partner is None else storage.read(partial(usage.read_partner_usage, partner_id=partner))
    if as_csv:
        for line in render_csv(usage.iter_usage(storage.read) if one is None else one):
            click.echo(line, nl=False)
        return
    shown: Callable[[dict[str, Any]], dict[str, Any]] = dict if as_json else flatten_row
    found = iter_pages(storage, usage.list_usage, shown, 0) if one is None else [(list(map(shown, one)), False)]
    print_pages(found, USAGE_COLUMNS, "partners", as_json=as_json)


@partner_commands.command("register", help="Register a partner with the id PARTNER, as its tokens name it.")
@_partner_options
def register(partner: str, as_json: bool, mount_name: str | None, **fields: Any) -> None:
    mount = find_mount(mount_name)
    values, wanted = load(partner_input(mount), _build_partner_body(fields)), validate_partner_id(partner)

    def work(session: Any) -> Partner:
        actions.register_partner(session, wanted)
        return actions.update_partner(session, make_operator(wanted), wanted, values)

    print_document(mount.storage.transaction(work).document(), as_json=as_json)


@partner_commands.command("update", help="Change what is said of the partner with the id PARTNER.")
@_partner_options
@click.option(
    "--unset",
    type=click.Choice(["name", "contact", "parent", "max-tenants", "allowed-plans"]),
    multiple=True,
    help="Say nothing of this any more: no limit, any plan; several times for several.",
)
def update(partner: str, unset: tuple[str, ...], as_json: bool, mount_name: str | None, **fields: Any) -> None:
    named, empty = _build_partner_body(fields), {name.replace("-", "_"): None for name in unset}
    if twice := sorted(named.keys() & empty.keys()):
        raise click.BadParameter(f"{twice[0].replace('_', '-')} is named twice.", param_hint="--unset")
    _update_partner(partner, mount_name, {**named, **empty}, as_json=as_json)


@partner_commands.command("suspend", help="Refuse every request of the partner with the id PARTNER.")
@click.argument("partner", type=TEXT)
@click.option("--reason", type=TEXT, help="Why.")
@json_option
@mount_option
@with_appcontext
def suspend(partner: str, reason: str | None, as_json: bool, mount_name: str | None) -> None:
    _update_partner(
        partner, mount_name, {"status": "suspended", **build_body({"suspended_reason": reason})}, as_json=as_json
    )


@partner_commands.command("reactivate", help="Let the requests of the suspended partner PARTNER pass again.")
@click.argument("partner", type=TEXT)
@json_option
@mount_option
@with_appcontext
def reactivate(partner: str, as_json: bool, mount_name: str | None) -> None:
    _update_partner(partner, mount_name, {"status": "active"}, as_json=as_json)


def _build_partner_body(fields: dict[str, Any]) -> dict[str, Any]:
    """What an administrator would send for these options."""
    none, plans = fields.pop("allow_no_plan"), list(fields.pop("allowed_plans"))
    if none and plans:
        raise click.BadParameter("some are allowed.", param_hint="--allow-no-plan")
    return {**build_body(fields), **({"allowed_plans": plans} if none or plans else {})}


def _update_partner(partner: str, mount_name: str | None, fields: Values, *, as_json: bool) -> None:
    mount = find_mount(mount_name)
    values = load(partner_input(mount), fields, partial=True)
    work = partial(actions.update_partner, actor=make_operator(partner), partner_id=partner, values=values)
    print_document(mount.storage.transaction(work).document(), as_json=as_json)
