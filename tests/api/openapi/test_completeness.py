"""Every part of the document has a description and an example, and every object a name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields

from flask_tenant_provisioning import TenantProvisioning
from tests.support import hosts
from tests.support.openapi import DocumentedHost

Part = dict[str, Any]


class BillingFields(Schema):
    """Fields of a host, described by it."""

    region = fields.String(metadata={"description": "Where.", "example": "eu"})


class MailSettings(Schema):
    """Mail settings."""

    daily = fields.Integer(load_default=100, metadata={"description": "Mails a day.", "example": 50})


def make_plain_host(tmp_path: Any) -> Any:
    return hosts.make_host(f"sqlite:///{tmp_path}/x.sqlite3")


def make_full_host(tmp_path: Any) -> Any:
    """A host with its own fields, settings, plans, rate limits, hooks and problems."""
    config = hosts.make_config(PROVISIONING_PLANS=["gold"], PROVISIONING_RATE_LIMITS={"write": "2/hour"})
    app = Flask("host")
    app.config.update(config)
    provisioning = TenantProvisioning()
    provisioning.init_app(app, f"sqlite:///{tmp_path}/x.sqlite3")
    provisioning.tenant_fields(BillingFields, filterable=["region"])
    provisioning.settings("mail", MailSettings)
    provisioning.map_error(KeyError, status=409, code="no-room")
    provisioning.hook("tenant.create")(lambda: None)
    return app


@pytest.fixture(scope="module", params=[make_plain_host, make_full_host])
def document(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Part:
    documented = DocumentedHost(request.param(tmp_path_factory.mktemp("complete")))
    return documented.document


def follow(document: Part, part: Part) -> Part:
    """Return what a reference names, or the part itself."""
    if "$ref" not in part:
        return part
    _, _, kind, name = part["$ref"].split("/")
    named: Part = document["components"][kind][name]
    return named


def iter_operations(document: Part) -> Iterator[Part]:
    for section in (document["paths"], document["components"]["pathItems"]):
        for methods in section.values():
            yield from methods.values()


def iter_properties(document: Part) -> Iterator[tuple[str, Part]]:
    for name, schema in document["components"]["schemas"].items():
        for part in (schema, *schema.get("allOf", ())):
            for field, described in part.get("properties", {}).items():
                yield f"{name}.{field}", follow(document, described)


def iter_parameters(document: Part) -> Iterator[tuple[str, Part]]:
    for operation in iter_operations(document):
        for parameter in operation["parameters"]:
            described = follow(document, parameter)
            yield f"{operation['operationId']}: {described['name']}", described


def iter_bodies(document: Part) -> Iterator[tuple[str, Part]]:
    for operation in iter_operations(document):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        for body in (*bodies, *operation["responses"].values()):
            yield operation["operationId"], follow(document, body)


def has_example(document: Part, schema: Part) -> bool:
    """Return whether a value of `schema` has an example, or consists of values that do."""
    named = follow(document, schema)
    if "examples" in named or "allOf" in named or named.get("type") == "object":
        return True
    parts = [*named.get("anyOf", ()), *([named["items"]] if "items" in named else [])]
    return any(has_example(document, part) for part in parts if "$ref" in part or "examples" in part)


def test_every_property_has_a_description_and_an_example(document: Part) -> None:
    properties = dict(iter_properties(document))
    assert len(properties) > 300
    assert [name for name, schema in properties.items() if not schema.get("description")] == []
    assert [name for name, schema in properties.items() if not has_example(document, schema)] == []


def test_every_schema_has_a_description(document: Part) -> None:
    schemas = document["components"]["schemas"]
    assert [name for name, schema in schemas.items() if not schema.get("description")] == []


def test_every_parameter_has_a_description_and_an_example(document: Part) -> None:
    parameters = dict(iter_parameters(document))
    assert len(parameters) > 200
    assert [name for name, parameter in parameters.items() if not parameter.get("description")] == []
    assert [name for name, parameter in parameters.items() if "examples" not in parameter["schema"]] == []


def test_every_header_has_a_description_and_an_example(document: Part) -> None:
    headers = document["components"]["headers"]
    used = {name for _, body in iter_bodies(document) for name in body.get("headers", ())}
    assert headers.keys() == used
    assert [name for name, header in headers.items() if not header["description"]] == []
    assert [name for name, header in headers.items() if not header["schema"]["examples"]] == []


def test_every_body_has_a_description_and_an_example(document: Part) -> None:
    bodies = list(iter_bodies(document))
    assert [name for name, body in bodies if not body["description"]] == []
    lacking = [
        f"{name} {media_type}"
        for name, body in bodies
        for media_type, content in body.get("content", {}).items()
        if not {"example", "examples"} & content.keys() and "examples" not in follow(document, content["schema"])
    ]
    assert lacking == []


def test_every_object_has_a_name(document: Part) -> None:
    schemas = document["components"]["schemas"]
    nested = [*iter_nodes(document["paths"]), *iter_nodes(document["components"]["pathItems"])]
    for schema in schemas.values():
        own = [schema, *schema.get("allOf", ())]
        nested += [part for part in iter_nodes(schema) if not any(part is top for top in own)]
    assert [part for part in nested if part.get("type") == "object" and "properties" in part] == []


def test_requests_are_closed_and_answers_are_open(document: Part) -> None:
    for name, schema in document["components"]["schemas"].items():
        if "properties" in schema:
            is_request = name.endswith(("Input", "Patch"))
            assert (schema.get("additionalProperties") is False) is is_request, name


def test_choices_have_no_further_limits(document: Part) -> None:
    limits = {"minLength", "maxLength", "pattern"}
    assert [part for part in iter_nodes(document) if isinstance(part.get("enum"), list) and limits & part.keys()] == []


def test_summaries_are_plain_text(document: Part) -> None:
    for operation in iter_operations(document):
        assert operation["summary"], operation["operationId"]
        assert not set("`*_[]<>\n") & set(operation["summary"]), operation["summary"]
        assert len(operation["summary"]) <= 80, operation["summary"]


def iter_nodes(node: Any) -> Iterator[Part]:
    """Yield each object of the document, `node` included, except examples."""
    if isinstance(node, list):
        for item in node:
            yield from iter_nodes(item)
    elif isinstance(node, dict):
        yield node
        for name, value in node.items():
            if name not in ("example", "examples"):
                yield from iter_nodes(value)


def test_a_response_has_four_links_at_most(document: Part) -> None:
    counts = [len(response.get("links", ())) for _, response in iter_bodies(document)]
    assert max(counts) == 4


def test_tags_are_described_in_a_reading_order(document: Part) -> None:
    tags = document["tags"]
    assert [tag["name"] for tag in tags] == [
        "tenants", "bulk", "steps", "invitations", "settings", "events", "webhooks", "clients", "partners", "usage",
        "health", "openapi",
    ]  # fmt: skip
    assert all(tag["description"].endswith(".") for tag in tags)
