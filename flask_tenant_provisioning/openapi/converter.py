"""Convert marshmallow fields to JSON Schema (draft 2020-12)."""

from __future__ import annotations

import copy
import functools
import itertools
import re
from typing import Any, ClassVar

from apispec import APISpec
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from email_validator import SPECIAL_USE_DOMAIN_NAMES
from marshmallow import Schema, fields, missing

from ..access.principal import RESERVED_SUFFIXES
from ..events.schemas import EVENT_TYPES, UUID_PATTERN, TenantIdField, TypesField
from ..partners.schemas import MAX_PLAN_LENGTH, MAX_PLANS, PlansField
from ..tenants.custom_fields import CustomFilterField
from ..tenants.fields import (
    MAX_METADATA_KEY_LENGTH,
    MAX_METADATA_KEYS,
    MAX_METADATA_VALUE_LENGTH,
    PHONE_PATTERN,
    EmailField,
    MetadataField,
    PhoneField,
    PlanField,
)
from ..validation import INVISIBLE, PartnerIdField, StrictSchema, TextField, WholeNumberField
from ..web.field_schemas import correct_schema
from ..web.pagination import PageSizeField
from ..web.parameters import ChoiceField, FlagField, InstantField
from ..webhooks.fanout import MAX_GLOB_LENGTH
from ..webhooks.schemas import MAX_GLOBS, SIGNING_SCHEMES, BooleanField, GlobsField, SigningField, SinceField, UrlField
from .schemas import get_component_name, is_input_schema

_ROOT = __name__.partition(".")[0]
_STORABLE_PATTERN = "^[^\\u0000]*$"
#: UTC, with milliseconds and ``Z`` (RFC 3339 §5.6).
_INSTANT_PATTERN = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$"
#: The pattern of partner ids, which approximates `access.principal.is_partner_id`: no control, format or separator
#: characters, no path segment ``.`` or ``..``, and no reserved suffix.
PARTNER_ID_PATTERN = (
    f"^(?!(?:.*/)?\\.{{1,2}}(?:/|$))(?!.*(?:{'|'.join(RESERVED_SUFFIXES)})$)(?=.*[^ ])"
    "[^\\u0000-\\u001f\\u007f-\\u00a0\\u00ad\\u0600-\\u0605\\u061c\\u06dd\\u070f\\u1680\\u180e\\u2000-\\u200f"
    "\\u2028-\\u202f\\u205f-\\u206f\\u3000\\ud800-\\uf8ff\\ufeff\\ufff0-\\ufffb]+$"
)


class Converter(OpenAPIConverter):
    """A converter that also knows this package's fields. In output schemas every field is required."""

    field_mapping: ClassVar[dict[type, tuple[str | None, str | None]]] = {  # type: ignore[misc]
        **OpenAPIConverter.field_mapping,
        TextField: ("string", None),
        EmailField: ("string", "email"),
        MetadataField: ("object", None),
        TypesField: ("string", None),
        TenantIdField: ("string", "uuid"),
        PageSizeField: ("integer", None),
        InstantField: ("string", "date-time"),
        ChoiceField: ("string", None),
        FlagField: ("boolean", None),
        UrlField: ("string", "uri"),
        GlobsField: ("array", None),
        BooleanField: ("boolean", None),
        SinceField: ("string", "date-time"),
        WholeNumberField: ("integer", None),
        PlansField: ("array", None),
    }

    def init_attribute_functions(self) -> None:
        super().init_attribute_functions()  # type: ignore[no-untyped-call]
        self.attribute_functions.append(_add_properties)

    def field2property(self, field: fields.Field[Any]) -> dict[str, Any]:
        schema: dict[str, Any] = super().field2property(field)
        return correct_schema(field, schema)

    def schema2jsonschema(self, schema: Schema) -> dict[str, Any]:
        properties: dict[str, Any] = super().schema2jsonschema(schema)  # type: ignore[no-untyped-call]
        if isinstance(schema, StrictSchema) and not is_input_schema(schema):
            optional = {field.data_key or name for name, field in schema.fields.items() if "optional" in field.metadata}
            properties.pop("additionalProperties", None)
            properties["required"] = [name for name in properties["properties"] if name not in optional]
        return properties


def _add_properties(field: fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    keywords = describe_field(field)
    return keywords if "enum" in keywords else {**_describe_kind(field, ret), **keywords}


def _describe_kind(field: fields.Field[Any], keywords: dict[str, Any]) -> dict[str, Any]:
    """Describe a field by the first sentence of its class's docstring, unless it has a description of its own."""
    kind = type(field)
    if "description" in keywords or kind is TextField or not kind.__module__.startswith(_ROOT):
        return {}
    sentence, _, _ = (kind.__doc__ or "").replace("``", "`").partition(". ")
    return {"description": f"{sentence.rstrip('.')}."} if sentence else {}


@functools.singledispatch
def describe_field(field: fields.Field[Any]) -> dict[str, Any]:
    """Return the JSON Schema keywords of `field` beyond its type."""
    return {}


@describe_field.register
def _describe_text(field: TextField) -> dict[str, Any]:
    if not is_input_schema(field.root):
        return _build_length_limits(field)
    if field.trim:
        meaning = f"{field.min_length} to {field.max_length} characters after trimming."
        pattern = build_trimmed_pattern(field.min_length, field.max_length)
        return {
            "description": meaning,
            "minLength": field.min_length,
            "pattern": _require_visible(pattern) if field.visible else pattern,
        }
    if field.visible:
        return {
            **_build_length_limits(field),
            "pattern": _require_visible(_STORABLE_PATTERN) + ("" if field.min_length else "|^$"),
        }
    return {**_build_length_limits(field), "pattern": _STORABLE_PATTERN}


def _require_visible(pattern: str) -> str:
    """Extend `pattern` to require at least one visible character."""
    return f"^(?=[\\s\\S]*[^{INVISIBLE}]){pattern.removeprefix('^')}"


@describe_field.register
def _describe_partner_id(field: PartnerIdField) -> dict[str, Any]:
    return {**_build_length_limits(field), "pattern": PARTNER_ID_PATTERN}


@describe_field.register
def _describe_email(field: EmailField) -> dict[str, Any]:
    reserved = {"not": {"pattern": _build_reserved_email_pattern()}} if is_input_schema(field.root) else {}
    return {**_build_length_limits(field), **reserved}


@describe_field.register
def _describe_phone(field: PhoneField) -> dict[str, Any]:
    description = "A valid number in E.164 form." if field.strict else "A telephone number: digits and the usual signs."
    pattern = "\\+[0-9]+" if field.strict else PHONE_PATTERN.pattern
    return {"description": description, **_build_length_limits(field), "pattern": f"^{pattern}$(?!\\n)"}


@describe_field.register
def _describe_plan(field: PlanField) -> dict[str, Any]:
    if field.plans is None:
        return _describe_text(field)
    return {"enum": [*field.plans, *([None] if field.allow_none else [])]}


@describe_field.register
def _describe_metadata(field: MetadataField) -> dict[str, Any]:
    if not is_input_schema(field.root):
        return {"type": "object", **_build_pairs_schema("string"), "maxProperties": MAX_METADATA_KEYS}
    if field.root.partial:  # type: ignore[union-attr]
        return _build_pairs_schema(["string", "null"])
    return {**_build_pairs_schema("string"), "maxProperties": MAX_METADATA_KEYS}


@describe_field.register
def _describe_event_types(field: TypesField) -> dict[str, Any]:
    event_type = f"({'|'.join(map(re.escape, EVENT_TYPES))})"
    return {**_build_length_limits(field), "pattern": f"^{event_type}(,{event_type})*$(?!\\n)"}


@describe_field.register
def _describe_tenant_id(field: TenantIdField) -> dict[str, Any]:
    return {"format": "uuid", "pattern": f"^{UUID_PATTERN.pattern}$(?!\\n)"}


@describe_field.register
def _describe_page_size(field: PageSizeField) -> dict[str, Any]:
    return {"minimum": 1}


@describe_field.register
def _describe_choice(field: ChoiceField) -> dict[str, Any]:
    return {"enum": list(field.choices)}


@describe_field.register
def _describe_signing(field: SigningField) -> dict[str, Any]:
    return {"enum": list(SIGNING_SCHEMES)}


@describe_field.register
def _describe_globs(field: GlobsField) -> dict[str, Any]:
    glob = {"type": "string", "maxLength": MAX_GLOB_LENGTH, "pattern": "^[a-z_*]+(\\.[a-z_*]+)*$"}
    return {"items": glob, "minItems": 1, "maxItems": MAX_GLOBS}


@describe_field.register
def _describe_whole_number(field: WholeNumberField) -> dict[str, Any]:
    return {"minimum": 0, "maximum": field.most}


@describe_field.register
def _describe_plans(field: PlansField) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1, "maxLength": MAX_PLAN_LENGTH, "pattern": _STORABLE_PATTERN}
    return {"items": text if field.plans is None else {"enum": list(field.plans)}, "maxItems": MAX_PLANS}


@describe_field.register
def _describe_instant(field: fields.AwareDateTime) -> dict[str, Any]:
    is_own_output = isinstance(field.root, StrictSchema) and not is_input_schema(field.root)
    return {"pattern": _INSTANT_PATTERN} if is_own_output else {}


@describe_field.register
def _describe_custom_filter(field: CustomFilterField) -> dict[str, Any]:
    """Describe a filter by the host's own field."""
    custom_field = copy.copy(field.custom)
    custom_field.allow_none, custom_field.dump_only, custom_field.load_default = False, False, missing
    schema: dict[str, Any] = Converter("3.1.0", get_component_name, APISpec("", "", "3.1.0")).field2property(
        custom_field
    )
    return {"description": "Only tenants with this value.", **schema}


def build_trimmed_pattern(shortest: int, longest: int) -> str:
    """Build the pattern of a text with `shortest` to `longest` (at least 2) characters after ``str.strip``."""
    whitespace, inner = f"[{_build_whitespace_class()}]*", "[^\\u0000]"
    edge = f"[^{_build_whitespace_class()}\\u0000]"
    following = f"(?:{inner}{{{max(shortest - 2, 0)},{longest - 2}}}{edge}){'?' if shortest < 2 else ''}"
    return f"^{whitespace}(?:{edge}{following}){'' if shortest else '?'}{whitespace}$"


@functools.cache
def _build_reserved_email_pattern() -> str:
    """Build the pattern of addresses in the special-use domains that email-validator refuses (RFC 6761)."""
    names = ("".join(f"[{letter}{letter.upper()}]" for letter in name) for name in SPECIAL_USE_DOMAIN_NAMES)
    return f"@([^@]*\\.)?({'|'.join(names)})$"


@functools.cache
def _build_whitespace_class() -> str:
    """Build the content of a character class that matches what ``str.strip`` removes."""
    codes = [code for code in range(0x10000) if chr(code).isspace()]
    runs = [[code for _, code in run] for _, run in itertools.groupby(enumerate(codes), lambda pair: pair[1] - pair[0])]
    return "".join(f"\\u{run[0]:04x}" + (f"-\\u{run[-1]:04x}" if run[1:] else "") for run in runs)


def _build_length_limits(field: TextField) -> dict[str, Any]:
    return {**({"minLength": field.min_length} if field.min_length else {}), "maxLength": field.max_length}


def _build_pairs_schema(kind: str | list[str]) -> dict[str, Any]:
    return {
        "propertyNames": {"minLength": 1, "maxLength": MAX_METADATA_KEY_LENGTH, "pattern": _STORABLE_PATTERN},
        "additionalProperties": {"type": kind, "maxLength": MAX_METADATA_VALUE_LENGTH, "pattern": _STORABLE_PATTERN},
    }
