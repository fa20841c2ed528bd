"""Schemas of the documents' own responses, names of components, and input schemas derived from output schemas."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import Schema, fields

from ..validation import MAX_ERRORS, MAX_POINTER_LENGTH, StrictSchema
from ..web.headers import JSON

#: RFC 9457, with this API's own members (contract §1).
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A problem document (RFC 9457). Further members depend on the code.",
    "required": ["type", "title", "status", "code", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Refers to the code's explanation."},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "The answer's own status."},
        "code": {"type": "string", "description": "What happened; stable."},
        "detail": {"type": "string", "description": "What happened this time, for people."},
        "instance": {"type": "string", "format": "uri-reference", "description": "The path of the request."},
        "request_id": {"type": "string", "description": "Name it to the operator."},
        "errors": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_ERRORS,
            "description": "What is wrong with the input: all of it, or the first 100 of more.",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "additionalProperties": False,
                "properties": {
                    "pointer": {
                        "type": "string",
                        "pattern": "^#(/|$)",
                        "maxLength": MAX_POINTER_LENGTH,
                        "description": "Where (RFC 6901 §6).",
                    },
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
        "errors_omitted": {
            "type": "integer",
            "minimum": 1,
            "description": "How many more are wrong than `errors` lists; absent where it lists all.",
        },
    },
}


class ProblemTypeSchema(StrictSchema):
    """What a problem's code means."""

    type = fields.String()
    code = fields.String()
    title = fields.String()
    status = fields.Integer()
    meaning = fields.String()
    remedy = fields.String()


class ProblemExplanationSchema(ProblemTypeSchema):
    """What a problem's code means, with the document that a client would get."""

    example = fields.Dict()


class ProblemIndexSchema(StrictSchema):
    """Every code of this API."""

    items = fields.List(fields.Nested(ProblemTypeSchema))


def derive_input_schema(schema: Schema, *, partial: bool = False, in_path: Iterable[str] = ()) -> Schema:
    """`schema` as a client sees it who sends: without the server's fields.

    Those that the path names (`in_path`) may be repeated as they stand there. With `partial`, nothing is required.
    """
    elsewhere = schema.load_fields.keys() & set(in_path)
    left_out = schema.fields.keys() - schema.load_fields.keys()
    suffix = "Patch" if partial else "Input"
    for name in sorted(elsewhere):
        suffix = f"By{name.title().replace('_', '')}{suffix}"
    found = _make_input_class(type(schema), suffix)(exclude=left_out, partial=partial)
    for name in elsewhere:
        field = found.fields[name]
        field.required = field.allow_none = False
        field.metadata = {**field.metadata, "description": f"The `{name}` of the path, or absent."}
    return found


def is_input_schema(schema: Any) -> bool:
    """Whether `schema` was made by `incoming`."""
    return getattr(schema, "incoming", False)


def find_document_schema(answer: Any) -> type[Schema] | None:
    """The schema of an answer's JSON, which may be one of several media types; None where there is none."""
    found = answer.get(JSON) if isinstance(answer, Mapping) else answer
    return found if isinstance(found, type) and issubclass(found, Schema) else None


def get_component_name(schema: Any) -> str:
    """The component's name: the class's without what is the same in all of them."""
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removeprefix("Host").removesuffix("Schema")


@functools.cache
def _make_input_class(kind: type[Schema], suffix: str) -> type[Schema]:
    return type(f"{get_component_name(kind)}{suffix}", (kind,), {"incoming": True})
