"""``flask provisioning doctor``: whether all is well, a line for each thing that has to be."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

import click
from flask import current_app
from flask.cli import ScriptInfo
from sqlalchemy.exc import DBAPIError

from ...config import ConfigurationError
from ..mounts import chosen_mount, mount_option
from ..output import coloured, json_option, say, say_json
from ..text import printable
from .checks import CHECKS, Check
from .findings import FAIL, OK, SUBJECT, WARN, Finding, Patient, Unreachable

_WORST = (FAIL, WARN, OK)
_COLOURS = {OK: "green", WARN: "yellow", FAIL: "red"}
_NAME_WIDTH = max(map(len, CHECKS))


@click.command("doctor")
@click.option("--quiet", is_flag=True, help="Print only what is not ok.")
@json_option
@click.option("--subject", default=SUBJECT, help="The `sub` of a partner's token, for the app's user lookup.")
@mount_option
@click.pass_context
def doctor(context: click.Context, quiet: bool, as_json: bool, mount: str | None, subject: str) -> None:
    """Look at configuration, licence, database, migrations, JWT, mount, webhooks and workers.

    Prints `ok`, `warn` or `fail` for each, and what to do. Exit status 1 where anything fails, else 0.
    """
    findings: dict[str, Finding] = {}
    for name, finding in _examined(context, mount, subject):
        findings[name] = finding
        if not (as_json or (quiet and finding.status == OK)):
            say(_line(name, finding))
    worst = min((finding.status for finding in findings.values()), key=_WORST.index)
    if as_json:
        shown = {name: finding for name, finding in findings.items() if not quiet or finding.status != OK}
        checks = [{"check": name, **finding._asdict()} for name, finding in shown.items()]
        say_json({"status": worst, "checks": checks})
    context.exit(1 if worst == FAIL else 0)


def _examined(context: click.Context, mount: str | None, subject: str) -> Iterator[tuple[str, Finding]]:
    fault = _load(context)
    if fault is not None:
        yield "app", fault
        return
    patient = Patient(current_app._get_current_object(), chosen_mount(mount), subject)  # type: ignore[attr-defined]
    for name, check in CHECKS.items():
        yield name, _found(check, patient)


def _load(context: click.Context) -> Finding | None:
    """Load the app, unless it is there; what is wrong with it otherwise.

    Of an exception that is neither ours nor a driver's only the place is told: its words may hold any secret.
    """
    try:
        if not current_app:
            context.with_resource(context.ensure_object(ScriptInfo).load_app().app_context())
    except click.ClickException:
        raise
    except ConfigurationError as error:
        return Finding(FAIL, " ".join(str(error).split("\n")), "correct the configuration")
    except Exception as error:
        return Finding(FAIL, f"the app does not load: {_cause(error)}", "`flask routes` shows the traceback")
    return None


def _cause(error: Exception) -> str:
    if isinstance(error, DBAPIError) and error.orig is not None and "@" not in str(error.orig):
        return f"{type(error.orig).__name__}: {' '.join(str(error.orig).split())}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"


def _found(check: Check, patient: Patient) -> Finding:
    try:
        return check(patient)
    except Unreachable as error:
        return Finding(FAIL, f"not looked at: {error}")
    except Exception as error:
        return Finding(FAIL, patient.reason(error))


def _line(name: str, finding: Finding) -> str:
    advice = f" / {finding.advice}" if finding.advice else ""
    status = coloured(f"{finding.status:<4}", _COLOURS[finding.status])
    return f"{status}  {name:<{_NAME_WIDTH}}  {printable(finding.detail + advice)}"
