"""Convert marshmallow fields to JSON Schema (draft 2020-12)."""

from __future__ import annotations

import copy
import functools
import itertools
import re
from typing import Any, ClassVar

from apispec import APISpec
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema, fields, missing

from ..clients.keys import JwksField
from ..clients.schemas import MAX_NETWORK_LENGTH, MAX_NETWORKS, MAX_PERMISSIONS, NetworksField, PermissionsField
from ..events.schemas import EVENT_TYPES, UUID_PATTERN, TenantIdField, TypesField
from ..partners.schemas import MAX_PLAN_LENGTH, MAX_PLANS, PlansField
from ..tenants.custom_fields import CustomFilterField
from ..tenants.fields import (
    MAX_METADATA_KEY_LENGTH,
    MAX_METADATA_KEYS,
    MAX_METADATA_VALUE_LENGTH,
    EmailField,
    MetadataField,
    PhoneField,
    PlanField,
)
from ..validation import PartnerIdField, StrictSchema, TextField, WholeNumberField
from ..web.field_schemas import correct_schema
from ..web.pagination import PageSizeField
from ..web.parameters import ChoiceField, FlagField, InstantField, MomentField
from ..webhooks.fanout import MAX_GLOB_LENGTH
from ..webhooks.schemas import MAX_GLOBS, SIGNING_SCHEMES, BooleanField, GlobsField, SigningField, UrlField
from .examples import add_example
from .patterns import (
    INSTANT_PATTERN,
    PARTNER_ID_PATTERNS,
    PHONE_PATTERN,
    STORABLE_PATTERN,
    build_reserved_email_pattern,
    build_trimmed_patterns,
    build_visible_patterns,
    keep_portable,
)
from .schemas import get_component_name, is_input_schema

_ROOT = __name__.partition(".")[0]


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
        MomentField: ("string", "date-time"),
        WholeNumberField: ("integer", None),
        PlansField: ("array", None),
        PermissionsField: ("array", None),
        NetworksField: ("array", None),
        JwksField: ("object", None),
    }

    def init_attribute_functions(self) -> None:
        super().init_attribute_functions()  # type: ignore[no-untyped-call]
        self.attribute_functions.append(_add_properties)

    def field2property(self, field: fields.Field[Any]) -> dict[str, Any]:
        schema: dict[str, Any] = super().field2property(field)
        # Older releases of apispec leave examples out, and wrap the reference of a nested schema.
        schema |= {name: field.metadata[name] for name in ("description", "examples") if name in field.metadata}
        if len(schema.get("allOf", ())) == 1:
            (reference,) = schema.pop("allOf")
            is_nullable = schema.pop("type", None) is not None
            schema |= {"anyOf": [reference, {"type": "null"}]} if is_nullable else reference
        return add_example(keep_portable(correct_schema(field, schema)), suggests=isinstance(field.root, StrictSchema))

    def schema2jsonschema(self, schema: Schema) -> dict[str, Any]:
        properties: dict[str, Any] = super().schema2jsonschema(schema)  # type: ignore[no-untyped-call]
        if isinstance(schema, StrictSchema) and not is_input_schema(schema):
            optional = {field.data_key or name for name, field in schema.fields.items() if "optional" in field.metadata}
            properties.pop("additionalProperties", None)
            properties["required"] = [name for name in properties["properties"] if name not in optional]
        if text := describe_schema(schema):
            properties["description"] = text
        return properties


def describe_schema(schema: Schema) -> str:
    """Return the docstring of the schema's class as paragraphs, without that of marshmallow itself."""
    kinds = itertools.takewhile(lambda kind: kind not in (StrictSchema, Schema), type(schema).__mro__)
    text = next(filter(None, (vars(kind).get("__doc__") for kind in kinds)), "")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _add_properties(field: fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords of `field` beyond its type and its metadata, whose description and examples come first."""
    keywords = {**_describe_kind(field), **describe_field(field)}
    return {name: value for name, value in keywords.items() if name != "description" or name not in field.metadata}


def _describe_kind(field: fields.Field[Any]) -> dict[str, Any]:
    """Describe a field of this package by the first sentence of its class's docstring."""
    kind = type(field)
    if kind is TextField or not kind.__module__.startswith(_ROOT):
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
        patterns = build_trimmed_patterns(field.min_length, field.max_length, visible=field.visible)
        return {"minLength": field.min_length, **patterns}
    if field.visible:
        return {**_build_length_limits(field), **build_visible_patterns(may_be_empty=not field.min_length)}
    return {**_build_length_limits(field), "pattern": STORABLE_PATTERN}


@describe_field.register
def _describe_partner_id(field: PartnerIdField) -> dict[str, Any]:
    return {**_build_length_limits(field), **PARTNER_ID_PATTERNS}


@describe_field.register
def _describe_email(field: EmailField) -> dict[str, Any]:
    reserved = {"not": {"pattern": build_reserved_email_pattern()}} if is_input_schema(field.root) else {}
    return {**_build_length_limits(field), **reserved}


@describe_field.register
def _describe_phone(field: PhoneField) -> dict[str, Any]:
    description = "A valid number in E.164 form." if field.strict else "A telephone number: digits and the usual signs."
    pattern = "^\\+[0-9]+$" if field.strict else PHONE_PATTERN
    return {"description": description, **_build_length_limits(field), "pattern": pattern}


@describe_field.register
def _describe_plan(field: PlanField) -> dict[str, Any]:
    if field.plans is None:
        return _describe_text(field)
    return {"enum": [*field.plans, *([None] if field.allow_none else [])], "examples": [*field.plans[:1]]}


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
    return {**_build_length_limits(field), "pattern": f"^{event_type}(,{event_type})*$"}


@describe_field.register
def _describe_tenant_id(field: TenantIdField) -> dict[str, Any]:
    return {"format": "uuid", "pattern": f"^{UUID_PATTERN.pattern}$"}


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
    text = {"type": "string", "minLength": 1, "maxLength": MAX_PLAN_LENGTH, "pattern": STORABLE_PATTERN}
    if field.plans is None:
        return {"items": text, "maxItems": MAX_PLANS}
    return {"items": {"enum": list(field.plans)}, "maxItems": MAX_PLANS, "examples": [list(field.plans[:2])]}


@describe_field.register
def _describe_permissions(field: PermissionsField) -> dict[str, Any]:
    if not is_input_schema(field.root):  # a host may declare more, and withdraw one that a client still has
        return {"items": {"type": "string"}}
    return {"items": {"enum": list(field.known)}, "minItems": 1, "maxItems": MAX_PERMISSIONS}


@describe_field.register
def _describe_networks(field: NetworksField) -> dict[str, Any]:
    network = {"type": "string", "maxLength": MAX_NETWORK_LENGTH, "pattern": "^[0-9A-Fa-f.:]+(/[0-9]+)?$"}
    return {"items": network, "maxItems": MAX_NETWORKS}


@describe_field.register
def _describe_instant(field: fields.AwareDateTime) -> dict[str, Any]:
    is_own_output = isinstance(field.root, StrictSchema) and not is_input_schema(field.root)
    return {"pattern": INSTANT_PATTERN} if is_own_output else {}


@describe_field.register
def _describe_custom_filter(field: CustomFilterField) -> dict[str, Any]:
    """Describe a filter by the host's own field."""
    custom_field = copy.copy(field.custom)
    custom_field.allow_none, custom_field.dump_only, custom_field.load_default = False, False, missing
    schema: dict[str, Any] = Converter("3.1.0", get_component_name, APISpec("", "", "3.1.0")).field2property(
        custom_field
    )
    return {"description": "Only tenants with this value.", **schema}


def _build_length_limits(field: TextField) -> dict[str, Any]:
    return {**({"minLength": field.min_length} if field.min_length else {}), "maxLength": field.max_length}


def _build_pairs_schema(kind: str | list[str]) -> dict[str, Any]:
    return {
        "propertyNames": {"minLength": 1, "maxLength": MAX_METADATA_KEY_LENGTH, "pattern": STORABLE_PATTERN},
        "additionalProperties": {"type": kind, "maxLength": MAX_METADATA_VALUE_LENGTH, "pattern": STORABLE_PATTERN},
    }
