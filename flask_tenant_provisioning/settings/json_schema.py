"""The settings that there are as JSON Schema (draft 2020-12), for forms and editors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..namespaces import Namespace
from ..web.field_schemas import corrected
from .kept import Namespaces

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_COMPONENTS, _DEFINITIONS = "#/components/schemas/", "#/$defs/"


def json_schema(namespaces: Namespaces) -> dict[str, Any]:
    """The JSON Schema of everything that the host declares: what `explicit` of anybody's settings may hold."""
    from apispec import APISpec
    from apispec.ext.marshmallow import MarshmallowPlugin
    from apispec.ext.marshmallow.openapi import OpenAPIConverter

    class Converter(OpenAPIConverter):
        def field2property(self, field: Any) -> dict[str, Any]:
            return corrected(field, super().field2property(field))

    class Plugin(MarshmallowPlugin):
        pass

    Plugin.Converter = Converter
    plugin = Plugin()
    spec = APISpec("", "", "3.1.0", [plugin])
    properties = {name: described(plugin.converter, one) for name, one in namespaces.items()}
    found = {"$schema": DIALECT, "title": "Settings", **closed(properties)}
    if spec.components.schemas:
        found["$defs"] = spec.components.schemas
    shown: dict[str, Any] = json.loads(json.dumps(found, default=str).replace(f'"{_COMPONENTS}', f'"{_DEFINITIONS}'))
    return shown


def described(converter: Any, namespace: Namespace) -> dict[str, Any]:
    """One namespace, by apispec's `converter`; what its fields nest becomes components of the converter's document."""
    meaning = " ".join((vars(type(namespace.schema)).get("__doc__") or "").partition("\n\n")[0].split())
    about = {"description": meaning} if meaning else {}
    return {**about, **closed({key: property_of(converter, namespace, key) for key in namespace.keys})}


def property_of(converter: Any, namespace: Namespace, key: str) -> dict[str, Any]:
    """One key: what its field takes, its default unless that is secret, and whether it is secret or immutable."""
    declared = namespace.keys[key]
    found: dict[str, Any] = {**converter.field2property(declared.field)}
    found.pop("default", None)
    if declared.secret:
        return {**found, "writeOnly": True, **_marks(declared.immutable)}
    default = {"default": namespace.defaults[key]} if key in namespace.defaults else {}
    return {**found, **default, **_marks(declared.immutable)}


def closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    """An object with these members and no others, none of which has to be there."""
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def _marks(immutable: bool) -> dict[str, Any]:
    return {"x-immutable": True} if immutable else {}
