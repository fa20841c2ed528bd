"""Settings as they are described: in JSON Schema for forms, and in the API's own document."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from marshmallow import Schema, fields

from tests import own_settings
from tests.own_settings import MASK, at, change, read
from tests.refusals import invalid_parameter
from tests.witness import hosted
from tests.world import PREFIX, Caller


class Place(Schema):
    """Where it is."""

    city = fields.String(required=True)


class PlaceSettings(Schema):
    main = fields.Nested(Place)
    others = fields.List(fields.Nested(Place))
    key = fields.String(load_default="hunter22", metadata={"secret": True, "description": "For the door."})


NAMESPACES = {**own_settings.NAMESPACES, "place": PlaceSettings}


@pytest.fixture(scope="module")
def app(request: pytest.FixtureRequest, database: str) -> Iterator[Flask]:
    """One host with settings for all tests of this module."""
    with hosted(request, database, make=own_settings.host, namespaces=NAMESPACES) as made:
        yield made


pytestmark = pytest.mark.one_database


@pytest.fixture
def schema(partner: Caller) -> Any:
    answer = partner.as_("partner-viewer")("GET", "/settings-schema")
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    return answer.get_json()


def test_the_schema_is_one_and_says_what_can_be_set(schema: Any) -> None:
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert [*schema["properties"]] == ["mail", "look", "free", "place"]
    mail = schema["properties"]["mail"]
    assert (mail["description"], mail["additionalProperties"]) == ("How mail is sent.", False)
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
    answer = partner("PUT", at(partner.create()), json=sent)
    assert (answer.status_code == 200) is is_valid, answer.text


def test_the_schema_has_no_parameters_and_is_not_for_everybody(partner: Caller) -> None:
    unknown = ("#/limit", "unknown-field", "There is no such field.")
    invalid_parameter(partner("GET", "/settings-schema?limit=1"), unknown)
    assert partner.as_("nobody")("GET", "/settings-schema").status_code == 403
    assert partner.app.test_client().get(f"{PREFIX}/settings-schema").status_code == 401


# The API's document.


@pytest.fixture(scope="module")
def document(app: Flask) -> Any:
    return app.test_client().get(f"{PREFIX}/openapi.json").get_json()


def fits(document: Any, component: str, value: Any) -> bool:
    """Whether `value` is such as the document describes."""
    whole = {"$ref": f"#/components/schemas/{component}", "components": copy.deepcopy(document["components"])}
    return bool(Draft202012Validator(whole).is_valid(value))


def test_the_document_describes_what_is_answered(partner: Caller, document: Any) -> None:
    tenant = partner.create()
    for found in (
        read(partner, tenant),
        change(
            partner,
            at(tenant),
            {"mail": {"password": "hunter22", "note": "x"}, "place": {"others": [{"city": "Faro"}]}},
        ),
    ):
        assert fits(document, "Settings", found)
        assert fits(document, "ExplicitSettingsInput", found["explicit"])
    assert not fits(document, "Settings", {**found, "explicit": {"mail": {"password": "hunter22"}}})
    assert not fits(document, "Settings", {**found, "explicit": {"mail": {"colour": "red"}}})
    assert fits(document, "SettingsHistory", partner("GET", f"{at(tenant)}/history").get_json())


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
    assert components["Settings"]["examples"] == [read(partner, partner.create())]
    for name in ("Settings", "SettingsVersion", "SettingsHistory", "RollbackInput", "ExplicitSettingsPatch"):
        assert fits(document, name, components[name]["examples"][0])


def test_no_link_takes_the_version_of_a_tenant_for_that_of_its_settings(document: Any) -> None:
    links = document["components"]["links"]
    parameters = {name: link["parameters"] for name, link in links.items() if name.startswith("Tenant.")}
    assert parameters["Tenant.patch_tenant"]["If-Match"] == "$response.header.ETag"
    assert parameters["Tenant.patch_settings"] == {"tenant_id": "$response.body#/tenant"}
