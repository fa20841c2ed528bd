"""Compare responses with the OpenAPI document of a host."""

from __future__ import annotations

from typing import Any

from flask import Flask
from jsonschema import Draft202012Validator, FormatChecker
from werkzeug.test import TestResponse

from tests.support.hosts import PREFIX


def use_exact_patterns(node: Any) -> Any:
    """Return a part of the document with `x-pattern`, the whole rule, for `pattern`, which leaves some of it out.

    To Python's `re`, ``$`` matches before a line end too, but not to ECMA-262.
    """
    if isinstance(node, list):
        return [use_exact_patterns(item) for item in node]
    if not isinstance(node, dict):
        return node
    exact = {key: use_exact_patterns(value) for key, value in node.items() if key != "x-pattern"}
    pattern = node.get("x-pattern", node.get("pattern"))
    if isinstance(pattern, str):
        exact["pattern"] = f"{pattern}(?!\\n)" if pattern.endswith("$") else pattern
    return exact


#: Schemas that others extend by ``allOf``, and schemas that have further members by design.
_OPEN_SCHEMAS = ("Problem", "EventEnvelope", "OtherProblem", "OtherEvent", "RowProblem")


def close_schemas(schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the components' schemas without the openness of answers, so that a member not described is an error."""
    return {name: schema if name in _OPEN_SCHEMAS else _close(schema) for name, schema in schemas.items()}


def _close(schema: dict[str, Any]) -> dict[str, Any]:
    is_described = "allOf" in schema or ("properties" in schema and "additionalProperties" not in schema)
    return {**schema, "unevaluatedProperties": False} if is_described else schema


class DocumentedHost:
    """A host app, and its document to hold the answers against."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        response = app.test_client().get(f"{PREFIX}/openapi.json")
        assert response.status_code == 200, response.text
        self.document: dict[str, Any] = response.get_json()
        self._closed_schemas = close_schemas(use_exact_patterns(self.document["components"]["schemas"]))

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """The documented operation."""
        operation: dict[str, Any] = self.document["paths"][path][method.lower()]
        return operation

    def find_response(self, method: str, path: str, status: int) -> dict[str, Any]:
        """The documented answer."""
        return self._follow(self.operation(method, path)["responses"][str(status)])

    def component(self, kind: str, name: str) -> Any:
        """One of the document's components."""
        return self.document["components"][kind][name]

    def errors(self, schema: dict[str, Any], value: Any) -> list[str]:
        """The reasons why `value` does not fit `schema`, or has members that `schema` does not describe."""
        whole = {**use_exact_patterns(schema), "components": {"schemas": self._closed_schemas}}
        validator = Draft202012Validator(whole, format_checker=FormatChecker())
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]

    def require(self, response: TestResponse, method: str, path: str) -> None:
        """Assert that `response` is exactly one that the document describes for this operation."""
        described = self.find_response(method, path, response.status_code)
        for name, reference in described["headers"].items():
            header = self._follow(reference)
            if header["required"] or name in response.headers:
                assert self.errors(header["schema"], response.headers.get(name)) == [], name
        if "content" in described:
            schema = described["content"][response.mimetype]["schema"]
            assert self.errors(schema, response.get_json() if response.is_json else response.text) == []

    def _follow(self, node: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in node:
            _, _, kind, name = node["$ref"].split("/")
            node = self.component(kind, name)
        return node
