"""What each field of a schema accepts and shows, as JSON Schema (draft 2020-12)."""

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

from ..access.principal import RESERVED_TAILS
from ..events.schemas import ID, TYPES, TenantIdField, TypesField
from ..partners.schemas import LONGEST_PLAN, MOST_PLANS, PlansField
from ..tenants.fields import (
    LONGEST_KEY,
    LONGEST_VALUE,
    MOST_KEYS,
    PHONE,
    EmailField,
    MetadataField,
    PhoneField,
    PlanField,
)
from ..tenants.own_filters import OwnFilterField
from ..web.field_schemas import corrected
from ..web.parameters import ChoiceField, FlagField, InstantField, LimitField
from ..web.validation import INVISIBLE, PartnerIdField, StrictSchema, TextField, WholeNumberField
from ..webhooks.fields import (
    MOST_GLOBS,
    SCHEMES,
    GlobsField,
    SigningField,
    SinceField,
    SwitchField,
    UrlField,
)
from ..webhooks.globs import LONGEST as LONGEST_GLOB
from .schemas import is_incoming, name_of

_ROOT = __name__.partition(".")[0]
_STORABLE = "^[^\\u0000]*$"
#: Contract §1: UTC, with milliseconds and ``Z``.
_INSTANT = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$"


#: Partners' ids, as far as a pattern tells: no control, format or separating characters, no segment of dots alone, and
#: none of the reserved tails (`access.principal.is_partner_id`).
PARTNER_ID = (
    f"^(?!(?:.*/)?\\.{{1,2}}(?:/|$))(?!.*(?:{'|'.join(RESERVED_TAILS)})$)(?=.*[^ ])"
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
        LimitField: ("integer", None),
        InstantField: ("string", "date-time"),
        ChoiceField: ("string", None),
        FlagField: ("boolean", None),
        UrlField: ("string", "uri"),
        GlobsField: ("array", None),
        SwitchField: ("boolean", None),
        SinceField: ("string", "date-time"),
        WholeNumberField: ("integer", None),
        PlansField: ("array", None),
    }

    def init_attribute_functions(self) -> None:
        super().init_attribute_functions()  # type: ignore[no-untyped-call]
        self.attribute_functions.append(_own_properties)

    def field2property(self, field: fields.Field[Any]) -> dict[str, Any]:
        found: dict[str, Any] = super().field2property(field)
        return corrected(field, found)

    def schema2jsonschema(self, schema: Schema) -> dict[str, Any]:
        found: dict[str, Any] = super().schema2jsonschema(schema)  # type: ignore[no-untyped-call]
        if isinstance(schema, StrictSchema) and not is_incoming(schema):
            optional = {field.data_key or name for name, field in schema.fields.items() if "optional" in field.metadata}
            found["required"] = [name for name in found["properties"] if name not in optional]
        return found


def _own_properties(field: fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    own = described(field)
    return own if "enum" in own else {**_meaning(field, ret), **own}


def _meaning(field: fields.Field[Any], known: dict[str, Any]) -> dict[str, Any]:
    """The first sentence about this kind of field, where the field itself says nothing."""
    kind = type(field)
    if "description" in known or kind is TextField or not kind.__module__.startswith(_ROOT):
        return {}
    sentence, _, _ = (kind.__doc__ or "").replace("``", "`").partition(". ")
    return {"description": f"{sentence.rstrip('.')}."} if sentence else {}


@functools.singledispatch
def described(field: fields.Field[Any]) -> dict[str, Any]:
    """What JSON Schema says of `field` beyond its type."""
    return {}


@described.register
def _text(field: TextField) -> dict[str, Any]:
    if not is_incoming(field.root):
        return _lengths(field)
    if field.trim:
        meaning = f"{field.shortest} to {field.longest} characters after trimming."
        pattern = trimmed(field.shortest, field.longest)
        return {
            "description": meaning,
            "minLength": field.shortest,
            "pattern": _seen(pattern) if field.visible else pattern,
        }
    if field.visible:
        return {**_lengths(field), "pattern": _seen(_STORABLE) + ("" if field.shortest else "|^$")}
    return {**_lengths(field), "pattern": _STORABLE}


def _seen(pattern: str) -> str:
    """`pattern`, for texts of which something is seen."""
    return f"^(?=[\\s\\S]*[^{INVISIBLE}]){pattern.removeprefix('^')}"


@described.register
def _partner_id(field: PartnerIdField) -> dict[str, Any]:
    return {**_lengths(field), "pattern": PARTNER_ID}


@described.register
def _email(field: EmailField) -> dict[str, Any]:
    reserved = {"not": {"pattern": _reserved()}} if is_incoming(field.root) else {}
    return {**_lengths(field), **reserved}


@described.register
def _phone(field: PhoneField) -> dict[str, Any]:
    meaning = "A valid number in E.164 form." if field.strict else "A telephone number: digits and the usual signs."
    pattern = "\\+[0-9]+" if field.strict else PHONE.pattern
    return {"description": meaning, **_lengths(field), "pattern": f"^{pattern}$(?!\\n)"}


@described.register
def _plan(field: PlanField) -> dict[str, Any]:
    if field.plans is None:
        return _text(field)
    return {"enum": [*field.plans, *([None] if field.allow_none else [])]}


@described.register
def _metadata(field: MetadataField) -> dict[str, Any]:
    if not is_incoming(field.root):
        return {"type": "object", **_pairs("string"), "maxProperties": MOST_KEYS}
    if field.root.partial:  # type: ignore[union-attr]
        return _pairs(["string", "null"])
    return {**_pairs("string"), "maxProperties": MOST_KEYS}


@described.register
def _types(field: TypesField) -> dict[str, Any]:
    one = f"({'|'.join(map(re.escape, TYPES))})"
    return {**_lengths(field), "pattern": f"^{one}(,{one})*$(?!\\n)"}


@described.register
def _tenant_id(field: TenantIdField) -> dict[str, Any]:
    return {"format": "uuid", "pattern": f"^{ID.pattern}$(?!\\n)"}


@described.register
def _limit(field: LimitField) -> dict[str, Any]:
    return {"minimum": 1}


@described.register
def _choice(field: ChoiceField) -> dict[str, Any]:
    return {"enum": list(field.choices)}


@described.register
def _signing(field: SigningField) -> dict[str, Any]:
    return {"enum": list(SCHEMES)}


@described.register
def _globs(field: GlobsField) -> dict[str, Any]:
    glob = {"type": "string", "maxLength": LONGEST_GLOB, "pattern": "^[a-z_*]+(\\.[a-z_*]+)*$"}
    return {"items": glob, "minItems": 1, "maxItems": MOST_GLOBS}


@described.register
def _whole(field: WholeNumberField) -> dict[str, Any]:
    return {"minimum": 0, "maximum": field.most}


@described.register
def _plans(field: PlansField) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1, "maxLength": LONGEST_PLAN, "pattern": _STORABLE}
    return {"items": text if field.plans is None else {"enum": list(field.plans)}, "maxItems": MOST_PLANS}


@described.register
def _shown_instant(field: fields.AwareDateTime) -> dict[str, Any]:
    ours = isinstance(field.root, StrictSchema)
    return {"pattern": _INSTANT} if ours and not is_incoming(field.root) else {}


@described.register
def _own(field: OwnFilterField) -> dict[str, Any]:
    """What the host's own schema says of the field."""
    asked = copy.copy(field.own)
    asked.allow_none, asked.dump_only, asked.load_default = False, False, missing
    found: dict[str, Any] = Converter("3.1.0", name_of, APISpec("", "", "3.1.0")).field2property(asked)
    return {"description": "Only tenants with this value.", **found}


def trimmed(shortest: int, longest: int) -> str:
    """The pattern of a text that has `shortest` to `longest` (2 or more) characters once ``str.strip`` has cut it."""
    blank, any_, solid = f"[{_blanks()}]*", "[^\\u0000]", f"[^{_blanks()}\\u0000]"
    more = f"(?:{any_}{{{max(shortest - 2, 0)},{longest - 2}}}{solid}){'?' if shortest < 2 else ''}"
    return f"^{blank}(?:{solid}{more}){'' if shortest else '?'}{blank}$"


@functools.cache
def _reserved() -> str:
    """Addresses in the domains that email-validator refuses, since nobody can have one there (RFC 6761)."""
    names = ("".join(f"[{letter}{letter.upper()}]" for letter in name) for name in SPECIAL_USE_DOMAIN_NAMES)
    return f"@([^@]*\\.)?({'|'.join(names)})$"


@functools.cache
def _blanks() -> str:
    """What ``str.strip`` cuts off, as the inside of a character class."""
    found = [code for code in range(0x10000) if chr(code).isspace()]
    runs = [[code for _, code in run] for _, run in itertools.groupby(enumerate(found), lambda pair: pair[1] - pair[0])]
    return "".join(f"\\u{run[0]:04x}" + (f"-\\u{run[-1]:04x}" if run[1:] else "") for run in runs)


def _lengths(field: TextField) -> dict[str, Any]:
    return {**({"minLength": field.shortest} if field.shortest else {}), "maxLength": field.longest}


def _pairs(kind: str | list[str]) -> dict[str, Any]:
    return {
        "propertyNames": {"minLength": 1, "maxLength": LONGEST_KEY, "pattern": _STORABLE},
        "additionalProperties": {"type": kind, "maxLength": LONGEST_VALUE, "pattern": _STORABLE},
    }
