"""The command reference, generated from the click commands of ``flask provisioning``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from flask_tenant_provisioning.cli import provisioning

from .markdown import code, fence, heading, lines, table

Command = tuple[str, click.Command]


def commands(root: click.Command = provisioning, path: str = "flask provisioning") -> Iterator[Command]:
    """`found` and all that is below it, each with the words that call it."""
    yield path, root
    if isinstance(root, click.Group):
        for name, command in root.commands.items():
            yield from commands(command, f"{path} {name}")


def label(path: str) -> str:
    """Return the label of the command's section."""
    return f"command-{path.replace(' ', '-')}"


def reference() -> str:
    """Return a section for each command, those of a group below it."""
    return lines(*(_section(path, command) for path, command in commands() if command is not provisioning))


def _section(path: str, command: click.Command) -> str:
    level = len(path.split()) - 1
    words = inspect.cleandoc(command.help or "").replace("\b\n", "")
    return lines(
        heading(level, code(path), label(path)),
        words,
        "" if isinstance(command, click.Group) else fence("text", _usage(path, command)),
        table(("option", "meaning"), _options(path, command)),
    )


def _usage(path: str, command: click.Command) -> str:
    pieces = command.collect_usage_pieces(_context(path, command))
    return " ".join([path, *pieces])


def _options(path: str, command: click.Command) -> Iterator[tuple[str, str]]:
    context = _context(path, command)
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None and "--help" not in parameter.opts:
            yield code(record[0]), record[1].replace("[", "(").replace("]", ")").replace("*", r"\*")


def _context(path: str, command: click.Command) -> click.Context:
    return click.Context(command, info_name=path)
