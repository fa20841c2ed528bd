"""Errors of commands: one line that says what is wrong, or with --json one document; never a traceback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import IO, Any

import click

from ..config import ConfigurationError
from ..encoding import dump_json, escape_control_characters
from ..errors import ProvisioningError
from ..validation import get_field_path
from .options import JSON_KEY
from .output import add_colour, format_cell, print_text

#: What an operator can do, by the code of the problem. The API's own advice is about requests and headers.
ADVICE = {
    "tenant-not-found": "Check the id, and --partner if you gave it: `tenants list` shows the tenants.",
    "partner-not-found": "Check the id: `partners list` shows the partners.",
    "webhook-not-found": "Check the id, and --partner if you gave it: `webhooks list` shows the webhooks.",
    "delivery-not-found": "Check the id: `webhooks deliveries` shows the deliveries.",
    "bulk-job-not-found": "Check the id: `jobs list` shows the jobs. They are removed some time after they have ended.",
    "settings-version-not-found": "`settings history` lists the versions.",
    "partner-suspended": "`partners reactivate` lets its requests pass again.",
    "partner-not-registered": "Register it first: `partners register`.",
    "quota-exceeded": "Delete what is no longer needed, or raise the limit.",
    "plan-not-allowed": "Choose one of the plans in `allowed`, or allow this one: `partners update --allowed-plan`.",
    "license-expired": "Renew the licence: `license show` says what is wrong with it.",
    "tenant-exists": "`field` names what is taken. Use the tenant in `conflicting_tenant`, or choose another value.",
    "invalid-state": "The state that it is in does not allow this.",
    "plan-limit-exceeded": "Let the tenant use less of what `limits` names, or choose a plan that allows as much.",
    "webhook-disabled": "Enable it first: `webhooks enable`.",
    "settings-outdated": "Set the values that you want instead: `settings set`.",
    "validation-error": "Correct the values that are named above.",
    "invalid-parameter": "Correct the options that are named above.",
    "malformed-json": "Give one JSON value: no duplicate keys, no NaN or Infinity, 32 levels at most.",
    "malformed-upload": "Correct the file, at `line` where that is named: nothing of it was kept.",
    "upload-too-large": "Split the file into smaller ones: nothing of it was kept.",
    "secret-unavailable": "Give the key back to `PROVISIONING_ENCRYPTION_KEYS`, or have a new secret made.",
    "storage-unavailable": "`doctor` says what is wrong with the database.",
}


class ReportedProblem(click.ClickException):
    """A problem on its way to stderr; the exit status is 1."""

    def __init__(self, problem: ProvisioningError) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.advice = problem.remedy if problem.is_host_error else ADVICE.get(problem.code)

    def document(self) -> dict[str, Any]:
        """The problem for programs."""
        problem = self.problem
        found: dict[str, Any] = {"code": problem.code, "title": problem.title, "detail": problem.detail}
        errors = [{"field": get_field_path(fault), "detail": fault["detail"]} for fault in problem.errors]
        return {**found, **({"errors": errors} if errors else {}), **problem.members, "advice": self.advice}

    def show(self, file: IO[Any] | None = None) -> None:
        """Print title and detail, every fault with its field, what else the problem says, and the advice."""
        problem = self.problem
        detail = problem.detail if problem.detail == f"{problem.title}." else f"{problem.title}: {problem.detail}"
        print_text(f"{add_colour('Error:', 'red', err=True)} {escape_control_characters(detail)}", err=True)
        for fault in problem.errors:
            print_text(
                f"  {escape_control_characters(get_field_path(fault))}: {escape_control_characters(fault['detail'])}",
                err=True,
            )
        for name, value in problem.members.items():
            print_text(f"  {name}: {format_cell(value)}", err=True)
        if self.advice:
            print_text(self.advice, err=True)


class _JSONError(click.ClickException):
    """An error as one JSON document on stderr."""

    def __init__(self, error: click.ClickException) -> None:
        super().__init__(error.message)
        self.exit_code = error.exit_code  # type: ignore[misc]
        self._document = (
            error.document()
            if isinstance(error, ReportedProblem)
            else {
                "code": "usage" if isinstance(error, click.UsageError) else "error",
                "title": "Error",
                "detail": error.format_message(),
            }
        )

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(dump_json({"error": self._document}).encode(), err=True)


def make_reported_error(context: click.Context, error: Exception) -> Exception:
    """Return the exception that shows `error` to people, or as JSON after --json; a bug is returned as it is."""
    found = error
    if isinstance(error, ProvisioningError):
        found = ReportedProblem(error)
    elif isinstance(error, ConfigurationError):
        found = click.ClickException(str(error))
    return _JSONError(found) if isinstance(found, click.ClickException) and context.meta.get(JSON_KEY) else found


@contextlib.contextmanager
def report_problems() -> Iterator[None]:
    """Tell a problem, or what is wrong with the configuration, and exit with status 1."""
    try:
        yield
    except ProvisioningError as problem:
        raise ReportedProblem(problem) from problem
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
