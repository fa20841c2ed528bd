"""The operations of the OpenAPI document of a mount with default settings."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from flask_tenant_provisioning.config import Config
from flask_tenant_provisioning.mount import Api
from flask_tenant_provisioning.openapi.document import build_document
from flask_tenant_provisioning.registry import Registry
from flask_tenant_provisioning.routes import ROUTES

Object = Mapping[str, Any]
PROBLEM = "application/problem+json"


@functools.cache
def api() -> Api:
    """The API of a host without configuration and registrations."""
    return Api(config=Config.read({}, {}), registry=Registry(), routes=ROUTES)


@functools.cache
def document() -> dict[str, Any]:
    """The OpenAPI Object."""
    return build_document(api(), api().config.url_prefix)


@functools.cache
def operations() -> list[dict[str, Any]]:
    """Return every operation, with its method and path."""
    return [
        {"method": method.upper(), "path": path, **operation}
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    ]


def title(operation: Object) -> str:
    """Method and path."""
    return f"{operation['method']} {operation['path']}"


def label(operation: Object) -> str:
    """Return the label of the operation's section."""
    return f"operation-{operation['operationId']}".replace("_", "-")


def parameters(operation: Object) -> list[Any]:
    """Return the parameters of an operation, references followed."""
    return [follow(parameter) for parameter in operation.get("parameters", ())]


def responses(operation: Object) -> list[tuple[str, Any]]:
    """Return the status and the Response Object of each response, references followed."""
    return [(status, follow(response)) for status, response in operation["responses"].items()]


def problems(response: Object) -> list[str]:
    """Return the problem codes of a response; none for a success."""
    return list(response.get("content", {}).get(PROBLEM, {}).get("examples", {}))


def find_operations_by_problem() -> dict[str, list[dict[str, Any]]]:
    """Return the operations that may return each problem code."""
    by_problem: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for operation in operations():
        for _, response in responses(operation):
            for problem in problems(response):
                by_problem[problem].append(operation)
    return dict(by_problem)


def follow(node: Object) -> Any:
    """Return the object that a reference names, or the object itself if it is no reference."""
    if "$ref" not in node:
        return node
    _, parts, kind, name = node["$ref"].split("/")
    return document()[parts][kind][name]


def merge(schema: Object) -> dict[str, Any]:
    """Return a schema with the properties and required names of all parts of its ``allOf``, references followed."""
    merged: dict[str, Any] = dict(follow(schema))
    for part in map(merge, merged.pop("allOf", ())):
        merged["properties"] = {**part.get("properties", {}), **merged.get("properties", {})}
        merged["required"] = [*part.get("required", ()), *merged.get("required", ())]
    return merged


def alternatives(schema: Object) -> list[Any]:
    """Return the parts of a schema of which a value has one, or an empty list."""
    return [*schema.get("anyOf", ()), *schema.get("oneOf", ())]


def is_about_problems(name: str) -> bool:
    """Return whether a schema describes problem documents: those are on the page of errors."""
    return name.endswith(("Problem", "Error")) and name not in ("InputError", "RowProblem", "StepError")


@functools.cache
def common_parameters() -> dict[str, Any]:
    """Return the parameters common to all operations."""
    sets = [{parameter["name"]: parameter for parameter in parameters(operation)} for operation in operations()]
    return {name: parameter for name, parameter in sets[0].items() if all(name in other for other in sets)}


@functools.cache
def common_headers() -> dict[str, Any]:
    """Return the headers common to all responses."""
    sets = [response.get("headers", {}) for operation in operations() for _, response in responses(operation)]
    return {name: follow(header) for name, header in sets[0].items() if all(name in other for other in sets)}


@functools.cache
def common_problems() -> dict[str, str]:
    """Return the status of each problem that nearly every operation with a token returns, by code.

    These are listed once, at the top of the reference.
    """
    counts: dict[str, int] = defaultdict(int)
    statuses: dict[str, str] = {}
    guarded = [operation for operation in operations() if operation.get("x-permissions")]
    for operation in guarded:
        for status, response in responses(operation):
            for problem in problems(response):
                counts[problem] += 1
                statuses[problem] = status
    return {code: status for code, status in statuses.items() if counts[code] > 0.9 * len(guarded)}
