"""``flask provisioning settings``: what the API does about settings, of a tenant or of a partner, for an operator."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import click
from flask.cli import with_appcontext

from .. import encoding
from ..access.principal import Actor
from ..database.session import Session
from ..errors import MalformedJSON
from ..mount import Mount
from ..settings import actions, versions
from ..settings.actions import FindOwner
from ..settings.resolution import SettingsState
from ..settings.storage import StorageOptions
from ..tenants.mutations import load_tenant_in_any_state
from ..tenants.routes import parse_tenant_id
from .options import TEXT, find_mount, json_option, make_operator, mount_option
from .output import iter_pages, print_document, print_pages, print_text

COLUMNS = ("version", "timestamp", "actor", "changes")


class SettingsOwner(NamedTuple):
    """Whose settings a command is about."""

    mount: Mount
    tenant: str | None
    partner: str | None

    @property
    def shelf(self) -> StorageOptions:
        """Return the storage of settings of the mount."""
        return StorageOptions(self.mount.keyring, self.mount.settings.settings_history)

    def find(self) -> FindOwner:
        """Return the function that finds and locks their owner."""
        if self.tenant is None:
            return partial(actions.find_partner_owner, partner=str(self.partner))
        return partial(actions.find_tenant_owner, partner=self.partner, tenant_id=parse_tenant_id(self.tenant))

    def actor(self, session: Session) -> Actor:
        """The operator, on behalf of whose settings they are."""
        if self.tenant is None:
            return make_operator(str(self.partner))
        return make_operator(load_tenant_in_any_state(session, self.partner, parse_tenant_id(self.tenant)).partner_id)


def _owner_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of each command about the settings of one owner."""

    @json_option
    @mount_option
    @click.option("--tenant", type=TEXT, help="The tenant whose settings they are.")
    @click.option("--partner", type=TEXT, help="The partner that gives its tenants these defaults.")
    @with_appcontext
    def decorated(tenant: str | None, partner: str | None, mount_name: str | None, **options: Any) -> None:
        if tenant is None and partner is None:
            raise click.UsageError("Name whose settings are meant: --tenant, or --partner for a partner's defaults.")
        owner = SettingsOwner(find_mount(mount_name), tenant, partner)
        if not owner.mount.hooks.namespaces:
            raise click.ClickException("This app declares no settings.")
        command(owner, **options)

    decorated.__doc__ = command.__doc__
    return decorated


@click.group("settings", help="Show, set and roll back the settings of a tenant, or a partner's defaults for them.")
def settings_commands() -> None:
    """The group."""


@settings_commands.command("show", help="Show the settings in force, and from where each comes; secrets are masked.")
@_owner_options
def show(owner: SettingsOwner, as_json: bool) -> None:
    state = owner.mount.storage.read(partial(actions.read, shelf=owner.shelf, find=owner.find()))
    _print_settings(state, as_json=as_json)


@settings_commands.command("set", help="Set NAMESPACE.KEY=VALUE, several at once; VALUE is JSON, or else a text.")
@click.argument("values", type=TEXT, nargs=-1, metavar="NAMESPACE.KEY=VALUE...")
@click.option("--unset", type=TEXT, multiple=True, metavar="NAMESPACE.KEY", help="Inherit this one again.")
@_owner_options
def set_values(owner: SettingsOwner, values: tuple[str, ...], unset: tuple[str, ...], as_json: bool) -> None:
    sent: dict[str, dict[str, Any]] = {}
    for text in values:
        name, divides, value = text.partition("=")
        if not divides:
            raise click.UsageError(f"Say {name}=VALUE.")
        namespace, key = _parse_path(name)
        sent.setdefault(namespace, {})[key] = _parse_value(value)
    for name in unset:
        namespace, key = _parse_path(name)
        sent.setdefault(namespace, {})[key] = None
    if not sent:
        raise click.UsageError("Name what to set, such as mail.sender=ops@example.com, or --unset something.")
    _write_settings(owner, actions.patch, sent, as_json=as_json)


@settings_commands.command("history", help="List the versions of the settings, the newest first.")
@click.option("--limit", type=click.IntRange(0), default=20, show_default=True, help="How many at most; 0: all.")
@_owner_options
def history(owner: SettingsOwner, limit: int, as_json: bool) -> None:
    def work(session: Session, limit: int, after: str | None) -> tuple[list[dict[str, Any]], str | None]:
        before = None if after is None else int(after)
        page = actions.list_versions(session, owner.shelf, owner.find(), limit, before)
        found = [versions.render_version(page.state, one) for one in page.revisions]
        return found, None if page.end is None else str(page.end)

    def shown(revision: dict[str, Any]) -> dict[str, Any]:
        return revision if as_json else {**revision, "actor": revision["actor"]["sub"]}

    print_pages(iter_pages(owner.mount.storage, work, shown, limit), COLUMNS, "versions", as_json=as_json)


@settings_commands.command("rollback", help="Set what was set in VERSION, as a new version; in version 0 nothing was.")
@click.argument("version", type=click.IntRange(0))
@_owner_options
def rollback(owner: SettingsOwner, version: int, as_json: bool) -> None:
    _write_settings(owner, actions.rollback, {"version": version}, as_json=as_json)


def _write_settings(owner: SettingsOwner, action: Callable[..., SettingsState], sent: Any, *, as_json: bool) -> None:
    def unit(session: Session) -> SettingsState:
        return action(session, owner.actor(session), owner.shelf, owner.find(), sent, lambda _version: None)

    _print_settings(owner.mount.storage.transaction(unit), as_json=as_json)


def _print_settings(state: SettingsState, *, as_json: bool) -> None:
    document = state.document()
    if as_json:
        print_document(document, as_json=True)
        return
    shown: dict[str, Any] = {"version": document["version"]}
    for path, source in document["sources"].items():
        namespace, _, key = path.partition(".")
        shown[f"{path} ({source})"] = document["effective"][namespace][key]
    print_document(shown, as_json=False)
    if not document["sources"]:
        print_text("Nothing is set.", err=True)


def _parse_path(name: str) -> tuple[str, str]:
    namespace, divides, key = name.partition(".")
    if not (namespace and divides and key):
        raise click.UsageError(f"{name!r} names no setting: say NAMESPACE.KEY.")
    return namespace, key


def _parse_value(text: str) -> Any:
    """JSON, or else the text itself."""
    try:
        return encoding.parse_json(text.encode())
    except MalformedJSON:
        return text
