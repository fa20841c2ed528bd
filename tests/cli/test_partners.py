"""``flask provisioning partners``."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask

from flask_tenant_provisioning.validation import INVALID_PARTNER_ID
from tests.support.callers import Caller
from tests.support.commands import run_command
from tests.support.events import read_feed


def run_json(app: Flask, *arguments: str) -> list[dict[str, Any]]:
    """Return the JSON that the command prints."""
    result = run_command(app, "partners", *arguments, "--json")
    assert (result.status, result.err) == (0, ""), result
    return [json.loads(line) for line in result.out.splitlines()]


def test_a_partner_is_registered_and_changed(partner: Caller) -> None:
    (document,) = run_json(partner.app, "register", partner.partner, "--name", "Acme", "--contact", "ops@acme.example")
    assert (document["partner"], document["name"], document["contact"], document["status"]) == (
        partner.partner,
        "Acme",
        "ops@acme.example",
        "active",
    )
    assert run_json(partner.app, "show", partner.partner) == [document]
    (changed,) = run_json(partner.app, "update", partner.partner, "--name", "Acme Ltd")
    assert changed == {
        **document,
        "name": "Acme Ltd",
        "version": document["version"] + 1,
        "updated_at": changed["updated_at"],
    }
    assert [event["type"] for event in read_feed(partner)] == ["partner.updated", "partner.updated"]


def test_quotas_and_plans_are_set_and_unset(partner: Caller) -> None:
    (registered,) = run_json(partner.app, "register", partner.partner, "--max-tenants", "2", "--allowed-plan", "pro")
    assert (registered["max_tenants"], registered["allowed_plans"]) == (2, ["pro"])
    (document,) = run_json(partner.app, "update", partner.partner, "--allowed-plan", "pro", "--allowed-plan", "free")
    assert (document["max_tenants"], document["allowed_plans"]) == (2, ["pro", "free"])
    (document,) = run_json(partner.app, "update", partner.partner, "--allow-no-plan", "--unset", "max-tenants")
    assert (document["max_tenants"], document["allowed_plans"]) == (None, [])
    (document,) = run_json(partner.app, "update", partner.partner, "--unset", "allowed-plans")
    assert document["allowed_plans"] is None
    result = run_command(partner.app, "partners", "update", partner.partner, "--max-tenants", "-1")
    whole = "max_tenants: Must be a whole number from 0 to 2000000000."
    assert (result.status, result.err.splitlines()[1].strip()) == (1, whole)
    for wrong in (["--max-tenants", "1", "--unset", "max-tenants"], ["--allow-no-plan", "--allowed-plan", "pro"]):
        assert run_command(partner.app, "partners", "update", partner.partner, *wrong).status == 2


def test_a_partner_is_put_below_another(make_app: Any) -> None:
    app = make_app()
    (top,) = run_json(app, "register", "top")
    (low,) = run_json(app, "register", "low", "--parent", "top")
    assert low["parent"] == "top"
    assert run_json(app, "list", "--parent", "top") == [low]
    result = run_command(app, "partners", "update", "top", "--parent", "low")
    circle = "parent: Must be neither the partner itself nor one below it."
    assert (result.status, result.err.splitlines()[1].strip()) == (1, circle)
    (low,) = run_json(app, "update", "low", "--unset", "parent")
    assert (low["parent"], run_json(app, "show", "top")) == (None, [top])


def test_tenants_created_by_the_operator_count(make_app: Any) -> None:
    app = make_app()
    run_json(app, "register", "acme", "--max-tenants", "1")
    create = ("tenants", "create", "--partner", "acme", "--client-name", "Example Corp", "--email")
    assert run_command(app, *create, "a@example.com").status == 0
    result = run_command(app, *create, "b@example.com")
    refusal = "Error: Quota exceeded: The partner's limit of 1 tenants is reached."
    assert (result.status, result.err.splitlines()[0]) == (1, refusal)


def test_a_suspended_partner_is_refused_until_it_is_reactivated(make_app: Any) -> None:
    app = make_app(PROVISIONING_PARTNER_CACHE_SECONDS=0)
    partner = Caller(app)
    assert partner("GET", "/tenants").status_code == 200
    (document,) = run_json(app, "suspend", partner.partner, "--reason", "unpaid")
    assert (document["status"], document["suspended_reason"]) == ("suspended", "unpaid")
    assert partner("GET", "/tenants").get_json()["code"] == "partner-suspended"
    assert run_json(app, "list", "--status", "suspended") == [document]
    (document,) = run_json(app, "reactivate", partner.partner)
    assert (document["status"], document["suspended_reason"]) == ("active", None)
    assert partner("GET", "/tenants").status_code == 200


def test_a_list_is_a_table(make_app: Any) -> None:
    app = make_app()
    for name in ("b", "a"):
        run_json(app, "register", name)
    result = run_command(app, "partners", "list", "--limit", "1")
    heading, line = result.out.splitlines()
    columns = ["partner", "status", "name", "contact", "parent", "max_tenants", "suspended_reason", "created_at"]
    assert heading.split() == columns
    assert line.split()[:7] == ["a", "active", "-", "-", "-", "-", "-"]
    assert result.err == "There are more: --limit 0 lists them all.\n"
    assert run_command(app, "partners", "list", "--status", "suspended") == (0, "", "There are no such partners.\n")


def test_invalid_input_is_reported(partner: Caller) -> None:
    for command in ("show", "update", "suspend", "reactivate"):
        result = run_command(partner.app, "partners", command, f"no-{partner.partner}")
        assert (result.status, result.err.splitlines()[0]) == (1, "Error: Partner not found.")
    result = run_command(partner.app, "partners", "register", "x" * 256)
    assert (result.status, result.err.splitlines()[1]) == (1, f"  partner: {INVALID_PARTNER_ID.detail}")
