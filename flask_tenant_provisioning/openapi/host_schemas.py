"""Add a host's tenant fields and settings to the components that describe tenants and settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from apispec import APISpec
from marshmallow import fields

from ..database.types import MAX_MEMBER_LENGTH
from ..registry import Namespace, TenantFields
from ..settings.namespaces import describe_namespace, make_closed_object
from ..settings.storage import MASK
from .converter import Converter
from .schemas import COMPONENT_KEY

Property = dict[str, Any]
_NULL = {"type": "null"}
#: Keywords that restrict a value further than its type does.
_NARROWING_KEYWORDS = {"$ref", "enum", "const", "allOf", "anyOf", "oneOf"}


def describe_custom_fields(spec: APISpec, converter: Converter, custom: TenantFields) -> None:
    """Add the host's fields to the tenant components. Schemas nested in them become components as well."""
    schemas = dict(spec.components.schemas)
    properties = {name: _build_field(converter, custom, name) for name in custom.fields}
    writable = {name: field for name, field in custom.fields.items() if not field.dump_only}
    outputs = {name: _build_output_field(prop) for name, prop in properties.items()}
    inputs = {name: _build_input_field(field, properties[name]) for name, field in writable.items()}
    patches = {name: _build_patch_field(field, properties[name]) for name, field in writable.items()}
    required = [name for name, field in writable.items() if field.required]
    for component, schema in schemas.items():
        if component == "Tenant":
            _add_properties(schema, outputs, list(outputs))
        elif component.startswith("Tenant") and component.endswith("Input"):
            _add_properties(schema, inputs, required)
        elif component == "TenantPatch":
            _add_properties(schema, patches, [])


def _build_field(converter: Converter, custom: TenantFields, name: str) -> Property:
    prop: Property = converter.field2property(custom.fields[name])
    if name in custom.filterable and "string" in _list_types(prop) and "enum" not in prop:
        prop["maxLength"] = min(prop.get("maxLength", MAX_MEMBER_LENGTH), MAX_MEMBER_LENGTH)
    return prop


def _add_properties(schema: dict[str, Any], properties: dict[str, Property], required: list[str]) -> None:
    schema["properties"] = {**schema["properties"], **properties}
    if required:
        schema["required"] = [*schema.get("required", ()), *required]


def _build_output_field(prop: Property) -> Property:
    """Build the property in a response: null for a tenant without such a value."""
    return make_nullable({key: value for key, value in prop.items() if key != "default"})


def _build_input_field(field: fields.Field[Any], prop: Property) -> Property:
    """Build the property in a request body: an optional one may be null, as in responses."""
    return prop if field.required else make_nullable(prop)


def _build_patch_field(field: fields.Field[Any], prop: Property) -> Property:
    """Build the property in a merge patch: a part of an object, or null to remove an optional value."""
    partial = _allow_partial_object(field, prop)
    return partial if field.required and not field.allow_none else make_nullable(partial)


def _allow_partial_object(field: fields.Field[Any], prop: Property) -> Property:
    """Drop the default of `prop`, and let an object be sent in part, so that its own schema does not apply."""
    if isinstance(field, fields.Nested | fields.Mapping) and not getattr(field, "many", False):
        return {"type": "object", **{key: prop[key] for key in ("title", "description") if key in prop}}
    return {key: value for key, value in prop.items() if key != "default"}


def make_nullable(prop: Property) -> Property:
    """Return the schema of `prop` or null."""
    kinds = _list_types(prop)
    if "null" in kinds or _NULL in prop.get("anyOf", ()):
        return prop
    if _NARROWING_KEYWORDS & prop.keys():
        return {"anyOf": [prop, _NULL]}
    return {**prop, "type": [*kinds, "null"]} if kinds else prop


def _list_types(prop: Property) -> list[str]:
    kinds = prop.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


_EFFECTIVE_DESCRIPTION = "The values that apply to the tenant, wherever they come from, by namespace and key."
_EXPLICIT_DESCRIPTION = "The values that were set here rather than inherited, by namespace and key."
_MASKED_SECRET = {"type": "string", "const": MASK, "description": "A secret, which is never shown."}
#: Keywords that apply to requests only.
_INPUT_KEYWORDS = ("default", "writeOnly")


def describe_host_settings(spec: APISpec, converter: Converter, namespaces: Mapping[str, Namespace]) -> None:
    """Add the host's keys to the settings components. Schemas nested in them become components as well."""
    components = dict(spec.components.schemas)
    schemas = {name: describe_namespace(converter, schema) for name, schema in namespaces.items()}
    if "Settings" in components:
        outputs = _build_namespaces("", namespaces, schemas, _build_output_key)
        components["Settings"]["properties"] |= {
            "effective": _build_values("EffectiveSettings", _EFFECTIVE_DESCRIPTION, outputs),
            "explicit": _build_values("ExplicitSettings", _EXPLICIT_DESCRIPTION, outputs),
        }
    if "ExplicitSettingsInput" in components:
        inputs = _build_namespaces("Input", namespaces, schemas, _build_input_key)
        components["ExplicitSettingsInput"] |= make_closed_object(inputs)
    if "ExplicitSettingsPatch" in components:
        patches = _build_namespaces("Patch", namespaces, schemas, _build_patch_key)
        components["ExplicitSettingsPatch"] |= make_closed_object(
            {
                name: {"description": f"{schema['description']} Null inherits all of them.", "anyOf": [schema, _NULL]}
                for name, schema in patches.items()
            }
        )


def _build_values(component: str, description: str, namespaces: Mapping[str, Property]) -> Property:
    """Build the schema of settings in a response, by namespace and key."""
    return {COMPONENT_KEY: component, "type": "object", "description": description, "properties": dict(namespaces)}


def _build_namespaces(
    suffix: str,
    namespaces: Mapping[str, Namespace],
    schemas: Mapping[str, Property],
    change: Callable[[Namespace, str, Property], Property],
) -> dict[str, Property]:
    """Build the schemas of the namespaces, with `change` applied to the property of each key.

    Each becomes a component, such as ``MailSettings``, with this `suffix`. Only those of requests are closed.
    """
    built = {}
    for name, namespace in namespaces.items():
        properties = schemas[name]["properties"]
        changed = {key: change(namespace, key, properties[key]) for key in namespace.keys}
        description = schemas[name].get("description", f"The settings `{name}`.")
        schema = make_closed_object(changed) if suffix else {"type": "object", "properties": changed}
        built[name] = {
            COMPONENT_KEY: f"{_capitalize_words(name)}Settings{suffix}",
            "description": description,
            **schema,
        }
    return built


def _capitalize_words(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def _build_output_key(namespace: Namespace, key: str, prop: Property) -> Property:
    if namespace.keys[key].secret:
        return _MASKED_SECRET
    return {name: value for name, value in prop.items() if name not in _INPUT_KEYWORDS}


def _build_input_key(namespace: Namespace, key: str, prop: Property) -> Property:
    if not namespace.keys[key].secret:
        return prop
    return {
        "anyOf": [prop, {"type": "string", "const": MASK, "description": "The mask, which keeps the current secret."}]
    }


def _build_patch_key(namespace: Namespace, key: str, prop: Property) -> Property:
    """Build the property in a merge patch: a part of an object, or null to inherit the value."""
    partial = _allow_partial_object(namespace.keys[key].field, prop)
    return make_nullable(_build_input_key(namespace, key, partial))
