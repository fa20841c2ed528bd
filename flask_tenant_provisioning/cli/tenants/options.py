"""What the commands about tenants can be told, in the API's words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click
from flask.cli import with_appcontext

from ...tenants.own_fields import from_text
from ...web.mount import Mount
from ..mounts import mount_option
from ..output import json_option

F = TypeVar("F", bound=Callable[..., Any])

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Text(click.types.StringParamType):
    """A text that a database takes: no NUL character, and none that is no UTF-8."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The text itself; a usage error otherwise."""
        if _UNSTORABLE.search(value):
            self.fail("must be UTF-8 without NUL characters.", param, ctx)
        return super().convert(value, param, ctx)


TEXT = Text()


def pairs(_context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
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


def only_own(mount: Mount, given: dict[str, str], option: str) -> dict[str, str]:
    """`given`, which may name fields of the app's own alone. Raises `click.BadParameter`."""
    own = mount.hooks.fields
    names = list(own.fields) if own else []
    if strangers := [name for name in given if name not in names]:
        there = f"there is {', '.join(names)}" if names else "there is none"
        raise click.BadParameter(f"{strangers[0]!r} is no field of the app's own; {there}.", param_hint=option)
    return given


def own_values(mount: Mount, given: dict[str, str]) -> dict[str, Any]:
    """The JSON for values of the app's own fields.

    A field that is a text, a date or the like takes the value as it stands; any other takes JSON where it is JSON.
    """
    fields = mount.hooks.fields.fields if mount.hooks.fields else {}
    return {name: from_text(fields[name], text) for name, text in only_own(mount, given, "--set").items()}


def field_options(command: F) -> F:
    """An option for each field of a tenant that a client may write."""
    for option in reversed(
        (
            click.option("--client-name", type=TEXT, help="The tenant's name."),
            click.option("--email", type=TEXT, help="Its address, unique among the partner's tenants."),
            click.option("--phone-number", type=TEXT, help="Its telephone number."),
            click.option("--industry", type=TEXT, help="Its industry."),
            click.option("--plan", type=TEXT, help="Its plan."),
            click.option("--external-id", type=TEXT, help="The partner's own id for it."),
            click.option(
                "--metadata",
                type=TEXT,
                multiple=True,
                callback=pairs,
                metavar="KEY=VALUE",
                help="A key of its metadata; several times for several.",
            ),
            click.option(
                "--set",
                "own",
                type=TEXT,
                multiple=True,
                callback=pairs,
                metavar="FIELD=VALUE",
                help="One of the app's own fields, as JSON unless it is a text; several times for several.",
            ),
        )
    ):
        command = option(command)
    return command


def sent(fields: dict[str, Any]) -> dict[str, Any]:
    """The JSON object that a client would send for these options."""
    return {name: value for name, value in fields.items() if value is not None and value != {}}


def on_one(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The argument, called `name`, and the options of each command about one tenant, webhook or delivery."""

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        command = json_option(mount_option(with_appcontext(command)))
        command = click.option("--partner", type=TEXT, help="Only if it is this partner's.")(command)
        return click.argument(name, type=TEXT)(command)

    return decorated


on_one_tenant = on_one("tenant")
