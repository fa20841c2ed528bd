"""`flask provisioning settings`: the API's operations on settings of a tenant or a partner, for operators."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import click
from flask.cli import with_appcontext

from .. import encoding
from ..access.principal import Actor
from ..database.session import Session
from ..errors import MalformedJSON
from ..mount import Mount
from ..settings import actions, versions
from ..settings.actions import SettingsTarget
from ..settings.resolution import SettingsState
from ..settings.storage import StorageOptions
from ..tenants.mutations import load_tenant_in_any_state
from ..tenants.routes import parse_tenant_id
from .options import TEXT, find_mount, json_option, make_operator, mount_option
from .output import iter_pages, print_document, print_pages, print_text

COLUMNS = ("version", "timestamp", "actor", "changes")


@dataclasses.dataclass(frozen=True)
class SettingsOwner:
    """The tenant, or the partner, whose settings a command reads or writes."""

    mount: Mount
    tenant: str | None
    partner: str | None

    @property
    def storage_options(self) -> StorageOptions:
        """Return the key ring and the history length of the mount."""
        return StorageOptions(self.mount.keyring, self.mount.config.settings_history)

    @property
    def target(self) -> SettingsTarget:
        """Return the owner as actions address it."""
        return SettingsTarget(self.partner, None if self.tenant is None else parse_tenant_id(self.tenant))

    def make_actor(self, session: Session) -> Actor:
        """Return the operator as the actor, on behalf of the owner's partner. Raises `TenantNotFound`."""
        if self.tenant is None:
            return make_operator(str(self.partner))
        return make_operator(load_tenant_in_any_state(session, self.partner, parse_tenant_id(self.tenant)).partner_id)


def _owner_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a command on settings, which is called with a `SettingsOwner`.

    The decorated command raises `click.UsageError` without an owner, and `click.ClickException` if the app declares no
    settings.
    """

    @json_option
    @mount_option
    @click.option("--tenant", type=TEXT, help="The tenant that the settings belong to.")
    @click.option("--partner", type=TEXT, help="The partner that sets these defaults for its tenants.")
    @with_appcontext
    def run_command(tenant: str | None, partner: str | None, mount_name: str | None, **options: Any) -> None:
        if tenant is None and partner is None:
            raise click.UsageError("Name the owner of the settings: --tenant, or --partner for a partner's defaults.")
        owner = SettingsOwner(find_mount(mount_name), tenant, partner)
        if not owner.mount.registry.namespaces:
            raise click.ClickException("This app declares no settings.")
        command(owner, **options)

    run_command.__doc__ = command.__doc__
    return run_command


@click.group(
    "settings",
    help="Show, set and roll back settings. They belong to a tenant, or are a partner's defaults for its tenants.",
)
def settings_commands() -> None:
    """Group of the commands."""


@settings_commands.command("show", help="Show the effective settings. Shows the source of each; secrets are masked.")
@_owner_options
def show(owner: SettingsOwner, as_json: bool) -> None:
    state = owner.mount.storage.read(partial(actions.read, keyring=owner.mount.keyring, target=owner.target))
    _print_settings(state, as_json=as_json)


@settings_commands.command(
    "set", help="Set NAMESPACE.KEY=VALUE, one or several. VALUE is parsed as JSON if possible, or else taken as text."
)
@click.argument("values", type=TEXT, nargs=-1, metavar="NAMESPACE.KEY=VALUE...")
@click.option(
    "--unset",
    type=TEXT,
    multiple=True,
    metavar="NAMESPACE.KEY",
    help="Remove this value, so that the inherited one applies.",
)
@_owner_options
def set_values(owner: SettingsOwner, values: tuple[str, ...], unset: tuple[str, ...], as_json: bool) -> None:
    changes: dict[str, dict[str, Any]] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"{name!r} has no value: use {name}=VALUE.")
        namespace, key = _parse_path(name)
        changes.setdefault(namespace, {})[key] = _parse_value(value)
    for name in unset:
        namespace, key = _parse_path(name)
        changes.setdefault(namespace, {})[key] = None
    if not changes:
        raise click.UsageError("Name what to set, such as mail.sender=ops@example.com, or --unset something.")
    _write_settings(owner, actions.patch, changes, as_json=as_json)


@settings_commands.command("history", help="List the versions of the settings. The newest version comes first.")
@click.option(
    "--limit", type=click.IntRange(0), default=20, show_default=True, help="Maximum number to list; 0 for all."
)
@_owner_options
def history(owner: SettingsOwner, limit: int, as_json: bool) -> None:
    def read_page(session: Session, limit: int, after: str | None) -> tuple[list[dict[str, Any]], str | None]:
        before = None if after is None else int(after)
        page = actions.list_versions(session, owner.mount.keyring, owner.target, limit, before)
        rendered = [versions.render_version(page.state, revision) for revision in page.versions]
        return rendered, None if page.next_version is None else str(page.next_version)

    def render(revision: dict[str, Any]) -> dict[str, Any]:
        return revision if as_json else {**revision, "actor": revision["actor"]["sub"]}

    print_pages(iter_pages(owner.mount.storage, read_page, render, limit), COLUMNS, "versions", as_json=as_json)


@settings_commands.command(
    "rollback", help="Restore the settings of VERSION. They are stored as a new version; in version 0 nothing was set."
)
@click.argument("version", type=click.IntRange(0))
@_owner_options
def rollback(owner: SettingsOwner, version: int, as_json: bool) -> None:
    _write_settings(owner, actions.rollback, {"version": version}, as_json=as_json)


def _write_settings(owner: SettingsOwner, action: Callable[..., SettingsState], body: Any, *, as_json: bool) -> None:
    def write(session: Session) -> SettingsState:
        return action(session, owner.make_actor(session), owner.storage_options, owner.target, body)

    _print_settings(owner.mount.storage.transaction(write), as_json=as_json)


def _print_settings(state: SettingsState, *, as_json: bool) -> None:
    document = state.document()
    if as_json:
        print_document(document, as_json=True)
        return
    fields: dict[str, Any] = {"version": document["version"]}
    for path, source in document["sources"].items():
        namespace, _, key = path.partition(".")
        fields[f"{path} ({source})"] = document["effective"][namespace][key]
    print_document(fields, as_json=False)
    if not document["sources"]:
        print_text("Nothing is set.", err=True)


def _parse_path(name: str) -> tuple[str, str]:
    namespace, dot, key = name.partition(".")
    if not (namespace and dot and key):
        raise click.UsageError(f"{name!r} is not the name of a setting: use NAMESPACE.KEY.")
    return namespace, key


def _parse_value(text: str) -> Any:
    """Parse `text` as JSON; return the text itself if it is not JSON."""
    try:
        return encoding.parse_json(text.encode())
    except MalformedJSON:
        return text
