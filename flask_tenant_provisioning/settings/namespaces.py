"""Namespaces of settings: checks of the schema that a host declares, and their JSON Schema (draft 2020-12)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, missing

from ..config import ConfigurationError
from ..hooks import require_sync_schema
from ..registry import Namespace, SettingsKey, describe_validation_error
from ..web.field_schemas import correct_schema, find_contradiction

Namespaces = Mapping[str, Namespace]
_NAME_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_KEY_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_METADATA_FLAGS = ("secret", "immutable")


def declare_namespace(name: str, schema: type[Schema]) -> Namespace:
    """Declare the namespace `name`: its keys are the fields of `schema`, its defaults their ``load_default``.

    Raises `ConfigurationError` that lists everything wrong with it, or names a function in it that is async.
    """
    if not isinstance(name, str) or not _NAME_PATTERN.fullmatch(name):
        raise ConfigurationError(
            f"A namespace's name is 1 to 63 letters, digits and _, beginning with a letter, not {name!r}."
        )
    if not isinstance(schema, type) or not issubclass(schema, Schema):
        raise ConfigurationError(f"settings({name!r}) needs a marshmallow Schema class, not {schema!r}.")
    instance = schema()
    require_sync_schema(instance)
    fields_ = instance.fields.items()
    keys = {key if field.data_key is None else field.data_key: _make_key(field) for key, field in fields_}
    if errors := [*_check_names(keys), *_check_fields(keys)]:
        raise ConfigurationError("\n".join(f"{schema.__name__}: {sentence}" for sentence in errors))
    return _check_defaults(Namespace(name, instance, keys, _serialize_defaults(schema, keys)))


def find_key(namespaces: Namespaces, name: str, key: str) -> SettingsKey | None:
    """Return the key that the host declares under this name, or None."""
    return namespaces[name].keys.get(key) if name in namespaces else None


def _make_key(field: fields.Field[Any]) -> SettingsKey:
    return SettingsKey(field, field.metadata.get("secret") is True, field.metadata.get("immutable") is True)


def _check_names(keys: Mapping[str, SettingsKey]) -> Iterator[str]:
    if not keys:
        yield "it declares no field."
    for name in keys:
        if not _KEY_PATTERN.fullmatch(name):
            yield f"{name!r} is not a valid key: use 1 to 63 letters, digits, _ and -, beginning with a letter."


def _check_fields(keys: Mapping[str, SettingsKey]) -> Iterator[str]:
    for name, (field, _, _) in keys.items():
        if field.dump_only:
            yield f"{name!r} is dump_only, so it could never be set."
        if isinstance(field, fields.Decimal) and not field.as_string:
            yield f"{name!r} does not serialise to JSON: give it as_string=True."
        if contradiction := find_contradiction(field):
            yield f"{name!r} {contradiction}"
        for flag in _METADATA_FLAGS:
            if not isinstance(field.metadata.get(flag, False), bool):
                yield f"{name!r} has metadata {flag!r} that is neither True nor False."


def _serialize_defaults(schema: type[Schema], keys: Mapping[str, SettingsKey]) -> dict[str, Any]:
    """Serialize the defaults by the schema; a callable default is called once, here."""
    defaults: dict[str, Any] = {}
    for name, key in keys.items():
        default = key.field.load_default
        if default is missing:
            continue
        try:
            value = default() if callable(default) else default
            defaults[name] = key.field.serialize(key.attribute, {key.attribute: value})
            json.dumps(defaults[name], allow_nan=False)
        except Exception:
            raise ConfigurationError(
                f"{schema.__name__}: the default of {name!r} does not serialise to JSON."
            ) from None
    return defaults


def _check_defaults(namespace: Namespace) -> Namespace:
    try:
        namespace.load(namespace.defaults)
    except ValidationError as error:
        kind = type(namespace.schema).__name__
        raise ConfigurationError(
            f"{kind} refuses its own defaults: {describe_validation_error(namespace, error)}."
        ) from None
    return namespace


DIALECT = "https://json-schema.org/draft/2020-12/schema"
_COMPONENTS, _DEFINITIONS = "#/components/schemas/", "#/$defs/"


def make_json_schema(namespaces: Namespaces) -> dict[str, Any]:
    """Build the JSON Schema of all declared namespaces, which is the schema of the `explicit` member of settings."""
    from apispec import APISpec
    from apispec.ext.marshmallow import MarshmallowPlugin
    from apispec.ext.marshmallow.openapi import OpenAPIConverter

    class Converter(OpenAPIConverter):
        def field2property(self, field: Any) -> dict[str, Any]:
            return correct_schema(field, super().field2property(field))

    class Plugin(MarshmallowPlugin):
        pass

    Plugin.Converter = Converter
    plugin = Plugin()
    spec = APISpec("", "", "3.1.0", [plugin])
    properties = {name: describe_namespace(plugin.converter, namespace) for name, namespace in namespaces.items()}
    document = {"$schema": DIALECT, "title": "Settings", **make_closed_object(properties)}
    if spec.components.schemas:
        document["$defs"] = spec.components.schemas
    result: dict[str, Any] = json.loads(
        json.dumps(document, default=str).replace(f'"{_COMPONENTS}', f'"{_DEFINITIONS}')
    )
    return result


def describe_namespace(converter: Any, namespace: Namespace) -> dict[str, Any]:
    """Build the JSON Schema of one namespace with apispec's `converter`; nested schemas become its components."""
    text = " ".join((vars(type(namespace.schema)).get("__doc__") or "").partition("\n\n")[0].split())
    description = {"description": text} if text else {}
    return {
        **description,
        **make_closed_object({key: describe_key(converter, namespace, key) for key in namespace.keys}),
    }


def describe_key(converter: Any, namespace: Namespace, key: str) -> dict[str, Any]:
    """Build the JSON Schema of one key: its type, its default unless it is secret, `writeOnly` and `x-immutable`."""
    declared = namespace.keys[key]
    property_: dict[str, Any] = {**converter.field2property(declared.field)}
    property_.pop("default", None)
    if declared.secret:
        return {**property_, "writeOnly": True, **_mark_immutable(declared.immutable)}
    default = {"default": namespace.defaults[key]} if key in namespace.defaults else {}
    return {**property_, **default, **_mark_immutable(declared.immutable)}


def make_closed_object(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Build the JSON Schema of an object that allows these members, all optional, and no others."""
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def _mark_immutable(immutable: bool) -> dict[str, Any]:
    return {"x-immutable": True} if immutable else {}
