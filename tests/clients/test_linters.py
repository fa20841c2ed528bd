"""Redocly and Spectral, with their recommended rules, find no error in the document, and the warnings listed here."""

from __future__ import annotations

import json
import shutil
from typing import NamedTuple

import pytest

from tests.clients.conftest import Host
from tests.clients.tools import DRIVERS, make_folder, run

pytestmark = [pytest.mark.slow, pytest.mark.clients]


class Warnings(NamedTuple):
    """The messages of a rule that stay, and why."""

    rule: str
    messages: list[str]
    reason: str


AMBIGUOUS = (
    "Paths should resolve unambiguously. Found two ambiguous paths: "
    "`/tenants/by-external-id/{{external_id}}` and `/tenants/{{tenant_id}}/{}`."
)
ACTIONS = ["invitations", "move", "provisioning", "reactivate", "restore", "settings", "suspend"]
PERMISSIONS = [
    "bulk:create",
    "bulk:read",
    "client:read",
    "client:write",
    "event:read",
    "invitation:read",
    "invitation:write",
    "metrics:read",
    "partner:manage",
    "partner:read",
    "settings:read",
    "settings:update",
    "tenant:create",
    "tenant:delete",
    "tenant:read",
    "tenant:update",
    "webhook:manage",
    "webhook:read",
]
#: Where Spectral takes the example of an explanation for a schema, since it has the members `type` and `example`: the
#: one error that it reports is no fault.
EXAMPLE = ["paths", "/problems/{code}", "get", "responses", "200", "content", "application/json", "example", "example"]
#: The tests compare all of it: what has gone is removed from the list.
REDOCLY = [
    Warnings(
        "no-ambiguous-paths",
        [AMBIGUOUS.format(action) for action in ACTIONS],
        "the id of a tenant is a UUID, and never `by-external-id`",
    ),
    Warnings(
        "no-invalid-media-type-examples",
        ['Example validation errored: discriminator: "properties/code" must have "const" or "enum".'],
        "a union of problems ends with `OtherProblem`, whose code is any text, for the codes of a later release",
    ),
]
SPECTRAL = [
    Warnings("info-contact", ['Info object must have "contact" object.'], "the host has one, where it sets one"),
    Warnings(
        "oas3-operation-security-defined",
        [f'"{permission}" must be listed among scopes.' for permission in PERMISSIONS],
        "OpenAPI 3.1 lets the requirement of any scheme name roles; Spectral knows those of OAuth 2 alone",
    ),
]


def list_pairs(accepted: list[Warnings]) -> set[tuple[str, str]]:
    """Return all pairs of a rule and a message."""
    return {(warnings.rule, message) for warnings in accepted for message in warnings.messages}


def test_redocly_warns_of_nothing_new(host: Host) -> None:
    folder = make_folder("redocly")
    shutil.copy(host.document, folder / "openapi.json")
    run(folder, "sh", "-c", "redocly lint --extends recommended --format json openapi.json >report.json")
    problems = json.loads((folder / "report.json").read_text())["problems"]
    assert [problem for problem in problems if problem["severity"] == "error"] == []
    assert {(problem["ruleId"], problem["message"]) for problem in problems} == list_pairs(REDOCLY)


def test_spectral_warns_of_nothing_new(host: Host) -> None:
    folder = make_folder("spectral")
    shutil.copy(host.document, folder / "openapi.json")
    shutil.copy(DRIVERS.parent / "spectral.yaml", folder / ".spectral.yaml")
    run(folder, "spectral", "lint", "--format=json", "--output=report.json", "openapi.json", status=(0, 1))
    problems = json.loads((folder / "report.json").read_text())
    errors = [problem["path"] for problem in problems if problem["severity"] == 0]
    assert errors == [EXAMPLE]
    warnings = {(problem["code"], problem["message"]) for problem in problems if problem["severity"] != 0}
    assert warnings == list_pairs(SPECTRAL)
