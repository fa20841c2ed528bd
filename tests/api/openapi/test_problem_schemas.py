"""Each problem code has a schema with its own members, and a client that meets an unknown code keeps working."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

import flask_tenant_provisioning
from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.errors import ProvisioningError, iter_problem_classes
from flask_tenant_provisioning.openapi.problem_types import list_members
from tests.support import hosts
from tests.support.openapi import DocumentedHost

KINDS = {kind.__name__: kind for kind in iter_problem_classes()}
#: What `ProvisioningError` and `Refused` take beside further members.
OWN_ARGUMENTS = {"detail", "errors", "headers", "status"}
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DocumentedHost]:
    app = hosts.make_host(f"sqlite:///{tmp_path_factory.mktemp('problems')}/x.sqlite3")
    yield DocumentedHost(app)
    hosts.get_engine(app).dispose()


def build_problem(code: str, status: int, **members: Any) -> dict[str, Any]:
    head = {
        "type": "x",
        "title": "x",
        "status": status,
        "code": code,
        "detail": "x",
        "instance": "/",
        "request_id": "1",
    }
    return {**head, **members}


def test_tenant_exists_has_the_field_and_the_tenant(documented: DocumentedHost) -> None:
    base, own = documented.component("schemas", "TenantExistsProblem")["allOf"]
    assert base == {"$ref": "#/components/schemas/Problem"}
    assert own["required"] == ["code", "field"]
    assert {name: schema["type"] for name, schema in own["properties"].items()} == {
        "code": "string", "field": "string", "conflicting_tenant": "string",
    }  # fmt: skip


def test_a_conflict_is_one_of_its_problems_or_a_new_one(documented: DocumentedHost) -> None:
    schema = documented.find_response("POST", "/tenants", 409)["content"][PROBLEM]["schema"]
    assert schema == {"$ref": "#/components/schemas/TenantExistsOrIdempotencyInProgressError"}
    known = build_problem("tenant-exists", 409, field="email")
    assert documented.errors(schema, known) == []
    assert documented.errors(schema, build_problem("brand-new", 409, anything=[1])) == []
    assert documented.errors(schema, build_problem("tenant-not-found", 404)) != []
    assert documented.errors(schema, {**known, "field": 1}) != []
    assert documented.errors(schema, {**known, "surprise": 1}) != []


def test_every_error_has_a_discriminator_by_code(documented: DocumentedHost) -> None:
    schemas = documented.document["components"]["schemas"]
    errors = {name: schema for name, schema in schemas.items() if name.endswith("Error") and "anyOf" in schema}
    assert len(errors) == len(documented.document["components"]["responses"])
    for schema in errors.values():
        *known, other = [alternative["$ref"] for alternative in schema["anyOf"]]
        assert other == "#/components/schemas/OtherProblem"
        assert schema["discriminator"]["propertyName"] == "code"
        assert list(schema["discriminator"]["mapping"].values()) == known
        for code, reference in schema["discriminator"]["mapping"].items():
            _, own = schemas[reference.rpartition("/")[2]]["allOf"]
            assert own["properties"]["code"]["enum"] == [code]


def test_no_problem_fixes_its_status(documented: DocumentedHost) -> None:
    for name, schema in documented.document["components"]["schemas"].items():
        if name.endswith("Problem") and "allOf" in schema:
            assert "status" not in schema["allOf"][1]["properties"], name


def test_component_names_are_plain_words(documented: DocumentedHost) -> None:
    components = documented.document["components"]
    for kind in ("schemas", "responses", "links"):
        assert [name for name in components[kind] if not re.fullmatch("[A-Za-z][A-Za-z0-9]*", name)] == []


def test_component_names_are_the_same_in_every_process(tmp_path: Any, documented: DocumentedHost) -> None:
    other = DocumentedHost(hosts.make_host(f"sqlite:///{tmp_path}/x.sqlite3"))
    assert list(other.document["components"]["responses"]) == list(documented.document["components"]["responses"])


@pytest.mark.parametrize(("code", "word"), [("billing-refused", "BillingRefused"), ("other", "HostOther")])
def test_a_host_problem_has_a_schema(tmp_path: Any, code: str, word: str) -> None:
    app = Flask("host")
    app.config.update(hosts.make_config())
    provisioning = TenantProvisioning()
    provisioning.init_app(app, f"sqlite:///{tmp_path}/x.sqlite3")
    provisioning.map_error(KeyError, status=409, code=code, meaning="The bill is not paid.")
    provisioning.hook("tenant.create")(lambda: None)
    documented = DocumentedHost(app)
    assert documented.component("schemas", f"{word}Problem")["description"] == "The bill is not paid."
    schema = documented.find_response("POST", "/tenants", 409)["content"][PROBLEM]["schema"]
    assert documented.errors(schema, build_problem(code, 409)) == []
    assert list(OpenAPIV31SpecValidator(documented.document).iter_errors()) == []


def find_given_members() -> Iterator[tuple[str, set[str]]]:
    """Yield each call of a problem class in the package, with the members that it is given."""
    for path in Path(flask_tenant_provisioning.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name in KINDS and name != ProvisioningError.__name__:
                    yield name, {keyword.arg for keyword in node.keywords if keyword.arg} - OWN_ARGUMENTS


def test_every_member_that_a_problem_is_given_is_documented() -> None:
    calls = list(find_given_members())
    assert ("TenantExists", {"field"}) in calls
    missing = {(name, member) for name, members in calls for member in members - set(list_members(KINDS[name]))}
    assert missing == set()
