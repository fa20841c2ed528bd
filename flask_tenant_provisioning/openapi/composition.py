"""Compose examples of bodies from the examples of their properties."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schemas = dict[str, Any]
_NOTHING = object()


def compose_examples(document: dict[str, Any]) -> None:
    """Add ``examples`` to each component that is the body of a request or a response and has none.

    A body with a required property of the host's that has no example stays without.
    """
    schemas: Schemas = document["components"]["schemas"]
    for name in dict.fromkeys((*_iter_bodies(document["paths"]), *_iter_bodies(document["components"]["pathItems"]))):
        if "examples" not in schemas[name]:
            example = _compose(schemas[name], schemas)
            if example is not _NOTHING:
                schemas[name]["examples"] = [example]


def _iter_bodies(paths: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the components that are bodies."""
    for methods in paths.values():
        for operation in methods.values():
            for part in (operation.get("requestBody", {}), *operation["responses"].values()):
                for content in part.get("content", {}).values():
                    if "$ref" in content["schema"]:
                        yield content["schema"]["$ref"].rpartition("/")[2]


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
