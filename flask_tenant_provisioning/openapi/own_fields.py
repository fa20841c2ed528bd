"""The fields that a host adds to tenants, in every schema that describes one."""

from __future__ import annotations

from typing import Any

from apispec import APISpec
from marshmallow import fields

from ..database.documents import LONGEST
from ..hooks import TenantFields
from .fields import Converter

Property = dict[str, Any]

_NULL = {"type": "null"}
#: What narrows a value further than its type does.
_BEYOND_TYPES = {"$ref", "enum", "const", "allOf", "anyOf", "oneOf"}


def describe(spec: APISpec, converter: Converter, own: TenantFields) -> None:
    """Add the host's fields to the components about tenants; what their own schemas nest becomes components too."""
    ours = dict(spec.components.schemas)
    properties = {name: _described(converter, own, name) for name in own.fields}
    for name, found in ours.items():
        if name == "Tenant":
            _add(found, {name: _answered(one) for name, one in properties.items()}, list(properties))
        elif name.startswith("Tenant") and name.endswith("Input"):
            sent = {name: _sent(own.fields[name], properties[name]) for name in _writable(own)}
            _add(found, sent, [name for name in sent if own.fields[name].required])
        elif name == "TenantPatch":
            _add(found, {name: _patched(own.fields[name], properties[name]) for name in _writable(own)}, [])


def _described(converter: Converter, own: TenantFields, name: str) -> Property:
    found: Property = converter.field2property(own.fields[name])
    if name in own.filterable and "string" in _kinds(found):
        found["maxLength"] = min(found.get("maxLength", LONGEST), LONGEST)
    return found


def _add(schema: dict[str, Any], properties: dict[str, Property], required: list[str]) -> None:
    schema["properties"] = {**schema["properties"], **properties}
    if required:
        schema["required"] = [*schema.get("required", ()), *required]


def _writable(own: TenantFields) -> list[str]:
    return [name for name, field in own.fields.items() if not field.dump_only]


def _answered(found: Property) -> Property:
    """What an answer shows: null for a tenant that has no such value."""
    return nullable({key: value for key, value in found.items() if key != "default"})


def _sent(field: fields.Field[Any], found: Property) -> Property:
    """Return what a body may hold: null for what it need not hold, as answers show it."""
    return found if field.required else nullable(found)


def _patched(field: fields.Field[Any], found: Property) -> Property:
    """What a merge patch may hold: parts of an object, and null to take away what is not required."""
    plain = {key: value for key, value in found.items() if key != "default"}
    if isinstance(field, fields.Nested | fields.Mapping) and not getattr(field, "many", False):
        plain = {"type": "object", **{key: plain[key] for key in ("title", "description") if key in plain}}
    return plain if field.required and not field.allow_none else nullable(plain)


def nullable(found: Property) -> Property:
    """The same, or null."""
    kinds = _kinds(found)
    if "null" in kinds or _NULL in found.get("anyOf", ()):
        return found
    if _BEYOND_TYPES & found.keys():
        return {"anyOf": [found, _NULL]}
    return {**found, "type": [*kinds, "null"]} if kinds else found


def _kinds(found: Property) -> list[str]:
    kinds = found.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)
