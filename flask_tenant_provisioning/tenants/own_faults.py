"""What a host's own schema says is wrong, each with a pointer to where it stands in the JSON that was sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import Schema, fields

from ..problems import Fault
from ..web.validation import Wrong

INVALID = "invalid-field"

#: A schema or field, as far as it is known.
Part = Any

_ITSELF = "_schema"
_SIDES = {"key", "value"}


def faults(messages: Any, part: Part, *path: str) -> Iterator[Wrong]:
    """Flatten marshmallow's tree of `messages` about a schema or field `part`, which stands at `path`."""
    if isinstance(messages, Fault):
        yield Wrong(messages, path)
    elif isinstance(messages, Mapping):
        for key, below in messages.items():
            step, inside = _into(part, key)
            for said in _said(part, below):
                yield from faults(said, inside, *path, *step)
    elif isinstance(messages, list | tuple):
        for message in messages:
            yield from faults(message, part, *path)
    else:
        yield Wrong(Fault(INVALID, str(messages)), path)


def _into(part: Part, key: Any) -> tuple[tuple[str, ...], Part]:
    """The step in JSON that a key of the tree stands for, none where it is the object itself; and what is there."""
    if isinstance(part, fields.Mapping):
        return (str(key),), part.value_field
    if key == _ITSELF:
        return (), part
    if isinstance(part, fields.Pluck) and not isinstance(key, int):
        return (), part.schema.fields.get(part.field_name)
    if isinstance(key, int):
        return (str(key),), _item(part, key)
    schema = part.schema if isinstance(part, fields.Nested) else part
    return (str(key),), _field(schema, key) if isinstance(schema, Schema) else None


def _item(part: Part, index: int) -> Part:
    if isinstance(part, fields.List):
        return part.inner
    if isinstance(part, fields.Tuple):
        return part.tuple_fields[index]
    return part


def _field(schema: Schema, name: str) -> Part:
    return next((field for key, field in schema.fields.items() if name == (field.data_key or key)), None)


def _said(part: Part, below: Any) -> list[Any]:
    """What is said of a member: marshmallow tells the faults of a mapping's key from those of its value."""
    if isinstance(part, fields.Mapping) and isinstance(below, Mapping) and below.keys() <= _SIDES:
        return list(below.values())
    return [below]
