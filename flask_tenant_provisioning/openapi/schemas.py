"""Schemas of the explanations of problems, component names, and input schemas derived from output schemas."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import Schema, fields
from marshmallow.validate import OneOf

from ..errors import Mender
from ..validation import CREATION_ONLY, StrictSchema, describe
from ..web.headers import JSON

#: The key by which a JSON Schema asks to become a component; it is removed.
COMPONENT_KEY = "x-component"


class ProblemTypeSchema(StrictSchema):
    """The meaning of a problem code."""

    type = fields.String(
        metadata=describe("The address of the page that explains the code.", "/api/v1/provisioning/problems/not-found")
    )
    code = fields.String(metadata=describe("The stable problem code.", "not-found"))
    title = fields.String(metadata=describe("The problem in a few words.", "Not found"))
    status = fields.Integer(metadata=describe("The HTTP status of the response.", 404))
    meaning = fields.String(
        metadata=describe("What has happened, in a sentence or two.", "There is nothing at this address (404).")
    )
    remedy = fields.String(metadata=describe("What to do about it.", "Check the path against the API's documentation."))
    mended_by = fields.List(
        fields.String(validate=OneOf([mender.value for mender in Mender])),
        metadata=describe("Who can do it, the first choice first.", ["partner"]),
    )


class ProblemExplanationSchema(ProblemTypeSchema):
    """The meaning of a problem code, with an example document."""

    example = fields.Dict()


class ProblemIndexSchema(StrictSchema):
    """All problem codes of this API."""

    items = fields.List(fields.Nested(ProblemTypeSchema), metadata=describe("All problem codes, by status."))


def derive_input_schema(schema: Schema, *, partial: bool = False, in_path: Iterable[str] = ()) -> Schema:
    """Derive the input schema of `schema`, which leaves out the fields that only the server writes.

    Fields named in the path (`in_path`) are optional and must equal the path. With `partial`, no field is required, and
    those that only a creation takes are left out.
    """
    path_fields = schema.load_fields.keys() & set(in_path)
    excluded = schema.fields.keys() - schema.load_fields.keys()
    if partial:
        excluded |= {name for name, field in schema.fields.items() if field.metadata.get(CREATION_ONLY)}
    suffix = "Patch" if partial else "Input"
    for name in sorted(path_fields):
        suffix = f"By{name.title().replace('_', '')}{suffix}"
    derived = _make_input_class(type(schema), suffix)(exclude=excluded, partial=partial)
    for field in derived.fields.values():
        if isinstance(field, fields.Nested) and isinstance(field.nested, type):
            field.nested = derive_input_schema(field.nested())
    for name in path_fields:
        field = derived.fields[name]
        field.required = field.allow_none = False
        field.metadata = {**field.metadata, "description": f"The `{name}` of the path, or absent."}
    return derived


def is_input_schema(schema: Any) -> bool:
    """Return whether `schema` was made by `derive_input_schema`."""
    return getattr(schema, "incoming", False)


def find_document_schema(response: Any) -> type[Schema] | None:
    """Return the schema of a response's JSON, which may be one of several media types, or None."""
    schema = response.get(JSON) if isinstance(response, Mapping) else response
    return schema if isinstance(schema, type) and issubclass(schema, Schema) else None


def get_component_name(schema: Any) -> str:
    """Return the name of the component of `schema`: its class name without ``Host…`` and ``…Schema``."""
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removeprefix("Host").removesuffix("Schema")


@functools.cache
def _make_input_class(kind: type[Schema], suffix: str) -> type[Schema]:
    return type(f"{get_component_name(kind)}{suffix}", (kind,), {"incoming": True})
