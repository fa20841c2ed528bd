"""``flask provisioning settings``."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields, validate

from flask_tenant_provisioning import TenantProvisioning
from tests.support.callers import Caller
from tests.support.commands import CommandResult, run_command
from tests.support.hosts import make_config


class MailSettings(Schema):
    """Mail settings."""

    sender = fields.Email(load_default="noreply@example.com")
    daily = fields.Integer(strict=True, load_default=100, validate=validate.Range(min=1))
    password = fields.String(metadata={"secret": True})


@pytest.fixture
def partner(database_url: str) -> Caller:
    """A partner of a host with settings."""
    app = Flask("host")
    app.config.update(make_config())
    provisioning = TenantProvisioning()
    provisioning.settings("mail", MailSettings)
    provisioning.init_app(app, database_url)
    return Caller(app)


def settings(partner: Caller, *arguments: str) -> CommandResult:
    return run_command(partner.app, "settings", *arguments)


def parse_output(done: CommandResult) -> Any:
    assert (done.status, done.err) == (0, "")
    return json.loads(done.out)


def test_settings_of_a_tenant_are_set_shown_and_rolled_back(partner: Caller) -> None:
    tenant = partner.create()["tenant"]
    mine = ("--tenant", tenant)
    document = parse_output(settings(partner, "set", "mail.daily=7", "mail.password=hunter2", *mine, "--json"))
    assert (document["version"], document["explicit"]["mail"]) == (1, {"daily": 7, "password": "********"})
    assert document == partner("GET", f"/tenants/{tenant}/settings").get_json()
    shown = settings(partner, "show", *mine)
    assert [line.split() for line in shown.out.splitlines()] == [
        ["version", "1"],
        ["mail.sender", "(default)", "noreply@example.com"],
        ["mail.daily", "(tenant)", "7"],
        ["mail.password", "(tenant)", "********"],
    ]
    document = parse_output(
        settings(partner, "set", "mail.sender=ops@example.com", "--unset", "mail.daily", *mine, "--json")
    )
    assert (document["version"], document["effective"]["mail"]["daily"]) == (2, 100)
    history = settings(partner, "history", *mine, "--json")
    versions = [json.loads(line) for line in history.out.splitlines()]
    assert [version["version"] for version in versions] == [2, 1]
    assert "hunter2" not in history.out
    assert settings(partner, "history", *mine, "--limit", "1").err == "There are more: --limit 0 lists them all.\n"
    document = parse_output(settings(partner, "rollback", "0", *mine, "--json"))
    assert (document["version"], document["explicit"]) == (3, {})


def test_a_partner_s_defaults_hold_for_its_tenants(partner: Caller) -> None:
    tenant = partner.create()["tenant"]
    document = parse_output(settings(partner, "set", "mail.daily=50", "--partner", partner.partner, "--json"))
    assert document["sources"]["mail.daily"] == "partner"
    shown = settings(partner, "show", "--tenant", tenant)
    assert "mail.daily (partner)" in shown.out
    assert parse_output(settings(partner, "rollback", "0", "--partner", partner.partner, "--json"))["version"] == 2


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (("set", "mail.daily=0"), 1, "  mail.daily: Must be greater than or equal to 1."),
        (("set", "mail.nope=1"), 1, "  mail.nope: There is no such field."),
        (("set", "daily=1"), 2, "Error: 'daily' is not the name of a setting: use NAMESPACE.KEY."),
        (("set", "mail.daily"), 2, "Error: 'mail.daily' has no value: use mail.daily=VALUE."),
        (("set",), 2, "Error: Name what to set, such as mail.sender=ops@example.com, or --unset something."),
        (("rollback", "9"), 1, "`settings history` lists the versions."),
    ],
)
def test_invalid_input_is_reported(partner: Caller, arguments: tuple[str, ...], status: int, line: str) -> None:
    tenant = partner.create()["tenant"]
    done = settings(partner, *arguments, "--tenant", tenant)
    assert done.status == status
    assert line in done.err.splitlines()


@pytest.mark.one_database
def test_a_host_without_settings_says_so(app: Flask) -> None:
    result = run_command(app, "settings", "show", "--partner", "acme")
    assert (result.status, result.err) == (1, "Error: This app declares no settings.\n")
