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
    MAX_KEY_LENGTH,
    MAX_METADATA_KEYS,
    MAX_VALUE_LENGTH,
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
from ..webhooks.fanout import MAX_GLOB_LENGTH as LONGEST_GLOB
from ..webhooks.schemas import MAX_GLOBS, SIGNING_SCHEMES, BooleanField, GlobsField, SigningField, SinceField, UrlField
from .schemas import get_component_name, is_input_schema

_ROOT = __name__.partition(".")[0]
_STORABLE_PATTERN = "^[^\\u0000]*$"
#: Contract §1: UTC, with milliseconds and ``Z``.
_INSTANT_PATTERN = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$"
#: Partners' ids, as far as a pattern tells: no control, format or separating characters, no segment of dots alone, and
#: none of the reserved tails (`access.principal.is_partner_id`).
PARTNER_ID_PATTERN = (
    f"^(?!(?:.*/)?\\.{{1,2}}(?:/|$))(?!.*(?:{'|'.join(RESERVED_SUFFIXES)})$)(?=.*[^ ])"
    "[^\\u0000-\\u001f\\u007f-\\u00a0\\u00ad\\u0600-\\u0605\\u061c\\u06dd\\u070f\\u1680\\u180e\\u2000-\\u200f"
    "\\u2028-\\u202f\\u205f-\\u206f\\u3000\\ud800-\\uf8ff\\ufeff\\ufff0-\\ufffb]+$"
)


class Converter(OpenAPIConverter):
    """Describes this package's own fields too; what goes out bears every field, so all of them are required there."""

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
        found: dict[str, Any] = super().field2property(field)
        return correct_schema(field, found)

    def schema2jsonschema(self, schema: Schema) -> dict[str, Any]:
        found: dict[str, Any] = super().schema2jsonschema(schema)  # type: ignore[no-untyped-call]
        if isinstance(schema, StrictSchema) and not is_input_schema(schema):
            optional = {field.data_key or name for name, field in schema.fields.items() if "optional" in field.metadata}
            found["required"] = [name for name in found["properties"] if name not in optional]
        return found


def _add_properties(field: fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    own = describe_field(field)
    return own if "enum" in own else {**_describe_kind(field, ret), **own}


def _describe_kind(field: fields.Field[Any], known: dict[str, Any]) -> dict[str, Any]:
    """The first sentence about this kind of field, where the field itself says nothing."""
    kind = type(field)
    if "description" in known or kind is TextField or not kind.__module__.startswith(_ROOT):
        return {}
    sentence, _, _ = (kind.__doc__ or "").replace("``", "`").partition(". ")
    return {"description": f"{sentence.rstrip('.')}."} if sentence else {}


@functools.singledispatch
def describe_field(field: fields.Field[Any]) -> dict[str, Any]:
    """What JSON Schema says of `field` beyond its type."""
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
    """`pattern`, for texts of which something is seen."""
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
    meaning = "A valid number in E.164 form." if field.strict else "A telephone number: digits and the usual signs."
    pattern = "\\+[0-9]+" if field.strict else PHONE_PATTERN.pattern
    return {"description": meaning, **_build_length_limits(field), "pattern": f"^{pattern}$(?!\\n)"}


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
    one = f"({'|'.join(map(re.escape, EVENT_TYPES))})"
    return {**_build_length_limits(field), "pattern": f"^{one}(,{one})*$(?!\\n)"}


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
    glob = {"type": "string", "maxLength": LONGEST_GLOB, "pattern": "^[a-z_*]+(\\.[a-z_*]+)*$"}
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
    ours = isinstance(field.root, StrictSchema)
    return {"pattern": _INSTANT_PATTERN} if ours and not is_input_schema(field.root) else {}


@describe_field.register
def _describe_custom_filter(field: CustomFilterField) -> dict[str, Any]:
    """What the host's own schema says of the field."""
    asked = copy.copy(field.own)
    asked.allow_none, asked.dump_only, asked.load_default = False, False, missing
    found: dict[str, Any] = Converter("3.1.0", get_component_name, APISpec("", "", "3.1.0")).field2property(asked)
    return {"description": "Only tenants with this value.", **found}


def build_trimmed_pattern(shortest: int, longest: int) -> str:
    """The pattern of a text that has `shortest` to `longest` (2 or more) characters once ``str.strip`` has cut it."""
    blank, any_, solid = f"[{_build_whitespace_class()}]*", "[^\\u0000]", f"[^{_build_whitespace_class()}\\u0000]"
    more = f"(?:{any_}{{{max(shortest - 2, 0)},{longest - 2}}}{solid}){'?' if shortest < 2 else ''}"
    return f"^{blank}(?:{solid}{more}){'' if shortest else '?'}{blank}$"


@functools.cache
def _build_reserved_email_pattern() -> str:
    """Addresses in the domains that email-validator refuses, since nobody can have one there (RFC 6761)."""
    names = ("".join(f"[{letter}{letter.upper()}]" for letter in name) for name in SPECIAL_USE_DOMAIN_NAMES)
    return f"@([^@]*\\.)?({'|'.join(names)})$"


@functools.cache
def _build_whitespace_class() -> str:
    """What ``str.strip`` cuts off, as the inside of a character class."""
    found = [code for code in range(0x10000) if chr(code).isspace()]
    runs = [[code for _, code in run] for _, run in itertools.groupby(enumerate(found), lambda pair: pair[1] - pair[0])]
    return "".join(f"\\u{run[0]:04x}" + (f"-\\u{run[-1]:04x}" if run[1:] else "") for run in runs)


def _build_length_limits(field: TextField) -> dict[str, Any]:
    return {**({"minLength": field.min_length} if field.min_length else {}), "maxLength": field.max_length}


def _build_pairs_schema(kind: str | list[str]) -> dict[str, Any]:
    return {
        "propertyNames": {"minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": _STORABLE_PATTERN},
        "additionalProperties": {"type": kind, "maxLength": MAX_VALUE_LENGTH, "pattern": _STORABLE_PATTERN},
    }
