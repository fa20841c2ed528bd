"""The command `doctor`, and its checks by name, in the order of the report."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click
from flask import current_app
from flask.cli import ScriptInfo
from sqlalchemy.exc import DBAPIError

from ...config import ConfigurationError
from ...encoding import escape_control_characters
from ..options import find_mount, json_option, mount_option
from ..output import add_colour, print_json, print_text
from . import configuration, database, host, invitations, isolation, rate_limits, secrets, telemetry, tokens, work
from .context import FAIL, OK, PROBE_SUBJECT, WARN, DatabaseUnreachable, DoctorContext, Finding

Check = Callable[[DoctorContext], Finding]
CHECKS: Mapping[str, Check] = {
    "configuration": configuration.check_configuration,
    "license": configuration.check_license,
    "tenants": configuration.check_tenant_limit,
    "database": database.check_connection,
    "pool": database.check_pool,
    "pooler": database.check_pooler,
    "privileges": database.check_privileges,
    "migrations": database.check_migrations,
    "tables": database.check_tables,
    "autogenerate": database.check_autogenerate,
    "tenant-rows": database.check_tenant_rows,
    "jwt": tokens.check_jwt_manager,
    "jwt-users": tokens.check_user_lookup,
    "jwt-algorithms": tokens.check_algorithms,
    "jwt-key": tokens.check_key,
    "jwt-expiry": tokens.check_expiry,
    "jwt-probe": tokens.check_probe,
    "issuers": tokens.check_issuers,
    "mount": host.check_mount,
    "csrf": host.check_csrf,
    "hooks": host.check_hooks,
    "answers": host.check_responses,
    "sessions": host.check_sessions,
    "compression": host.check_compression,
    "middleware": host.check_middleware,
    "routes": host.check_routes,
    "isolation": isolation.check_isolation,
    "isolated-rows": isolation.check_isolated_rows,
    "cursors": secrets.check_cursor_secret,
    "rate-limits": rate_limits.check_rate_limits,
    "webhook-keys": secrets.check_webhook_keys,
    "webhook-reach": configuration.check_webhook_reach,
    "settings-keys": secrets.check_settings_keys,
    "worker": work.check_worker,
    "invitations": invitations.check_invitations,
    "telemetry": telemetry.check_telemetry,
}
_SEVERITY_ORDER = (FAIL, WARN, OK)
_COLOURS = {OK: "green", WARN: "yellow", FAIL: "red"}
_NAME_WIDTH = max(map(len, CHECKS))


@click.command("doctor")
@click.option("--quiet", is_flag=True, help="Print only warnings and failures.")
@json_option
@click.option("--subject", default=PROBE_SUBJECT, help="The `sub` of a partner's token, to test the app's user lookup.")
@mount_option
@click.pass_context
def doctor(context: click.Context, quiet: bool, as_json: bool, mount_name: str | None, subject: str) -> None:
    """Check configuration, database, JWT and host.

    Checks licence, migrations, mount, webhooks and workers too. Prints `ok`, `warn` or `fail` for each check, and what
    to do. The exit status is 1 if a check fails, else 0.
    """
    findings: dict[str, Finding] = {}
    for name, finding in _run_checks(context, mount_name, subject):
        findings[name] = finding
        if not (as_json or (quiet and finding.status == OK)):
            print_text(_format_line(name, finding))
    worst = min((finding.status for finding in findings.values()), key=_SEVERITY_ORDER.index)
    if as_json:
        checks = [
            {"check": name, **finding._asdict()}
            for name, finding in findings.items()
            if not quiet or finding.status != OK
        ]
        print_json({"status": worst, "checks": checks})
    context.exit(1 if worst == FAIL else 0)


def _run_checks(context: click.Context, mount_name: str | None, subject: str) -> Iterator[tuple[str, Finding]]:
    failure = _load_app(context)
    if failure is not None:
        yield "app", failure
        return
    doctor_context = DoctorContext(current_app._get_current_object(), find_mount(mount_name), subject)  # type: ignore[attr-defined]
    for name, check in CHECKS.items():
        yield name, _run_check(check, doctor_context)


def _load_app(context: click.Context) -> Finding | None:
    """Load the app if it is not loaded yet. Return a finding if that fails, else None.

    Only the class and the line of a foreign exception are shown: its message may hold a secret.
    """
    try:
        if not current_app:
            context.with_resource(context.ensure_object(ScriptInfo).load_app().app_context())
    except click.ClickException:
        raise
    except ConfigurationError as error:
        return Finding(FAIL, " ".join(str(error).split("\n")), "correct the configuration")
    except Exception as error:
        return Finding(
            FAIL, f"the app does not load: {_describe_load_error(error)}", "`flask routes` shows the traceback"
        )
    return None


def _describe_load_error(error: Exception) -> str:
    if isinstance(error, DBAPIError) and error.orig is not None and "@" not in str(error.orig):
        return f"{type(error.orig).__name__}: {' '.join(str(error.orig).split())}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"


def _run_check(check: Check, doctor_context: DoctorContext) -> Finding:
    try:
        return check(doctor_context)
    except DatabaseUnreachable as error:
        return Finding(FAIL, f"not checked: {error}")
    except Exception as error:
        return Finding(FAIL, doctor_context.describe_error(error))


def _format_line(name: str, finding: Finding) -> str:
    advice = f" / {finding.advice}" if finding.advice else ""
    status = add_colour(f"{finding.status:<4}", _COLOURS[finding.status])
    return f"{status}  {name:<{_NAME_WIDTH}}  {escape_control_characters(finding.detail + advice)}"
