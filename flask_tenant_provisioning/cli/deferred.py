"""Commands that are imported when somebody asks for them: every `flask` command of the host imports our group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any

import click


class Commands(click.Group):
    """A group whose every command tells its errors in a line, or with --json in a document; never in a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises what click shows; the bugs of the package and of the host pass."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            from .problems import shown

            if (found := shown(ctx, error)) is error:
                raise
            raise found from error


class Deferred(MutableMapping[str, click.Command]):
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
