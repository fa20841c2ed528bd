"""Descriptions of JSON Schema (draft 2020-12), as far as the OpenAPI document uses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .markdown import code, value
from .operations import is_about_problems

Schema = Mapping[str, Any]

_BOUNDS = (
    ("minLength", "maxLength", "characters"),
    ("minimum", "maximum", ""),
    ("minItems", "maxItems", "items"),
    ("minProperties", "maxProperties", "keys"),
)


def shape(schema: Schema) -> str:
    """Return a value's type, format and bounds, or a link to its schema."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if is_about_problems(name):
            return "[problem document](errors.md)"
        return f"[{name}](#schema-{name.lower()})"
    if "enum" in schema:
        return f"one of {', '.join(map(value, schema['enum']))}"
    parts = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if parts and "type" not in schema:
        return " or ".join(dict.fromkeys(map(shape, parts)))
    types = schema.get("type", [])
    kinds = [types] if isinstance(types, str) else list(types)
    kinds_text = " or ".join(_kind(kind, schema) for kind in kinds) or "anything"
    return ", ".join([kinds_text, *_bounds(schema), *_default(schema)])


def describe(schema: Schema) -> str:
    """Return the description of a value, as far as its schema has one."""
    text: str = schema.get("description", "")
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping) and values:
        names = schema.get("propertyNames", {})
        text += f" Each key: {', '.join(_bounds(names)) or 'a string'}; each value: {shape(values)}."
    return text.strip()


def _kind(kind: str, schema: Schema) -> str:
    if kind == "array":
        return f"array of {shape(schema.get('items', {}))}"
    if kind == "string" and "format" in schema:
        return f"string ({code(schema['format'])})"
    return code(kind) if kind == "null" else kind


def _bounds(schema: Schema) -> list[str]:
    return [
        _format_bounds(schema.get(low), schema.get(high), unit)
        for low, high, unit in _BOUNDS
        if low in schema or high in schema
    ]


def _format_bounds(low: int | None, high: int | None, unit: str) -> str:
    bounds = f"at least {low}" if high is None else f"at most {high}" if low is None else f"{low}–{high}"
    return f"{bounds} {unit}".strip()


def _default(schema: Schema) -> list[str]:
    return [f"default {value(schema['default'])}"] if "default" in schema else []
