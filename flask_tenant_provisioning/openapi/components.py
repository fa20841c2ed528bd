"""Give object schemas names, under which generators make classes of them."""

from __future__ import annotations

from typing import Any

#: The key by which a schema asks to become a component; it is removed.
COMPONENT_KEY = "x-component"
Schemas = dict[str, Any]


def name_inline_objects(document: dict[str, Any]) -> dict[str, Any]:
    """Return `document` with each schema that has the key `COMPONENT_KEY` as a component of that name.

    A name that is taken by another schema gets a number.
    """
    named: Schemas = {}
    result: dict[str, Any] = _replace(document, document["components"]["schemas"], named)
    result["components"]["schemas"] |= named
    return result


def drop_unused_headers(document: dict[str, Any]) -> None:
    """Remove the headers that no response refers to, such as those of a problem that only unknown paths return."""
    headers = document["components"]["headers"]
    parts = [*document["components"]["responses"].values()]
    parts += [
        response
        for methods in document["paths"].values()
        for operation in methods.values()
        for response in operation["responses"].values()
    ]
    used = {name for part in parts for name in part.get("headers", ())}
    document["components"]["headers"] = {name: header for name, header in headers.items() if name in used}


def _replace(node: Any, taken: Schemas, named: Schemas) -> Any:
    if isinstance(node, list):
        return [_replace(item, taken, named) for item in node]
    if not isinstance(node, dict):
        return node
    replaced = {key: _replace(value, taken, named) for key, value in node.items() if key != COMPONENT_KEY}
    if COMPONENT_KEY not in node:
        return replaced
    name = _choose_name(node[COMPONENT_KEY], replaced, taken, named)
    named[name] = replaced
    return {"$ref": f"#/components/schemas/{name}"}


def _choose_name(name: str, schema: Any, taken: Schemas, named: Schemas) -> str:
    number, free = 1, name
    while free in taken or named.get(free, schema) != schema:
        number += 1
        free = f"{name}{number}"
    return free
