"""Compare responses with the OpenAPI document of a host."""

from __future__ import annotations

from typing import Any

from flask import Flask
from jsonschema import Draft202012Validator, FormatChecker
from werkzeug.test import TestResponse

from tests.world import PREFIX


class Documented:
    """A host app, and its document to hold the answers against."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        answer = app.test_client().get(f"{PREFIX}/openapi.json")
        assert answer.status_code == 200, answer.text
        self.document: dict[str, Any] = answer.get_json()

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """The documented operation."""
        found: dict[str, Any] = self.document["paths"][path][method.lower()]
        return found

    def answer(self, method: str, path: str, status: int) -> dict[str, Any]:
        """The documented answer."""
        return self._followed(self.operation(method, path)["responses"][str(status)])

    def component(self, kind: str, name: str) -> Any:
        """One of the document's components."""
        return self.document["components"][kind][name]

    def errors(self, schema: dict[str, Any], value: Any) -> list[str]:
        """Why `value` does not fit `schema`."""
        whole = {**schema, "components": self.document["components"]}
        validator = Draft202012Validator(whole, format_checker=FormatChecker())
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]

    def require(self, answer: TestResponse, method: str, path: str) -> None:
        """Assert that `answer` is exactly one that the document describes for this operation."""
        described = self.answer(method, path, answer.status_code)
        for name, reference in described["headers"].items():
            header = self._followed(reference)
            if header["required"] or name in answer.headers:
                assert self.errors(header["schema"], answer.headers.get(name)) == [], name
        if "content" in described:
            schema = described["content"][answer.mimetype]["schema"]
            assert self.errors(schema, answer.get_json() if answer.is_json else answer.text) == []

    def _followed(self, found: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in found:
            _, _, kind, name = found["$ref"].split("/")
            found = self.component(kind, name)
        return found
