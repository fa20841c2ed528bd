"""A problem, told at the command line: what is wrong, where, and what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import IO, Any

import click

from ..config import ConfigurationError
from ..problems import ProvisioningError
from ..web.validation import field_of
from .output import cell, say
from .text import printable


class Told(click.ClickException):
    """A problem on its way to stderr; the exit status is 1."""

    def __init__(self, problem: ProvisioningError) -> None:
        super().__init__(problem.detail)
        self.problem = problem

    def show(self, file: IO[Any] | None = None) -> None:
        """Print title and detail, every fault with its field, what else the problem says, and the remedy."""
        problem = self.problem
        detail = problem.detail if problem.detail == f"{problem.title}." else f"{problem.title}: {problem.detail}"
        say(f"Error: {printable(detail)}", err=True)
        for fault in problem.errors:
            say(f"  {printable(field_of(fault))}: {printable(fault['detail'])}", err=True)
        for name, value in problem.members.items():
            say(f"  {name}: {cell(value)}", err=True)
        say(problem.remedy, err=True)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Tell a problem, or what is wrong with the configuration, and exit with status 1."""
    try:
        yield
    except ProvisioningError as problem:
        raise Told(problem) from problem
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
