"""Whether a schema that a host declares can be a namespace of settings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, missing

from ..config import ConfigurationError
from ..namespaces import Key, Namespace, refusal
from ..web.field_schemas import contradiction_of

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_MARKS = ("secret", "immutable")


def declared(name: str, schema: type[Schema]) -> Namespace:
    """The namespace `name`, whose keys are the fields of `schema` and whose defaults are their ``load_default``.

    Raises `ConfigurationError` that says everything wrong with it.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"A namespace's name is 1 to 63 letters, digits and _, beginning with a letter, not {name!r}."
        )
    if not isinstance(schema, type) or not issubclass(schema, Schema):
        raise ConfigurationError(f"settings({name!r}) needs a marshmallow Schema class, not {schema!r}.")
    made = schema()
    fields_ = made.fields.items()
    keys = {key if one.data_key is None else one.data_key: _key(one) for key, one in fields_}
    if wrong := [*_of_names(keys), *_of_fields(keys)]:
        raise ConfigurationError("\n".join(f"{schema.__name__}: {sentence}" for sentence in wrong))
    return _valid(Namespace(name, made, keys, _defaults(schema, keys)))


def _key(field: fields.Field[Any]) -> Key:
    return Key(field, field.metadata.get("secret") is True, field.metadata.get("immutable") is True)


def _of_names(keys: Mapping[str, Key]) -> Iterator[str]:
    if not keys:
        yield "it declares no field."
    for name in keys:
        if not _KEY.fullmatch(name):
            yield f"{name!r} is no name for a key: 1 to 63 letters, digits, _ and -, beginning with a letter."


def _of_fields(keys: Mapping[str, Key]) -> Iterator[str]:
    for name, (field, _, _) in keys.items():
        if field.dump_only:
            yield f"{name!r} is dump_only: nobody could set it."
        if isinstance(field, fields.Decimal) and not field.as_string:
            yield f"{name!r} does not serialise to JSON: give it as_string=True."
        if told := contradiction_of(field):
            yield f"{name!r} {told}"
        for mark in _MARKS:
            if not isinstance(field.metadata.get(mark, False), bool):
                yield f"{name!r} has metadata {mark!r} that is neither True nor False."


def _defaults(schema: type[Schema], keys: Mapping[str, Key]) -> dict[str, Any]:
    """The defaults as the schema writes them; those that are made by a function, as it makes them now."""
    found: dict[str, Any] = {}
    for name, key in keys.items():
        default = key.field.load_default
        if default is missing:
            continue
        try:
            value = default() if callable(default) else default
            found[name] = key.field.serialize(key.attribute, {key.attribute: value})
            json.dumps(found[name], allow_nan=False)
        except Exception:
            raise ConfigurationError(
                f"{schema.__name__}: the default of {name!r} does not serialise to JSON."
            ) from None
    return found


def _valid(found: Namespace) -> Namespace:
    try:
        found.load(found.defaults)
    except ValidationError as error:
        kind = type(found.schema).__name__
        raise ConfigurationError(f"{kind} refuses its own defaults: {refusal(found, error)}.") from None
    return found
