"""Errors of commands, reported as one line on stderr, or as one JSON document with --json; never as a traceback."""

from __future__ import annotations

from typing import IO, Any

import click

from ..config import ConfigurationError
from ..encoding import dump_json, escape_control_characters
from ..errors import ProvisioningError
from ..validation import get_field_path
from .options import JSON_KEY
from .output import add_colour, format_cell, print_text

#: Advice for operators, by problem code. The remedies of the API are about requests and headers instead.
ADVICE = {
    "tenant-not-found": "Check the id, and --partner if you gave it: `tenants list` shows the tenants.",
    "partner-not-found": "Check the id: `partners list` shows the partners.",
    "webhook-not-found": "Check the id, and --partner if you gave it: `webhooks list` shows the webhooks.",
    "client-not-found": "Check the id, and --partner if you gave it: `clients list` shows the clients.",
    "delivery-not-found": "Check the id: `webhooks deliveries` shows the deliveries.",
    "bulk-job-not-found": "Check the id: `jobs list` shows the jobs. Finished jobs are removed after some time.",
    "settings-version-not-found": "`settings history` lists the versions.",
    "partner-suspended": "`partners reactivate` allows its requests again.",
    "partner-not-registered": "Register it first: `partners register`.",
    "quota-exceeded": "Delete what is no longer needed, or raise the limit.",
    "plan-not-allowed": "Choose one of the plans in `allowed`, or allow this one: `partners update --allowed-plan`.",
    "license-expired": "Renew the licence: `license show` shows what is wrong with it.",
    "tenant-exists": "`field` names the taken value. Use the tenant in `conflicting_tenant`, or choose another value.",
    "invalid-state": "Its current state does not allow this.",
    "plan-limit-exceeded": "Reduce the tenant's use of what `limits` names, or choose a plan that allows as much.",
    "webhook-disabled": "Enable it first: `webhooks enable`.",
    "settings-outdated": "Set the values that you want instead: `settings set`.",
    "validation-error": "Correct the values named above.",
    "invalid-parameter": "Correct the options named above.",
    "malformed-json": "Give one JSON value: no duplicate keys, no NaN or Infinity, 32 levels at most.",
    "malformed-upload": "Correct the file, at `line` if one is given. Nothing was saved.",
    "upload-too-large": "Split the file into smaller ones. Nothing was saved.",
    "secret-unavailable": "Put the key back into `PROVISIONING_ENCRYPTION_KEYS`, or create a new secret.",
    "storage-unavailable": "`doctor` shows what is wrong with the database.",
}


class ReportedProblem(click.ClickException):
    """A problem to print on stderr; the exit status is 1."""

    def __init__(self, problem: ProvisioningError) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.advice = problem.remedy if problem.is_host_error else ADVICE.get(problem.code)

    def to_document(self) -> dict[str, Any]:
        """Return the problem as JSON-compatible data, for --json."""
        problem = self.problem
        document: dict[str, Any] = {"code": problem.code, "title": problem.title, "detail": problem.detail}
        if problem.errors:
            document["errors"] = [
                {"field": get_field_path(fault), "detail": fault["detail"]} for fault in problem.errors
            ]
        return {**document, **problem.members, "advice": self.advice}

    def show(self, file: IO[Any] | None = None) -> None:
        """Print title and detail, each fault with its field, the other members of the problem, and the advice."""
        problem = self.problem
        detail = problem.detail if problem.detail == f"{problem.title}." else f"{problem.title}: {problem.detail}"
        print_text(f"{add_colour('Error:', 'red', err=True)} {escape_control_characters(detail)}", err=True)
        for fault in problem.errors:
            line = f"{get_field_path(fault)}: {fault['detail']}"
            print_text(f"  {escape_control_characters(line)}", err=True)
        for name, value in problem.members.items():
            print_text(f"  {name}: {format_cell(value)}", err=True)
        if self.advice:
            print_text(self.advice, err=True)


class _JSONError(click.ClickException):
    """An error as one JSON document on stderr."""

    def __init__(self, error: click.ClickException) -> None:
        super().__init__(error.message)
        self.exit_code = error.exit_code  # type: ignore[misc]
        if isinstance(error, ReportedProblem):
            self._document = error.to_document()
        else:
            code = "usage" if isinstance(error, click.UsageError) else "error"
            self._document = {"code": code, "title": "Error", "detail": error.format_message()}

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(dump_json({"error": self._document}).encode(), err=True)


def make_reported_error(context: click.Context, error: Exception) -> Exception:
    """Return the exception that prints `error` as a line, or as JSON with --json; a bug is returned unchanged."""
    reported = error
    if isinstance(error, ProvisioningError):
        reported = ReportedProblem(error)
    elif isinstance(error, ConfigurationError):
        reported = click.ClickException(str(error))
    if isinstance(reported, click.ClickException) and context.meta.get(JSON_KEY):
        return _JSONError(reported)
    return reported
