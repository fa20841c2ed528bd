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
    """A group whose commands report errors as one line, or as a JSON document with --json, never as a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Known errors are raised as the exceptions that click prints; bugs pass unchanged."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            from .errors import make_reported_error

            reported = make_reported_error(ctx, error)
            if reported is error:
                raise
            raise reported from error


class LazyCommands(MutableMapping[str, click.Command]):
    """Commands by name, imported at first use from paths such as ``.db:database_commands``, relative to `package`."""

    def __init__(self, package: str, paths: Mapping[str, str]) -> None:
        self._package = package
        self._paths = dict(paths)
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            module, _, attribute = self._paths[name].partition(":")
            self._loaded[name] = getattr(import_module(module, self._package), attribute)
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._paths[name] = ""
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._paths[name]
        self._loaded.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


provisioning = ProvisioningGroup(
    "provisioning",
    help="Tenant provisioning: tenants, partners, API clients, settings, jobs, webhooks, invitations, licence, "
    "database, tokens, health.",
    commands=LazyCommands(
        __name__,
        {
            "clients": ".clients:client_commands",
            "db": ".db:database_commands",
            "doctor": ".doctor.command:doctor",
            "events": ".events:event_commands",
            "docs-link": ".docs:docs_link",
            "invitations": ".invitations:invitation_commands",
            "isolation": ".isolation:isolation_commands",
            "jobs": ".jobs:job_commands",
            "license": ".license:license_commands",
            "openapi": ".docs:openapi",
            "partners": ".partners:partner_commands",
            "purge": ".maintenance:purge",
            "rekey": ".maintenance:rekey",
            "run": ".run:run",
            "settings": ".settings:settings_commands",
            "tenants": ".tenants:tenant_commands",
            "token": ".token:token",
            "webhooks": ".webhooks:webhook_commands",
            "worker": ".worker:worker",
        },
    ),
)
