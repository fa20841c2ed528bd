"""`flask provisioning partners`: the API's operations on partners, for operators."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

import click
from flask.cli import with_appcontext

from .. import usage
from ..partners import actions
from ..partners.actions import Values
from ..partners.models import STATUSES, Partner
from ..partners.schemas import PartnerSchema, validate_partner_id
from ..usage import CSV_COLUMNS as REPORT, flatten_row, render_csv
from ..validation import load
from .options import TEXT, build_body, find_mount, json_option, make_operator, mount_option
from .output import iter_pages, print_document, print_pages

F = TypeVar("F", bound=Callable[..., Any])

COLUMNS = ("partner", "status", "name", "contact", "parent", "max_tenants", "suspended_reason", "created_at")

USAGE_COLUMNS = tuple(name for name in REPORT if name != "name")


def _partner_options(command: F) -> F:
    """Add the argument and the options of the commands that write one partner."""
    for option in (
        with_appcontext,
        mount_option,
        json_option,
        click.option("--allow-no-plan", is_flag=True, help="Do not allow its tenants any plan."),
        click.option(
            "--allowed-plan",
            "allowed_plans",
            type=TEXT,
            multiple=True,
            metavar="PLAN",
            help="Allow its tenants only this plan; can be repeated.",
        ),
        click.option("--parent", type=TEXT, help="Its parent partner."),
        click.option("--max-tenants", type=int, help="Maximum number of tenants."),
        click.option("--contact", type=TEXT, help="Contact person or address."),
        click.option("--name", type=TEXT, help="Display name."),
        click.argument("partner", type=TEXT),
    ):
        command = option(command)
    return command


@click.group("partners", help="List, register, change and suspend partners.")
def partner_commands() -> None:
    """Group of the commands."""


@partner_commands.command("list", help="List partners. They are sorted by id.")
@click.option("--status", type=click.Choice(STATUSES), help="Only partners with this status.")
@click.option("--parent", type=TEXT, help="Only direct children of this partner.")
@click.option(
    "--limit", type=click.IntRange(0), default=50, show_default=True, help="Maximum number to list; 0 for all."
)
@json_option
@mount_option
@with_appcontext
def list_partners(status: str | None, parent: str | None, limit: int, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    pages = iter_pages(mount.storage, partial(actions.load_page, status=status, parent=parent), Partner.document, limit)
    print_pages(pages, COLUMNS, "partners", as_json=as_json)


@partner_commands.command("show", help="Show the partner PARTNER.")
@click.argument("partner", type=TEXT)
@json_option
@mount_option
@with_appcontext
def show(partner: str, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    loaded = mount.storage.read(partial(actions.load_partner, partner_id=partner))
    print_document(loaded.document(), as_json=as_json)


@partner_commands.command(
    "usage",
    help="Report tenants and quotas of partners. Shows how many tenants each has, and how many more it may have.",
)
@click.option("--partner", type=TEXT, help="Only this partner.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for spreadsheets.")
@json_option
@mount_option
@with_appcontext
def report(partner: str | None, as_csv: bool, as_json: bool, mount_name: str | None) -> None:
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other.")
    storage = find_mount(mount_name).storage
    rows: Iterable[dict[str, Any]] = usage.iter_usage(storage.read)
    if partner is not None:
        rows = storage.read(partial(usage.read_partner_usage, partner_id=partner))
    if as_csv:
        for line in render_csv(rows):
            click.echo(line, nl=False)
        return
    render: Callable[[dict[str, Any]], dict[str, Any]] = dict if as_json else flatten_row
    pages: Iterable[tuple[list[dict[str, Any]], bool]] = iter_pages(storage, usage.list_usage, render, 0)
    if partner is not None:
        pages = [(list(map(render, rows)), False)]
    print_pages(pages, USAGE_COLUMNS, "partners", as_json=as_json)


@partner_commands.command("register", help="Register the partner PARTNER. The id is the one that its tokens claim.")
@_partner_options
def register(partner: str, as_json: bool, mount_name: str | None, **fields: Any) -> None:
    mount = find_mount(mount_name)
    values = load(mount.schema(PartnerSchema), _build_partner_body(fields))
    partner_id = validate_partner_id(partner)

    def register_and_update(session: Any) -> Partner:
        actions.register_partner(session, partner_id)
        return actions.update_partner(session, make_operator(partner_id), partner_id, values)

    print_document(mount.storage.transaction(register_and_update).document(), as_json=as_json)


@partner_commands.command("update", help="Change fields of the partner PARTNER.")
@_partner_options
@click.option(
    "--unset",
    type=click.Choice(["name", "contact", "parent", "max-tenants", "allowed-plans"]),
    multiple=True,
    help="Clear this field, so that there is no limit, or any plan is allowed; can be repeated.",
)
def update(partner: str, unset: tuple[str, ...], as_json: bool, mount_name: str | None, **fields: Any) -> None:
    changes, cleared = _build_partner_body(fields), {name.replace("-", "_"): None for name in unset}
    repeated = sorted(changes.keys() & cleared.keys())
    if repeated:
        raise click.BadParameter(f"{repeated[0].replace('_', '-')} is named twice.", param_hint="--unset")
    _update_partner(partner, mount_name, {**changes, **cleared}, as_json=as_json)


@partner_commands.command("suspend", help="Refuse all requests of the partner PARTNER.")
@click.argument("partner", type=TEXT)
@click.option("--reason", type=TEXT, help="Reason for the suspension.")
@json_option
@mount_option
@with_appcontext
def suspend(partner: str, reason: str | None, as_json: bool, mount_name: str | None) -> None:
    fields = {"status": "suspended", **build_body({"suspended_reason": reason})}
    _update_partner(partner, mount_name, fields, as_json=as_json)


@partner_commands.command("reactivate", help="Reactivate the suspended partner PARTNER.")
@click.argument("partner", type=TEXT)
@json_option
@mount_option
@with_appcontext
def reactivate(partner: str, as_json: bool, mount_name: str | None) -> None:
    _update_partner(partner, mount_name, {"status": "active"}, as_json=as_json)


def _build_partner_body(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the body that an administrator would send for these options."""
    allows_no_plan, plans = fields.pop("allow_no_plan"), list(fields.pop("allowed_plans"))
    if allows_no_plan and plans:
        raise click.BadParameter("cannot be combined with --allowed-plan.", param_hint="--allow-no-plan")
    body = build_body(fields)
    if allows_no_plan or plans:
        body["allowed_plans"] = plans
    return body


def _update_partner(partner: str, mount_name: str | None, fields: Values, *, as_json: bool) -> None:
    mount = find_mount(mount_name)
    values = load(mount.schema(PartnerSchema), fields, partial=True)
    action = partial(actions.update_partner, actor=make_operator(partner), partner_id=partner, values=values)
    print_document(mount.storage.transaction(action).document(), as_json=as_json)
