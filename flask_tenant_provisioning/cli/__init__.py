"""The group `flask provisioning`.

Every `flask` command of the host imports this module, so it imports nothing but click: a command is imported when it is
used. What commands share is in `options` (mount, operator, common options), `output` (tables and JSON), `errors` and
`progress`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any

import click


class ProvisioningGroup(click.Group):
    """A group whose every command tells its errors in a line, or with --json in a document; never in a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises what click shows; the bugs of the package and of the host pass."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            from .errors import make_reported_error

            if (found := make_reported_error(ctx, error)) is error:
                raise
            raise found from error


class LazyCommands(MutableMapping[str, click.Command]):
    """Commands by name, each at a place such as ``.db:database_commands``, relative to `package`."""

    def __init__(self, package: str, places: Mapping[str, str]) -> None:
        self._package = package
        self._places = dict(places)
        self._found: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._found:
            module, _, attribute = self._places[name].partition(":")
            self._found[name] = getattr(import_module(module, self._package), attribute)
        return self._found[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._places[name] = ""
        self._found[name] = command

    def __delitem__(self, name: str) -> None:
        del self._places[name]
        self._found.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


provisioning = ProvisioningGroup(
    "provisioning",
    help="Tenant provisioning: tenants, partners, settings, jobs, webhooks, licence, database, tokens, health.",
    commands=LazyCommands(
        __name__,
        {
            "db": ".db:database_commands",
            "doctor": ".doctor.command:doctor",
            "events": ".events:event_commands",
            "docs-link": ".docs:docs_link",
            "jobs": ".jobs:job_commands",
            "license": ".license:license_commands",
            "openapi": ".docs:openapi",
            "partners": ".partners:partner_commands",
            "purge": ".maintenance:purge",
            "rekey": ".maintenance:rekey",
            "settings": ".settings:settings_commands",
            "tenants": ".tenants:tenant_commands",
            "token": ".token:token",
            "webhooks": ".webhooks:webhook_commands",
            "worker": ".worker:worker",
        },
    ),
)
