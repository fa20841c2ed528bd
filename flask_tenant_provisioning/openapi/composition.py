"""Compose examples of bodies from the examples of their properties."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schemas = dict[str, Any]
_NOTHING = object()


def compose_examples(document: dict[str, Any]) -> None:
    """Add an example to each body of a request or a response that has none: to its schema, which is a component.

    A body with a required property of the host's that has no example stays without.
    """
    schemas: Schemas = document["components"]["schemas"]
    for content in (*_iter_contents(document["paths"]), *_iter_contents(document["components"]["pathItems"])):
        schema = schemas[content["schema"]["$ref"].rpartition("/")[2]]
        if not {"example", "examples"} & {*content, *schema}:
            example = _compose(schema, schemas)
            if example is not _NOTHING:
                schema["examples"] = [example]


def _iter_contents(paths: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the contents of bodies whose schema is a component."""
    for methods in paths.values():
        for operation in methods.values():
            for part in (operation.get("requestBody", {}), *operation["responses"].values()):
                for content in part.get("content", {}).values():
                    if "$ref" in content["schema"]:
                        yield content


def _compose(schema: dict[str, Any], schemas: Schemas) -> Any:
    """Return an example of a value, or `_NOTHING`. Of objects it has the required properties, or all if none is."""
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return _compose(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return _compose(schema[keyword][0], schemas)
    if "allOf" in schema:
        parts = [_compose(part, schemas) for part in schema["allOf"]]
        return _NOTHING if _NOTHING in parts else {name: value for part in parts for name, value in part.items()}
    if "items" in schema:
        item = _compose(schema["items"], schemas)
        return _NOTHING if item is _NOTHING else [item]
    if schema.get("type") != "object":
        return _NOTHING
    properties = schema.get("properties", {})
    composed = {name: _compose(properties.get(name, {}), schemas) for name in schema.get("required") or properties}
    return _NOTHING if _NOTHING in composed.values() else composed
