"""Settings as they are described: in JSON Schema for forms, and in the API's own document."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from marshmallow import Schema, fields

from tests.support import tenant_settings
from tests.support.assertions import assert_invalid_parameters
from tests.support.callers import Caller
from tests.support.database.rows import open_host
from tests.support.hosts import PREFIX
from tests.support.tenant_settings import MASK, patch_settings, read_settings, settings_path


class Place(Schema):
    """A place."""

    city = fields.String(required=True)


class PlaceSettings(Schema):
    main = fields.Nested(Place)
    others = fields.List(fields.Nested(Place))
    key = fields.String(load_default="hunter22", metadata={"secret": True, "description": "For the door."})


NAMESPACES = {**tenant_settings.NAMESPACES, "place": PlaceSettings}


@pytest.fixture(scope="module")
def app(request: pytest.FixtureRequest, database: str) -> Iterator[Flask]:
    """One host with settings for all tests of this module."""
    with open_host(request, database, make=tenant_settings.make_host, namespaces=NAMESPACES) as new_app:
        yield new_app


pytestmark = pytest.mark.one_database


@pytest.fixture
def schema(partner: Caller) -> Any:
    response = partner.with_roles("partner-viewer")("GET", "/settings-schema")
    assert (response.status_code, response.content_type) == (200, "application/json")
    return response.get_json()


def test_schema_describes_every_namespace(schema: Any) -> None:
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert [*schema["properties"]] == ["mail", "look", "free", "place"]
    mail = schema["properties"]["mail"]
    assert (mail["description"], mail["additionalProperties"]) == ("Mail settings.", False)
    assert mail["properties"]["from"] == {"type": "string", "format": "email", "default": "noreply@example.com"}
    assert mail["properties"]["password"] == {"type": "string", "minLength": 4, "writeOnly": True}
    assert mail["properties"]["region"] == {"type": "string", "enum": ["eu", "us"], "x-immutable": True}
    assert schema["properties"]["place"]["properties"]["key"] == {
        "type": "string", "description": "For the door.", "writeOnly": True,
    }  # fmt: skip
    assert schema["properties"]["place"]["properties"]["main"]["$ref"] == "#/$defs/Place"
    assert "hunter22" not in str(schema)


@pytest.mark.parametrize(
    ("sent", "is_valid"),
    [
        ({}, True),
        ({"mail": {"daily": 5, "note": None}, "place": {"main": {"city": "Faro"}}}, True),
        ({"mail": {"daily": "5"}}, False),
        ({"mail": {"region": "mars"}}, False),
        ({"mail": {"colour": "red"}}, False),
        ({"nothing": {}}, False),
        ({"place": {"others": [{}]}}, False),
    ],
    ids=str,
)
def test_the_schema_and_the_api_take_the_same(partner: Caller, schema: Any, sent: Any, is_valid: bool) -> None:
    assert Draft202012Validator(schema).is_valid(sent) is is_valid
    response = partner("PUT", settings_path(partner.create()), json=sent)
    assert (response.status_code == 200) is is_valid, response.text


def test_schema_route_takes_no_parameters_and_needs_a_permission(partner: Caller) -> None:
    unknown = ("#/limit", "unknown-field", "There is no such field.")
    assert_invalid_parameters(partner("GET", "/settings-schema?limit=1"), unknown)
    assert partner.with_roles("nobody")("GET", "/settings-schema").status_code == 403
    assert partner.app.test_client().get(f"{PREFIX}/settings-schema").status_code == 401


# The API's document.


@pytest.fixture(scope="module")
def document(app: Flask) -> Any:
    return app.test_client().get(f"{PREFIX}/openapi.json").get_json()


def fits(document: Any, component: str, value: Any) -> bool:
    """Return whether `value` matches the documented schema."""
    whole = {"$ref": f"#/components/schemas/{component}", "components": copy.deepcopy(document["components"])}
    return bool(Draft202012Validator(whole).is_valid(value))


def test_responses_match_the_openapi_document(partner: Caller, document: Any) -> None:
    tenant = partner.create()
    for response in (
        read_settings(partner, tenant),
        patch_settings(
            partner,
            settings_path(tenant),
            {"mail": {"password": "hunter22", "note": "x"}, "place": {"others": [{"city": "Faro"}]}},
        ),
    ):
        assert fits(document, "Settings", response)
        assert fits(document, "ExplicitSettingsInput", response["explicit"])
    assert not fits(document, "Settings", {**response, "explicit": {"mail": {"password": "hunter22"}}})
    assert not fits(document, "ExplicitSettingsInput", {"mail": {"colour": "red"}})
    assert fits(document, "SettingsHistory", partner("GET", f"{settings_path(tenant)}/history").get_json())


@pytest.mark.parametrize(
    ("patch", "is_valid"),
    [
        ({"mail": None}, True),
        ({"mail": {"daily": None, "password": MASK, "region": None, "headers": {"x": None}}}, True),
        ({"place": {"main": {"city": None}, "key": None}}, True),
        ({"mail": {"daily": "5"}}, False),
        ({"nothing": None}, False),
        ({"mail": {"nothing": None}}, False),
    ],
    ids=str,
)
def test_the_document_describes_patches(document: Any, patch: Any, is_valid: bool) -> None:
    assert fits(document, "ExplicitSettingsPatch", patch) is is_valid


def test_examples_are_such_as_are_answered(partner: Caller, document: Any) -> None:
    components = document["components"]["schemas"]
    assert components["Settings"]["examples"] == [read_settings(partner, partner.create())]
    for name in ("Settings", "SettingsVersion", "SettingsHistory", "RollbackInput", "ExplicitSettingsPatch"):
        assert fits(document, name, components[name]["examples"][0])


def test_a_link_takes_the_version_of_a_tenant_for_writes_to_the_tenant_alone(document: Any) -> None:
    links = document["components"]["links"]
    parameters = {name: link["parameters"] for name, link in links.items() if name.startswith("TenantTo")}
    assert parameters["TenantToPatchTenant"]["If-Match"] == "$response.header.ETag"
    assert parameters["TenantToReadSettings"] == {"tenant_id": "$response.body#/tenant"}
