"""A problem lists 100 errors at most, in pointers of a bounded length, however much is wrong with the input."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_tenant_provisioning.validation import MAX_DETAIL_LENGTH, MAX_ERRORS, MAX_POINTER_LENGTH
from tests.support import custom_fields, tenant_settings
from tests.support.assertions import check_problem
from tests.support.bulk import Bulk
from tests.support.callers import Caller
from tests.support.database.rows import open_host

MANY = 40_000
#: Small answers to large mistakes: 100 entries with room for their pointers and details.
LARGEST_ANSWER = 150_000
pytestmark = pytest.mark.one_database("an input is read before any database is asked")


@pytest.fixture(scope="module")
def app(request: pytest.FixtureRequest, database: str) -> Iterator[Flask]:
    """One host with fields and settings of its own for all tests of this module."""
    with open_host(request, database, make=tenant_settings.make_host) as new_app:
        yield new_app


@pytest.fixture
def with_fields(make_app: Any, database_url: str) -> Caller:
    """A partner of a host whose tenants have fields of its own."""
    return Caller(custom_fields.make_host(database_url))


def require_ceiling(response: TestResponse, total: int, code: str = "validation-error", what: str = "field") -> None:
    """Assert that `response` lists 100 of `total` errors and counts the others."""
    document = check_problem(
        response, code=code, detail=f"{total} {what}s are invalid.", errors_omitted=total - MAX_ERRORS
    )
    pointers = [error["pointer"] for error in document["errors"]]
    assert (len(pointers), pointers) == (MAX_ERRORS, sorted(pointers))
    assert len(response.data) < LARGEST_ANSWER


def test_unknown_fields_are_listed_up_to_the_ceiling(partner: Caller) -> None:
    body = {**{f"x{n}": 0 for n in range(MANY)}, "email": "nobody"}
    response = partner("POST", "/tenants", data=json.dumps(body), content_type="application/json")
    require_ceiling(response, MANY + 2)
    unknown = {f"#/x{n}" for n in range(MAX_ERRORS - 2)}
    assert {error["pointer"] for error in response.get_json()["errors"]} == {"#/email", "#/client_name", *unknown}


@pytest.mark.parametrize("count", [MAX_ERRORS, MAX_ERRORS + 1])
def test_the_ceiling_is_100(partner: Caller, count: int) -> None:
    body = {"client_name": "x", "email": "a@example.com", **{f"x{n}": 0 for n in range(count)}}
    document = check_problem(partner("POST", "/tenants", json=body), detail=f"{count} fields are invalid.")
    assert (len(document["errors"]), document.get("errors_omitted")) == (100, None if count == 100 else 1)


def test_unknown_query_parameters_are_listed_up_to_the_ceiling(partner: Caller) -> None:
    query = "&".join(f"{n:x}" for n in range(MANY))
    for path in ("/docs", "/tenants", "/health/live"):
        require_ceiling(partner("GET", f"{path}?{query}"), MANY, "invalid-parameter", "query parameter")


@pytest.mark.parametrize("value", ["x", "\0"])
def test_repeated_query_parameters_are_listed_up_to_the_ceiling(partner: Caller, value: str) -> None:
    query = {f"{n:x}": [value, value] for n in range(500)}
    require_ceiling(partner("GET", "/tenants", query_string=query), 500, "invalid-parameter", "query parameter")


def test_wrong_metadata_is_listed_up_to_the_ceiling(partner: Caller) -> None:
    metadata = {f"{n:x}": 0 for n in range(MANY)}
    require_ceiling(partner("POST", "/tenants", json={**partner_body(), "metadata": metadata}), MANY + 1)
    tenant = f"/tenants/{partner.create()['tenant']}"
    require_ceiling(partner("PATCH", tenant, json={"metadata": metadata}), MANY)


def test_settings_are_listed_up_to_the_ceiling(partner: Caller) -> None:
    settings = f"/tenants/{partner.create()['tenant']}/settings"
    for method in ("PUT", "PATCH"):
        require_ceiling(partner(method, settings, json={f"x{n}": {} for n in range(MANY)}), MANY)
        require_ceiling(partner(method, settings, json={"mail": {f"x{n}": 0 for n in range(MANY)}}), MANY)
    headers = {f"{n:x}": 0 for n in range(500)}
    require_ceiling(partner("PUT", settings, json={"mail": {"headers": headers}}), 500)


def test_too_many_settings_are_refused_before_validation(partner: Caller) -> None:
    settings = f"/tenants/{partner.create()['tenant']}/settings"
    response = partner("PUT", settings, json={"mail": {"headers": {f"{n:x}": 0 for n in range(MANY)}}})
    assert [error["code"] for error in check_problem(response)["errors"]] == ["too-large"]


def test_own_fields_are_listed_up_to_the_ceiling(with_fields: Caller) -> None:
    body = {**partner_body(), "region": "eu", "limits": {f"{n:x}": "many" for n in range(2000)}}
    require_ceiling(with_fields("POST", "/tenants", json=body), 2000)
    body = {**partner_body(), "region": "eu", "contacts": [{"x": 1} for _ in range(1000)]}
    require_ceiling(with_fields("POST", "/tenants", json=body), 2000)


def test_too_many_custom_fields_are_refused_before_validation(with_fields: Caller) -> None:
    body = {**partner_body(), "region": "eu", "extra": {f"{n:x}": 0 for n in range(MANY)}}
    assert [error["code"] for error in check_problem(with_fields("POST", "/tenants", json=body))["errors"]] == [
        "too-large"
    ]


def test_a_row_lists_errors_up_to_the_ceiling(app: Flask, partner: Caller) -> None:
    rows = [{f"x{n}": 0 for n in range(5000)}, {**partner_body(), "metadata": {f"{n:x}": 0 for n in range(5000)}}]
    for result in Bulk(app, partner).do("create", rows):
        assert result.problem is not None
        assert (len(result.problem["errors"]), result.problem["errors_omitted"] >= 4900) == (MAX_ERRORS, True)
        assert len(json.dumps(result.problem)) < LARGEST_ANSWER


@pytest.mark.parametrize(
    ("name", "pointer"),
    [
        ("a" * 510, "#/" + "a" * 510),
        ("a" * 511, "#"),
        ("ü" * 85, "#/" + "%C3%BC" * 85),
        ("ü" * 86, "#"),
        ("~" * 255, "#/" + "~0" * 255),
        ("~" * 256, "#"),
        ("/" * 900_000, "#"),
    ],
    ids=lambda value: f"{value[:3]}-{len(value)}",
)
def test_a_pointer_is_bounded(partner: Caller, name: str, pointer: str) -> None:
    response = partner("POST", "/tenants", json={**partner_body(), name: 0})
    detail = "There is no such field." if pointer != "#" else f"There is no such field. In: {name[:40]}…"
    assert check_problem(response)["errors"] == [{"pointer": pointer, "code": "unknown-field", "detail": detail}]


def test_a_long_key_of_metadata_points_at_the_metadata(partner: Caller) -> None:
    response = partner("POST", "/tenants", json={**partner_body(), "metadata": {"k" * 5000: "x"}})
    (error,) = check_problem(response)["errors"]
    assert (error["pointer"], error["code"]) == ("#/metadata", "invalid-key")
    assert len(error["detail"]) < 200


def test_a_detail_is_bounded(make_app: Any, database_url: str) -> None:
    from marshmallow import Schema, ValidationError, fields

    class Echoing(Schema):
        note = fields.String()

        def on_bind_field(self, field_name: str, field_obj: Any) -> None:
            field_obj.validators = [self._refuse]

        def _refuse(self, value: str) -> None:
            raise ValidationError(f"Not valid: {value}")

    partner = Caller(custom_fields.make_host(database_url, Echoing, ()))
    (error,) = check_problem(partner("POST", "/tenants", json={**partner_body(), "note": "x" * 20_000}))["errors"]
    assert (error["pointer"], len(error["detail"])) == ("#/note", MAX_DETAIL_LENGTH + 1)


def test_the_document_states_the_ceiling(partner: Caller) -> None:
    schemas = partner("GET", "/openapi.json").get_json()["components"]["schemas"]
    schema = schemas["Problem"]["properties"]
    assert schema["errors"]["maxItems"] == MAX_ERRORS
    assert schemas["InputError"]["properties"]["pointer"]["maxLength"] == MAX_POINTER_LENGTH
    assert schema["errors_omitted"]["type"] == "integer"


def partner_body() -> dict[str, Any]:
    """A valid tenant."""
    return {"client_name": "Example Corp", "email": f"u{time.time_ns():x}@example.com"}
