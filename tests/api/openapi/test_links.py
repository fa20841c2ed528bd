"""The document's links lead a client through all that can become of a tenant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator
from werkzeug.test import TestResponse

from tests.support import hosts
from tests.support.callers import EXAMPLE, Caller
from tests.support.hosts import PREFIX


class Follower:
    """A client that knows nothing but the OpenAPI document."""

    def __init__(self, app: Flask) -> None:
        self.caller = Caller(app, roles=["provisioning-admin"])
        self.document: dict[str, Any] = app.test_client().get(f"{PREFIX}/openapi.json").get_json()
        self.operations = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, operations in self.document["paths"].items()
            for method, operation in operations.items()
        }
        self.last: tuple[str, TestResponse] | None = None

    def start(self, name: str, body: Any) -> TestResponse:
        """Call an operation that needs no link."""
        return self._call(name, self.operations[name][1], body, {}, {})

    def follow(self, name: str, body: Any = None, query: Mapping[str, str] | None = None) -> TestResponse:
        """Call the operation that the last answer's link of this name leads to."""
        link = self.link(name)
        values = {place: self._value(expression) for place, expression in link["parameters"].items()}
        path = re.sub(r"\{(\w+)}", lambda place: values.pop(place[1]), self.operations[name][1])
        headers = {name: values.pop(name) for name in ("If-Match",) if name in values}
        return self._call(name, path, body, headers, {**values, **(query or {})})

    def link(self, name: str) -> Any:
        """The Link Object of this name of the last answer."""
        assert self.last is not None
        operation, response = self.last
        described = self.operations[operation][2]["responses"][str(response.status_code)]
        return self.document["components"]["links"][described["links"][name]["$ref"].rpartition("/")[2]]

    def _call(
        self, name: str, path: str, body: Any, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> TestResponse:
        method = self.operations[name][0]
        sent = {} if body is None else {"json": body}
        response = self.caller(method, path, headers=headers, query_string=query, **sent)
        if response.status_code in (200, 201):
            self.last = name, response
        return response

    def _value(self, expression: str) -> Any:
        assert self.last is not None
        response = self.last[1]
        if expression.startswith("$response.header."):
            return response.headers[expression.removeprefix("$response.header.")]
        return response.get_json()[expression.removeprefix("$response.body#/")]


@pytest.fixture(scope="module")
def quiet_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    new_app = hosts.make_host(f"sqlite:///{tmp_path_factory.mktemp('links')}/x.sqlite3")
    yield new_app
    hosts.get_engine(new_app).dispose()


@pytest.fixture
def client(quiet_app: Flask) -> Follower:
    return Follower(quiet_app)


def test_links_lead_from_creation_to_the_purge(client: Follower) -> None:
    assert client.start("create_tenant", EXAMPLE).status_code == 201
    for name, body, status in [
        ("read_tenant", None, "active"),
        ("patch_tenant", {"industry": "Arts"}, "active"),
        ("suspend_tenant", {"reason": "unpaid"}, "suspended"),
        ("reactivate_tenant", None, "active"),
        ("patch_tenant", {"industry": None}, "active"),
        ("delete_tenant", None, "deleted"),
        ("restore_tenant", None, "active"),
    ]:
        response = client.follow(name, body)
        assert (response.status_code, response.get_json()["status"]) == (200, status), name
    assert client.follow("delete_tenant", query={"purge": "true"}).status_code == 204
    assert client.follow("read_tenant").status_code == 404


def test_a_write_that_a_link_leads_to_is_conditional(client: Follower) -> None:
    client.start("create_tenant", EXAMPLE)
    seen = client.last
    client.follow("patch_tenant", {"industry": "Arts"})
    client.last = seen
    assert client.follow("patch_tenant", {"industry": "Music"}).status_code == 412


def test_a_list_links_to_its_next_page(client: Follower) -> None:
    tenants = [client.start("create_tenant", EXAMPLE | {"email": f"{n}@example.com"}).get_json() for n in (1, 2)]
    mine = {"partner": client.caller.partner, "limit": "1"}
    first = client._call("list_tenants", "/tenants", None, {}, mine).get_json()
    second = client.follow("list_tenants", query=mine).get_json()
    assert [item["tenant"] for page in (first, second) for item in page["items"]] == [
        tenant["tenant"] for tenant in tenants
    ]


def test_every_link_leads_to_an_operation_with_these_parameters(client: Follower) -> None:
    for link in client.document["components"]["links"].values():
        parameters = client.operations[link["operationId"]][2]["parameters"]
        named = {entry["name"] if "name" in entry else entry["$ref"].rpartition("/")[2] for entry in parameters}
        assert link["parameters"].keys() <= named
    assert list(OpenAPIV31SpecValidator(client.document).iter_errors()) == []


def test_the_body_of_an_upsert_may_repeat_the_external_id(client: Follower) -> None:
    body = client.operations["upsert_tenant"][2]["requestBody"]["content"]["application/json"]["schema"]
    described = client.document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    schema = described["properties"]["external_id"]
    assert (schema["type"], schema["description"]) == ("string", "The `external_id` of the path, or absent.")
    assert "external_id" not in described["required"]
    assert client.document["components"]["schemas"]["TenantInput"]["properties"]["external_id"]["type"] == [
        "string", "null",
    ]  # fmt: skip


LONGEST = "~" * 255


@pytest.mark.parametrize("key", ["a", "a b", LONGEST, '"a"', f'"{LONGEST}"', r'"a\"b"', "a\\b", "'a'"])
def test_the_documented_idempotency_key_is_read(client: Follower, key: str) -> None:
    assert _is_documented(client, key)
    assert client.caller("POST", "/tenants", json=EXAMPLE, headers={"Idempotency-Key": key}).status_code == 201


@pytest.mark.parametrize("key", [f"{LONGEST}~", f'"{LONGEST}~"', r'"a\b"', '""', '"', "é", "a,b", "a\tb"])
def test_an_idempotency_key_that_is_not_documented_is_refused(client: Follower, key: str) -> None:
    assert not _is_documented(client, key)
    response = client.caller("POST", "/tenants", json=EXAMPLE, headers={"Idempotency-Key": key})
    assert (response.status_code, response.get_json()["code"]) == (400, "invalid-idempotency-key")


def _is_documented(client: Follower, key: str) -> bool:
    return bool(re.search(client.document["components"]["parameters"]["Idempotency-Key"]["schema"]["pattern"], key))
