"""JSON Schema of a host's own marshmallow fields: apispec's schema, corrected to match what the field serialises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import fields
from marshmallow.validate import ContainsOnly

Property = dict[str, Any]

_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_TYPES: Mapping[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_WHOLE, _NUMBER = "^-?[0-9]+$", "^-?[0-9]+(\\.[0-9]+)?([eE][-+]?[0-9]+)?$"


def correct_schema(field: fields.Field[Any], found: Mapping[str, Any]) -> Property:
    """Return apispec's schema `found`, corrected to match the JSON that the field writes and reads.

    A number with ``as_string`` is a string; ``format`` is kept only for dates in RFC 3339; choices are listed as they
    are serialised, and the choices of a list's members under ``items``.
    """
    made = {name: value for name, value in found.items() if value is not None or name in ("default", "const")}
    if isinstance(field, fields.Nested) and field.allow_none and "anyOf" not in made:
        made = _allow_null(made)
    if "enum" in made:
        made |= _convert_choices(field, made.pop("enum"), made)
    if is_number_as_text(field):
        return _convert_number_to_text(field, made)
    if not _is_rfc3339(field):
        made.pop("format", None)
    if isinstance(field, fields.TimeDelta) and getattr(field, "serialization_type", float) is not int:
        made["type"] = _change_type(made, "number")
    return made


def find_contradiction(field: fields.Field[Any]) -> str:
    """Return why the field rejects its own output, as a phrase that follows its name; empty if it accepts it."""
    if isinstance(field, fields.Boolean) and not (True in field.truthy and False in field.falsy):
        return "shows true and false, and takes neither: add them to its truthy and falsy."
    if isinstance(field, fields.Integer) and field.strict and is_number_as_text(field):
        return "shows a text (as_string), and takes none (strict): leave one out."
    return ""


def is_number_as_text(field: fields.Field[Any]) -> bool:
    """Return True if the field serialises a number as a string."""
    return isinstance(field, fields.Integer | fields.Float | fields.Decimal) and field.as_string


def _allow_null(found: Property) -> Property:
    """Return the schema `found` of a nested field, with null allowed, which apispec before 6.7 omits."""
    made = {name: value for name, value in found.items() if name not in ("type", "allOf")}
    if "allOf" in found:
        return {**made, "anyOf": [*found["allOf"], {"type": "null"}]}
    return {**made, "type": _change_type({"type": ["null"]}, found["type"])} if found.get("type") == "array" else found


def _convert_choices(field: fields.Field[Any], choices: Iterable[Any], found: Mapping[str, Any]) -> Property:
    values = list(choices)
    if any(isinstance(validator, ContainsOnly) for validator in field.validators):
        if not isinstance(field, fields.List):
            return {}
        inside = [_serialize_value(field.inner, value) for value in values if value is not None]
        return {"items": {**found.get("items", {}), "enum": inside}}
    written = values if isinstance(field, fields.Enum) else [_serialize_value(field, value) for value in values]
    kinds = list(dict.fromkeys(_TYPES.get(type(value), "") for value in written))
    retyped = isinstance(field, fields.Enum) and all(kinds)
    return {"enum": written, **({"type": kinds if kinds[1:] else kinds[0]} if retyped else {})}


def _serialize_value(field: fields.Field[Any], value: Any) -> Any:
    """Return a value as the field serialises it."""
    if value is None or (type(value) in _TYPES and not is_number_as_text(field)):
        return value
    try:
        return field._serialize(value, "", None)
    except (AttributeError, TypeError, ValueError):
        return str(value)


def _convert_number_to_text(field: fields.Field[Any], found: Property) -> Property:
    """Return the schema of a number that is written as a string. Its bounds become ``x-`` members."""
    found.pop("format", None)
    bounds = {f"x-{name}": found.pop(name) for name in _BOUNDS if name in found}
    pattern = _WHOLE if isinstance(field, fields.Integer) else _NUMBER
    told = {} if "enum" in found or getattr(field, "allow_nan", False) else {"pattern": pattern}
    return {**found, "type": _change_type(found, "string"), **bounds, **told}


def _change_type(found: Mapping[str, Any], kind: str) -> str | list[str]:
    """Return `kind`, or ``[kind, "null"]`` if `found` allows null."""
    return [kind, "null"] if "null" in found.get("type", ()) else kind


def _is_rfc3339(field: fields.Field[Any]) -> bool:
    """Return False for a date or time field whose format is not RFC 3339, as JSON Schema's ``format`` requires."""
    if not isinstance(field, fields.DateTime | fields.Date):
        return True
    if field.format not in (None, "iso", "iso8601"):
        return isinstance(field, fields.DateTime) and str(field.format).startswith("timestamp")
    return isinstance(field, fields.AwareDateTime | fields.Date)
