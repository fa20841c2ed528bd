"""What commands share: the mount that they work on, the operator that they act as, and their common options."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Callable
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from ..access.principal import Actor, Principal
from ..licensing.document import LicenseError
from ..mount import Mount

mount_option = click.option("--mount", metavar="NAME", help="The mount's name, where the app has several.")


def require_served(mount: Mount) -> None:
    """Raise `click.ClickException` that says why, where no licence lets the app serve the mount."""
    if mount.is_mounted:
        return
    if mount.config.edition == "community":
        reason = "PROVISIONING_EDITION is 'community'."
    else:
        try:
            mount.license.load()
            reason = "Restart the app: it was started without this licence."
        except LicenseError as error:
            reason = str(error)
    raise click.ClickException(f"The API is not mounted, and nothing would answer: {reason}")


def find_mount(name: str | None) -> Mount:
    """The mount of this name, or the app's first. Raises `click.ClickException`."""
    mounts: dict[str, Mount] = current_app.extensions.get("tenant_provisioning", {})
    if not mounts:
        raise click.ClickException("This app has no TenantProvisioning: call init_app(app) first.")
    if name is not None and name not in mounts:
        raise click.ClickException(f"There is no mount {name!r}; there is {', '.join(mounts)}.")
    return mounts[name] if name else next(iter(mounts.values()))


_MAX_NAME_LENGTH = 255


def make_operator(partner: str) -> Actor:
    """The operating system's user, on behalf of `partner`; no request brings it about."""
    return Actor(Principal.for_operator(_get_user_name()[:_MAX_NAME_LENGTH], partner))


def _get_user_name() -> str:
    """The user's name; a container may run under a number that has none."""
    try:
        found = getpass.getuser()
    except (KeyError, OSError):
        found = f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
    return found.encode(errors="replace").decode()


#: Where a command's context says that its output is for programs.
JSON_KEY = "flask_tenant_provisioning.json"


def _store_json_flag(context: click.Context, _option: click.Parameter, as_json: bool) -> bool:
    context.meta[JSON_KEY] = as_json
    return as_json


json_option = click.option(
    "--json", "as_json", is_flag=True, is_eager=True, callback=_store_json_flag, help="As JSON, for programs."
)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class StorableText(click.types.StringParamType):
    """A text that a database takes: no NUL character, and none that is no UTF-8."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The text itself; a usage error otherwise."""
        if _UNSTORABLE.search(value):
            self.fail("must be UTF-8 without NUL characters.", param, ctx)
        return super().convert(value, param, ctx)


TEXT = StorableText()


def parse_pairs(_context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """``KEY=VALUE`` several times, as a mapping."""
    found: dict[str, str] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair!r} is not of the form KEY=VALUE.", param=option)
        if key in found:
            raise click.BadParameter(f"{key!r} is given twice.", param=option)
        found[key] = value
    return found


def build_body(fields: dict[str, Any]) -> dict[str, Any]:
    """The JSON object that a client would send for these options."""
    return {name: value for name, value in fields.items() if value is not None and value != {}}


def resource_options(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The argument, called `name`, and the options of each command about one tenant, webhook or delivery."""

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        command = json_option(mount_option(with_appcontext(command)))
        command = click.option("--partner", type=TEXT, help="Only if it is this partner's.")(command)
        return click.argument(name, type=TEXT)(command)

    return decorated
