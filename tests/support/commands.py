"""``flask provisioning …`` as a shell would run it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from click.testing import CliRunner
from flask import Flask
from flask.cli import FlaskGroup

_SEPARATE = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}


class CommandResult(NamedTuple):
    """The outcome of a command: its exit status and its output."""

    status: int
    out: str
    err: str = ""


def run_command(app: Flask | Callable[[], Flask], *arguments: str, **options: Any) -> CommandResult:
    """Run ``flask provisioning`` with these arguments; an unexpected exception is raised."""
    create = (lambda: app) if isinstance(app, Flask) else app
    runner: CliRunner = CliRunner(env={"COLUMNS": None}, **_SEPARATE)  # type: ignore[arg-type]
    done = runner.invoke(FlaskGroup(create_app=create), ["provisioning", *arguments], **options)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return CommandResult(done.exit_code, done.stdout, done.stderr)
