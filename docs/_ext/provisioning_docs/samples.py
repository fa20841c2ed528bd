"""Samples of requests and responses: curl, Python, and JSON."""

from __future__ import annotations

import functools
import json
import shlex
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .operations import Object, alternatives, follow, merge, parameters

#: Values for parameters of paths that have no example of their own.
PATH_VALUES = {
    "tenant_id": "019365df-9f02-7b1e-8a55-0c9a6f0d7e21",
    "job_id": "019365e1-77aa-7f3e-9c1d-2f0b6a5d4e10",
    "webhook_id": "019365e2-10bb-7d20-8e4f-5a6b7c8d9e0f",
    "delivery_id": "019365e3-25cc-7e31-9f50-6b7c8d9e0f1a",
    "external_id": "crm-4711",
    "partner_id": "acme",
    "code": "tenant-exists",
    "asset": "start.js",
}
_DEPTH = 6


def curl(operation: Object) -> str:
    """Return the request as a command for a shell in which `API` and `TOKEN` are set."""
    arguments = [f'"$API{_path(operation)}"']
    if operation["method"] != "GET":
        arguments.insert(0, f"-X {operation['method']}")
    if operation.get("security") != []:
        arguments.append('-H "Authorization: Bearer $TOKEN"')
    names = {parameter["name"] for parameter in parameters(operation)}
    if "Idempotency-Key" in names:
        arguments.append("-H 'Idempotency-Key: 5f1c9d-1'")
    if "If-Match" in names:
        arguments.append("-H 'If-Match: \"1\"'")
    arguments += _body_arguments(operation)
    return "curl " + " \\\n  ".join(arguments)


def python(operation: Object) -> str:
    """Return the same request with the Python client; an empty text if the client has no call for it."""
    return read_client_calls().get(operation["operationId"], "").strip()


@functools.cache
def read_client_calls() -> dict[str, str]:
    """Return the call of the Python client for each operation, by operation id."""
    return tomllib.loads(Path(__file__).with_name("client_calls.toml").read_text(encoding="utf-8"))


def response_example(response: Object) -> tuple[str, Any] | None:
    """Return the media type and an example of a response, or None if it has no body in JSON."""
    for media_type, content in response.get("content", {}).items():
        if media_type.endswith("json") and not media_type.endswith("ndjson"):
            example = media_example(content)
            return None if example is None else (media_type, example)
    return None


def media_example(content: Object) -> Any:
    """Return the example of a Media Type Object: its own, its schema's, or one that is built from the properties."""
    if "example" in content:
        return content["example"]
    for example in content.get("examples", {}).values():
        return follow(example).get("value")
    return build_example(content.get("schema", {}))


def build_example(schema: Object, depth: int = 0) -> Any:
    """Build an example of a schema from the examples in it; None if there is none."""
    if "$ref" in schema:
        return build_example(follow(schema), depth)
    if "example" in schema:
        return schema["example"]
    if schema.get("examples"):
        return schema["examples"][0]
    if depth > _DEPTH:
        return None
    for part in alternatives(schema):
        example = build_example(part, depth + 1)
        if example is not None:
            return example
    properties = merge(schema).get("properties")
    if properties:
        members = {name: build_example(part, depth + 1) for name, part in properties.items()}
        return {name: value for name, value in members.items() if value is not None} or None
    if "items" in schema:
        item = build_example(schema["items"], depth + 1)
        return None if item is None else [item]
    return None


def _path(operation: Object) -> str:
    path = str(operation["path"])
    for parameter in parameters(operation):
        if parameter["in"] == "path":
            name = parameter["name"]
            value = PATH_VALUES.get(name) or parameter.get("example") or build_example(parameter["schema"]) or name
            path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    return path


def _body_arguments(operation: Object) -> list[str]:
    content = operation.get("requestBody", {}).get("content", {})
    if "text/csv" in content:
        return ["-H 'Content-Type: text/csv'", "--data-binary @tenants.csv"]
    for media_type, media in content.items():
        example = media_example(media)
        if example is not None:
            text = shlex.quote(json.dumps(example, indent=2, ensure_ascii=False))
            return [f"-H 'Content-Type: {media_type}'", f"-d {text}"]
    return []
