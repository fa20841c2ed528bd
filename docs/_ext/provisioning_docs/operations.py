"""The HTTP reference, generated from the OpenAPI document of a mount with default settings."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from flask_tenant_provisioning.config import Config
from flask_tenant_provisioning.mount import Api
from flask_tenant_provisioning.openapi.document import build_document
from flask_tenant_provisioning.registry import Registry
from flask_tenant_provisioning.routes import ROUTES

from .markdown import as_json, code, codes, heading, lines, table
from .shapes import describe, shape

Object = Mapping[str, Any]


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


def find_operations_by_problem() -> dict[str, list[dict[str, Any]]]:
    """Return the operations that may return each problem code."""
    by_problem: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for operation in operations():
        for response in operation["responses"].values():
            for problem in _problems(_follow(response)):
                by_problem[problem].append(operation)
    return dict(by_problem)


def reference() -> str:
    """Describe the parts common to all operations, then each feature, with a section for each of its operations."""
    parts = [
        lines(f"## {tag['name'].capitalize()}", tag["description"], *_iter_sections(tag)) for tag in document()["tags"]
    ]
    return lines(document()["info"]["description"].strip(), _common(), *parts)


def schemas() -> str:
    """Return a section for each schema."""
    return lines(*(_schema(name, schema) for name, schema in document()["components"]["schemas"].items()))


def tenant() -> str:
    """Return a tenant as the API shows it."""
    return as_json(document()["components"]["schemas"]["Tenant"]["examples"][0])


def _iter_sections(tag: Object) -> Iterable[str]:
    return (_section(operation) for operation in operations() if tag["name"] in operation["tags"])


def _section(operation: Object) -> str:
    return lines(
        heading(3, code(title(operation)), label(operation)),
        f"{operation['summary']}.",
        operation.get("description", ""),
        _parameters(operation),
        _body(operation.get("requestBody", {})),
        _answers(operation),
    )


def _common() -> str:
    parameters = (_parameter(parameter) for parameter in _find_common_parameters().values())
    borne = ((code(name), header["description"]) for name, header in _find_common_headers().items())
    return lines(
        "Every operation takes",
        table(("parameter", "in", "shape", "meaning"), parameters),
        "and every answer bears",
        table(("header", "meaning"), borne),
    )


def _parameters(operation: Object) -> str:
    common = _find_common_parameters()
    own = [parameter for parameter in map(_follow, operation["parameters"]) if parameter["name"] not in common]
    return table(("parameter", "in", "shape", "meaning"), map(_parameter, own))


def _parameter(parameter: Object) -> tuple[str, ...]:
    needed = " (required)" if parameter.get("required") else ""
    meaning = parameter.get("description") or describe(parameter["schema"])
    return code(parameter["name"]), parameter["in"] + needed, shape(parameter["schema"]), meaning


def _body(body: Object) -> str:
    if not body:
        return ""
    content = body["content"]
    kinds = list({shape(kind["schema"]): None for kind in content.values()})
    example = next((example for kind in content.values() for example in _examples(kind["schema"])), None)
    subject = "The body" if body.get("required") else "The body, which may be left out,"
    sentence = f"{subject} is {' or '.join(kinds)}, as {codes(content)}."
    return lines(sentence, as_json(example) if example is not None else "")


def _answers(operation: Object) -> str:
    return table(
        ("status", "answer", "headers"),
        ((status, _answer(response), _headers(response)) for status, response in _responses(operation)),
    )


def _responses(operation: Object) -> list[tuple[str, Any]]:
    return [(status, _follow(response)) for status, response in operation["responses"].items()]


def _answer(response: Object) -> str:
    if problems := _problems(response):
        return codes(problems)
    kinds: dict[str, list[str]] = defaultdict(list)
    for media_type, content in response.get("content", {}).items():
        kinds[shape(content["schema"])].append(media_type)
    shapes = " or ".join(f"{kind} as {codes(types)}" for kind, types in kinds.items())
    return f"{response['description']} {shapes}" if shapes else response["description"]


def _headers(response: Object) -> str:
    return codes(name for name in response.get("headers", {}) if name not in _find_common_headers())


def _problems(response: Object) -> list[str]:
    return list(response.get("content", {}).get("application/problem+json", {}).get("examples", {}))


def _schema(name: str, schema: Object) -> str:
    needed = schema.get("required", ())
    rows = (
        (code(field), shape(kind), "yes" if field in needed else "no", describe(kind))
        for field, kind in schema.get("properties", {}).items()
    )
    return lines(
        heading(3, name, f"schema-{name.lower()}"),
        schema.get("description", ""),
        table(("field", "shape", "required", "meaning"), rows),
        *map(as_json, schema.get("examples", ())),
    )


def _examples(schema: Object) -> list[Any]:
    examples: list[Any] = _follow(schema).get("examples", [])
    return examples


def _follow(node: Object) -> Any:
    """Return the object that a reference names, or the object itself if it is no reference."""
    if "$ref" not in node:
        return node
    _, parts, kind, name = node["$ref"].split("/")
    return document()[parts][kind][name]


@functools.cache
def _find_common_parameters() -> dict[str, Any]:
    """Return the parameters common to all operations."""
    sets = [
        {parameter["name"]: parameter for parameter in map(_follow, operation["parameters"])}
        for operation in operations()
    ]
    return {name: parameter for name, parameter in sets[0].items() if all(name in other for other in sets)}


@functools.cache
def _find_common_headers() -> dict[str, Any]:
    """Return the headers common to all responses."""
    sets = [response.get("headers", {}) for operation in operations() for _, response in _responses(operation)]
    return {name: _follow(header) for name, header in sets[0].items() if all(name in other for other in sets)}
