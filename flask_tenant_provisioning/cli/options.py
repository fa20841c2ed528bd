"""Shared by the commands: finding the mount, the operator as actor, and common options."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Callable, Iterable
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from ..access.principal import Actor, Principal
from ..config import PERMISSIONS
from ..licensing.document import LicenseError
from ..mount import Mount
from ..mounts import Mounts, get_mounts

mount_option = click.option("--mount", "mount_name", metavar="NAME", help="Name of the mount, if the app has several.")


def require_served(mount: Mount) -> None:
    """Raise `click.ClickException` with the reason if the app does not serve the mount."""
    if mount.is_mounted:
        return
    if mount.config.edition == "community":
        reason = "PROVISIONING_EDITION is 'community'."
    else:
        try:
            mount.license.load()
            reason = "The app was started without this licence; restart it."
        except LicenseError as error:
            reason = str(error)
    raise click.ClickException(f"The API is not mounted: {reason}")


def find_mount(name: str | None) -> Mount:
    """Return the mount of this name, or the app's first. Raises `click.ClickException` if there is none."""
    mounts: Mounts[Mount] = get_mounts(current_app)
    if not mounts:
        raise click.ClickException("This app has no TenantProvisioning: call init_app(app) first.")
    if name is not None and name not in mounts:
        raise click.ClickException(f"There is no mount {name!r}. Mounts of this app: {', '.join(mounts)}.")
    return mounts[name] if name else next(iter(mounts.values()))


_MAX_NAME_LENGTH = 255


def make_operator(partner: str, permissions: Iterable[str] = PERMISSIONS) -> Actor:
    """Return the operating system's user as the actor, on behalf of `partner`, without a request."""
    return Actor(Principal.for_operator(_get_user_name()[:_MAX_NAME_LENGTH], partner, permissions))


def _get_user_name() -> str:
    """Return the user's name, or ``uid N`` if the user id has no name, as in some containers."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
    return name.encode(errors="replace").decode()


#: Key in `click.Context.meta`: True if the command was called with --json.
JSON_KEY = "flask_tenant_provisioning.json"


def _store_json_flag(context: click.Context, _option: click.Parameter, as_json: bool) -> bool:
    context.meta[JSON_KEY] = as_json
    return as_json


json_option = click.option(
    "--json", "as_json", is_flag=True, is_eager=True, callback=_store_json_flag, help="Print JSON, for programs."
)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class StorableText(click.types.StringParamType):
    """A text that every database can store: valid UTF-8 without NUL characters."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text itself, or fail with a usage error."""
        if _UNSTORABLE.search(value):
            self.fail("must be UTF-8 without NUL characters.", param, ctx)
        return super().convert(value, param, ctx)


TEXT = StorableText()


def parse_pairs(_context: click.Context, option: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    """Parse a repeated ``KEY=VALUE`` option into a mapping. Raises `click.BadParameter` for a repeated key."""
    values: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair!r} is not of the form KEY=VALUE.", param=option)
        if key in values:
            raise click.BadParameter(f"{key!r} is given twice.", param=option)
        values[key] = value
    return values


def build_body(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON object that a client would send for these options; options not given are left out."""
    return {name: value for name, value in fields.items() if value is not None and value != {}}


def resource_options(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds the id argument `name`, --partner, --json and --mount to a command."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        command = json_option(mount_option(with_appcontext(command)))
        command = click.option("--partner", type=TEXT, help="Only if it belongs to this partner.")(command)
        return click.argument(name, type=TEXT)(command)

    return decorate
