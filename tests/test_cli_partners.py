"""``flask provisioning partners``."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask

from flask_tenant_provisioning.validation import INVALID_PARTNER_ID
from tests.commands import run
from tests.support.events import followed
from tests.world import Caller


def said(app: Flask, *arguments: str) -> list[dict[str, Any]]:
    """What the command prints as JSON."""
    done = run(app, "partners", *arguments, "--json")
    assert (done.status, done.err) == (0, ""), done
    return [json.loads(line) for line in done.out.splitlines()]


def test_a_partner_is_registered_and_changed(partner: Caller) -> None:
    (made,) = said(partner.app, "register", partner.partner, "--name", "Acme", "--contact", "ops@acme.example")
    assert (made["partner"], made["name"], made["contact"], made["status"]) == (
        partner.partner,
        "Acme",
        "ops@acme.example",
        "active",
    )
    assert said(partner.app, "show", partner.partner) == [made]
    (changed,) = said(partner.app, "update", partner.partner, "--name", "Acme Ltd")
    assert changed == {**made, "name": "Acme Ltd", "version": made["version"] + 1, "updated_at": changed["updated_at"]}
    assert [event["type"] for event in followed(partner)] == ["partner.updated", "partner.updated"]


def test_quotas_and_plans_are_set_and_unset(partner: Caller) -> None:
    (made,) = said(partner.app, "register", partner.partner, "--max-tenants", "2", "--allowed-plan", "pro")
    assert (made["max_tenants"], made["allowed_plans"]) == (2, ["pro"])
    (found,) = said(partner.app, "update", partner.partner, "--allowed-plan", "pro", "--allowed-plan", "free")
    assert (found["max_tenants"], found["allowed_plans"]) == (2, ["pro", "free"])
    (found,) = said(partner.app, "update", partner.partner, "--allow-no-plan", "--unset", "max-tenants")
    assert (found["max_tenants"], found["allowed_plans"]) == (None, [])
    (found,) = said(partner.app, "update", partner.partner, "--unset", "allowed-plans")
    assert found["allowed_plans"] is None
    done = run(partner.app, "partners", "update", partner.partner, "--max-tenants", "-1")
    whole = "max_tenants: Must be a whole number from 0 to 2000000000."
    assert (done.status, done.err.splitlines()[1].strip()) == (1, whole)
    for wrong in (["--max-tenants", "1", "--unset", "max-tenants"], ["--allow-no-plan", "--allowed-plan", "pro"]):
        assert run(partner.app, "partners", "update", partner.partner, *wrong).status == 2


def test_a_partner_is_put_below_another(make_app: Any) -> None:
    app = make_app()
    (top,) = said(app, "register", "top")
    (low,) = said(app, "register", "low", "--parent", "top")
    assert low["parent"] == "top"
    assert said(app, "list", "--parent", "top") == [low]
    done = run(app, "partners", "update", "top", "--parent", "low")
    circle = "parent: Must be neither the partner itself nor one below it."
    assert (done.status, done.err.splitlines()[1].strip()) == (1, circle)
    (low,) = said(app, "update", "low", "--unset", "parent")
    assert (low["parent"], said(app, "show", "top")) == (None, [top])


def test_what_an_operator_creates_counts_too(make_app: Any) -> None:
    app = make_app()
    said(app, "register", "acme", "--max-tenants", "1")
    create = ("tenants", "create", "--partner", "acme", "--client-name", "Example Corp", "--email")
    assert run(app, *create, "a@example.com").status == 0
    done = run(app, *create, "b@example.com")
    refusal = "Error: Quota exceeded: The partner's limit of 1 tenants is reached."
    assert (done.status, done.err.splitlines()[0]) == (1, refusal)


def test_a_suspended_partner_is_refused_until_it_is_reactivated(make_app: Any) -> None:
    app = make_app(PROVISIONING_PARTNER_CACHE_SECONDS=0)
    partner = Caller(app)
    assert partner("GET", "/tenants").status_code == 200
    (found,) = said(app, "suspend", partner.partner, "--reason", "unpaid")
    assert (found["status"], found["suspended_reason"]) == ("suspended", "unpaid")
    assert partner("GET", "/tenants").get_json()["code"] == "partner-suspended"
    assert said(app, "list", "--status", "suspended") == [found]
    (found,) = said(app, "reactivate", partner.partner)
    assert (found["status"], found["suspended_reason"]) == ("active", None)
    assert partner("GET", "/tenants").status_code == 200


def test_a_list_is_a_table(make_app: Any) -> None:
    app = make_app()
    for name in ("b", "a"):
        said(app, "register", name)
    done = run(app, "partners", "list", "--limit", "1")
    heading, line = done.out.splitlines()
    columns = ["partner", "status", "name", "contact", "parent", "max_tenants", "suspended_reason", "created_at"]
    assert heading.split() == columns
    assert line.split()[:7] == ["a", "active", "-", "-", "-", "-", "-"]
    assert done.err == "There are more: --limit 0 lists them all.\n"
    assert run(app, "partners", "list", "--status", "suspended") == (0, "", "There are no such partners.\n")


def test_what_is_wrong_is_told(partner: Caller) -> None:
    for command in ("show", "update", "suspend", "reactivate"):
        done = run(partner.app, "partners", command, f"no-{partner.partner}")
        assert (done.status, done.err.splitlines()[0]) == (1, "Error: Partner not found.")
    done = run(partner.app, "partners", "register", "x" * 256)
    assert (done.status, done.err.splitlines()[1]) == (1, f"  partner: {INVALID_PARTNER_ID.detail}")
