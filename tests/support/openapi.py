"""Compare responses with the OpenAPI document of a host."""

from __future__ import annotations

from typing import Any

from flask import Flask
from jsonschema import Draft202012Validator, FormatChecker
from werkzeug.test import TestResponse

from tests.support.hosts import PREFIX


class DocumentedHost:
    """A host app, and its document to hold the answers against."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        response = app.test_client().get(f"{PREFIX}/openapi.json")
        assert response.status_code == 200, response.text
        self.document: dict[str, Any] = response.get_json()

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
        """Why `value` does not fit `schema`."""
        whole = {**schema, "components": self.document["components"]}
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
