"""Add a host's tenant fields and settings to the components that describe tenants and settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from apispec import APISpec
from marshmallow import fields

from ..database.types import MAX_MEMBER_LENGTH
from ..registry import Namespace, TenantFields
from ..settings.namespaces import describe_namespace, make_closed_object
from ..settings.resolution import MASK
from .converter import Converter

Property = dict[str, Any]
_NULL = {"type": "null"}
#: Keywords that restrict a value further than its type does.
_NARROWING_KEYWORDS = {"$ref", "enum", "const", "allOf", "anyOf", "oneOf"}


def describe_custom_fields(spec: APISpec, converter: Converter, own: TenantFields) -> None:
    """Add the host's fields to the tenant components. Schemas nested in them become components as well."""
    ours = dict(spec.components.schemas)
    properties = {name: _build_field(converter, own, name) for name in own.fields}
    for name, found in ours.items():
        if name == "Tenant":
            _add_properties(
                found, {name: _build_output_field(one) for name, one in properties.items()}, list(properties)
            )
        elif name.startswith("Tenant") and name.endswith("Input"):
            sent = {name: _build_input_field(own.fields[name], properties[name]) for name in _list_writable_fields(own)}
            _add_properties(found, sent, [name for name in sent if own.fields[name].required])
        elif name == "TenantPatch":
            _add_properties(
                found,
                {name: _build_patch_field(own.fields[name], properties[name]) for name in _list_writable_fields(own)},
                [],
            )


def _build_field(converter: Converter, own: TenantFields, name: str) -> Property:
    found: Property = converter.field2property(own.fields[name])
    if name in own.filterable and "string" in _list_types(found):
        found["maxLength"] = min(found.get("maxLength", MAX_MEMBER_LENGTH), MAX_MEMBER_LENGTH)
    return found


def _add_properties(schema: dict[str, Any], properties: dict[str, Property], required: list[str]) -> None:
    schema["properties"] = {**schema["properties"], **properties}
    if required:
        schema["required"] = [*schema.get("required", ()), *required]


def _list_writable_fields(own: TenantFields) -> list[str]:
    return [name for name, field in own.fields.items() if not field.dump_only]


def _build_output_field(found: Property) -> Property:
    """Build the property in a response: null for a tenant without such a value."""
    return make_nullable({key: value for key, value in found.items() if key != "default"})


def _build_input_field(field: fields.Field[Any], found: Property) -> Property:
    """Build the property in a request body: an optional one may be null, as in responses."""
    return found if field.required else make_nullable(found)


def _build_patch_field(field: fields.Field[Any], found: Property) -> Property:
    """Build the property in a merge patch: a part of an object, or null to remove an optional value."""
    plain = {key: value for key, value in found.items() if key != "default"}
    if isinstance(field, fields.Nested | fields.Mapping) and not getattr(field, "many", False):
        plain = {"type": "object", **{key: plain[key] for key in ("title", "description") if key in plain}}
    return plain if field.required and not field.allow_none else make_nullable(plain)


def make_nullable(found: Property) -> Property:
    """Return the schema of `found` or null."""
    kinds = _list_types(found)
    if "null" in kinds or _NULL in found.get("anyOf", ()):
        return found
    if _NARROWING_KEYWORDS & found.keys():
        return {"anyOf": [found, _NULL]}
    return {**found, "type": [*kinds, "null"]} if kinds else found


def _list_types(found: Property) -> list[str]:
    kinds = found.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


_MASKED_SECRET = {"const": MASK, "description": "A secret, which is never shown."}
#: Keywords that apply to requests only.
_INPUT_KEYWORDS = ("default", "writeOnly")


def describe_host_settings(spec: APISpec, converter: Converter, namespaces: Mapping[str, Namespace]) -> None:
    """Add the host's keys to the settings components. Schemas nested in them become components as well."""
    components = dict(spec.components.schemas)
    found = {name: describe_namespace(converter, one) for name, one in namespaces.items()}
    if "Settings" in components:
        shown = _build_namespaces(namespaces, found, _build_output_key)
        components["Settings"]["properties"] |= {name: make_closed_object(shown) for name in ("effective", "explicit")}
    if "ExplicitSettingsInput" in components:
        components["ExplicitSettingsInput"] |= make_closed_object(
            _build_namespaces(namespaces, found, _build_input_key)
        )
    if "ExplicitSettingsPatch" in components:
        patched = _build_namespaces(namespaces, found, _build_patch_key)
        components["ExplicitSettingsPatch"] |= make_closed_object(
            {name: make_nullable(one) for name, one in patched.items()}
        )


def _build_namespaces(
    namespaces: Mapping[str, Namespace],
    found: Mapping[str, Property],
    change: Callable[[Namespace, str, Property], Property],
) -> dict[str, Property]:
    """Build the schemas of the namespaces, with `change` applied to the property of each key."""
    return {
        name: {
            **found[name],
            **make_closed_object({key: change(one, key, found[name]["properties"][key]) for key in one.keys}),
        }
        for name, one in namespaces.items()
    }


def _build_output_key(namespace: Namespace, key: str, found: Property) -> Property:
    if namespace.keys[key].secret:
        return _MASKED_SECRET
    return {name: value for name, value in found.items() if name not in _INPUT_KEYWORDS}


def _build_input_key(namespace: Namespace, key: str, found: Property) -> Property:
    if not namespace.keys[key].secret:
        return found
    return {"anyOf": [found, {"const": MASK, "description": "The mask, which keeps the current secret."}]}


def _build_patch_key(namespace: Namespace, key: str, found: Property) -> Property:
    """Build the property in a merge patch: a part of an object, or null to inherit the value."""
    field = namespace.keys[key].field
    plain = {name: value for name, value in found.items() if name != "default"}
    if isinstance(field, fields.Nested | fields.Mapping) and not getattr(field, "many", False):
        plain = {"type": "object", **{name: plain[name] for name in ("title", "description") if name in plain}}
    return make_nullable(_build_input_key(namespace, key, plain))
