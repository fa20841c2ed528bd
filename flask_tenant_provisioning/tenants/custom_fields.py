"""Custom fields: the fields that a host adds to tenants, validated by the host's own marshmallow schema.

They are stored as JSON in one column. Members that the schema does not declare, or no longer declares, are kept but not
shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields
from marshmallow.fields import Enum, Field

from ..database.types import MAX_MEMBER_LENGTH
from ..encoding import apply_merge_patch, dump_json, is_same_json, parse_json
from ..errors import Fault, MalformedJSON
from ..registry import TenantFields
from ..validation import READ_ONLY, ErrorList, FieldFault, make_field_error
from .custom_field_checks import TEXT_FIELDS

INVALID_FIELD = "invalid-field"
#: A schema or a field; None if it is not known.
SchemaOrField = Any
_SCHEMA_KEY = "_schema"
_MAPPING_SIDES = {"key", "value"}


def flatten_errors(messages: Any, part: SchemaOrField, *path: str) -> Iterator[FieldFault]:
    """Flatten marshmallow's tree of `messages` about a schema or field `part`, which stands at `path`."""
    if isinstance(messages, Fault):
        yield FieldFault(messages, path)
    elif isinstance(messages, Mapping):
        for key, nested in messages.items():
            step, member = _step_into(part, key)
            for member_messages in _split_messages(part, nested):
                yield from flatten_errors(member_messages, member, *path, *step)
    elif isinstance(messages, list | tuple):
        for message in messages:
            yield from flatten_errors(message, part, *path)
    else:
        yield FieldFault(Fault(INVALID_FIELD, str(messages)), path)


def _step_into(part: SchemaOrField, key: Any) -> tuple[tuple[str, ...], SchemaOrField]:
    """Return the path segment for a key of the message tree, empty for the object itself, and the field there."""
    if isinstance(part, fields.Mapping):
        return (str(key),), part.value_field
    if key == _SCHEMA_KEY:
        return (), part
    if isinstance(part, fields.Pluck) and not isinstance(key, int):
        return (), part.schema.fields.get(part.field_name)
    if isinstance(key, int):
        return (str(key),), _get_item_field(part, key)
    schema = part.schema if isinstance(part, fields.Nested) else part
    return (str(key),), _find_field(schema, key) if isinstance(schema, Schema) else None


def _get_item_field(part: SchemaOrField, index: int) -> SchemaOrField:
    if isinstance(part, fields.List):
        return part.inner
    if isinstance(part, fields.Tuple):
        return part.tuple_fields[index]
    return part


def _find_field(schema: Schema, name: str) -> SchemaOrField:
    return next((field for key, field in schema.fields.items() if name == (field.data_key or key)), None)


def _split_messages(part: SchemaOrField, nested: Any) -> list[Any]:
    """Return the messages about a member. For a `Mapping` field, marshmallow reports key and value separately."""
    if isinstance(part, fields.Mapping) and isinstance(nested, Mapping) and nested.keys() <= _MAPPING_SIDES:
        return list(nested.values())
    return [nested]


MAX_BYTES = 16 * 1024
#: The most bytes of JSON passed to the host's schema. What it drops or shortens does not count towards `MAX_BYTES`.
_MAX_SENT_BYTES = 4 * MAX_BYTES
NOT_SERIALIZABLE = Fault(INVALID_FIELD, "Does not serialise to JSON.")
TOO_LARGE = Fault("too-large", f"The custom fields must not exceed {MAX_BYTES} bytes of JSON.")
NOT_FILTERABLE = Fault(
    INVALID_FIELD, f"Must be a string of at most {MAX_MEMBER_LENGTH} characters, an integer or a boolean."
)


def split_custom_fields(custom: TenantFields, body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a request body into the built-in members and the host's custom fields."""
    custom_members = {name: value for name, value in body.items() if name in custom.fields}
    return {name: value for name, value in body.items() if name not in custom_members}, custom_members


def validate_custom_fields(
    custom: TenantFields, values: Mapping[str, Any], absent: Iterable[str] = ()
) -> dict[str, Any]:
    """Validate custom fields with the host's schema. Return the JSON to store.

    Fields named in `absent` are neither required nor given their default. Null means absent, as in responses, for an
    optional field that does not allow null. Raises `InvalidInput` that lists every fault.
    """
    errors = ErrorList()
    errors.collect(FieldFault(READ_ONLY, (name,)) for name in values if custom.fields[name].dump_only)
    writable = {
        name: value
        for name, value in values.items()
        if not (custom.fields[name].dump_only or (value is None and _is_null_absent(custom.fields[name])))
    }
    partial = [str(custom.fields[name].name) for name in absent]
    loaded = None
    if len(dump_json(writable).encode()) > _MAX_SENT_BYTES:
        errors.add(TOO_LARGE)
        raise errors.problem()
    try:
        loaded = custom.schema.load(writable, unknown=RAISE, partial=partial or None)
    except ValidationError as error:
        errors.collect(flatten_errors(error.messages, custom.schema))
    if errors:
        raise errors.problem()
    return _to_strict_json(custom, custom.schema.dump(loaded))


def _is_null_absent(field: Field[Any]) -> bool:
    """Return whether null stands for an absent value of this field."""
    return not field.allow_none and not field.required


def patch_custom_fields(custom: TenantFields, fields: str | None, patch: Mapping[str, Any]) -> dict[str, Any]:
    """Apply a merge patch (RFC 7396) to the stored `fields`. Return the JSON to store.

    The result must be valid as a whole. A field that the patch removes becomes null if it allows null, else absent:
    then it is required or gets its default, as in a new tenant. Raises `InvalidInput`.
    """
    before = {name: value for name, value in parse_column(fields).items() if name in custom.fields}
    writable = {name: value for name, value in before.items() if not custom.fields[name].dump_only}
    nulls = {name: None for name, value in patch.items() if value is None and custom.fields[name].allow_none}
    after = {**apply_merge_patch(writable, patch), **nulls}
    return validate_custom_fields(custom, after, custom.fields.keys() - before.keys() - patch.keys())


def replace_custom_fields(custom: TenantFields | None, fields: str | None, values: Mapping[str, Any]) -> str | None:
    """Return the column's text with `values` in place of all declared fields, or `fields` itself if nothing differs.

    Members that the host does not declare are kept.
    """
    before = parse_column(fields)
    undeclared = {name: value for name, value in before.items() if custom is None or name not in custom.fields}
    after = {**undeclared, **values}
    if is_same_json(before, after):
        return fields
    return dump_json(after) if after else None


def parse_column(fields: str | None) -> dict[str, Any]:
    """Parse the column's text; an empty dict for None."""
    return json.loads(fields) if fields else {}


def text_to_json(field: Field[Any], text: str) -> Any:
    """Return the JSON value of a text cell or parameter.

    Fields that are strings in JSON take the text as it is; for others it is parsed as JSON, and kept if it is not JSON.
    """
    if isinstance(field, TEXT_FIELDS) or (isinstance(field, Enum) and not field.by_value):
        return text
    try:
        return parse_json(text.encode())
    except MalformedJSON:
        return text


def json_to_text(field: Field[Any], value: Any) -> str:
    """Return the text that `text_to_json` turns into this JSON value."""
    if isinstance(value, str) and text_to_json(field, value) == value:
        return value
    return dump_json(value)


def is_filterable(value: Any) -> bool:
    """Return whether lists can be filtered by this JSON value: a short string, an integer or a boolean."""
    return isinstance(value, str | int) and len(str(value)) <= MAX_MEMBER_LENGTH


def _to_strict_json(custom: TenantFields, dumped: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema's output after a round trip through strict JSON, without nulls.

    Raises `InvalidInput` for values that are not JSON, are too long to filter by, or exceed `MAX_BYTES` together.
    """
    result: dict[str, Any] = {}
    errors = ErrorList()
    for name in custom.fields:
        if dumped.get(name) is None:
            continue
        try:
            result |= parse_json(dump_json({name: dumped[name]}).encode())
        except MalformedJSON as error:
            errors.add(Fault(INVALID_FIELD, error.detail), name)
        except (TypeError, ValueError, RecursionError):
            errors.add(NOT_SERIALIZABLE, name)
    unfilterable = (name for name in custom.filterable if not is_filterable(result.get(name, "")))
    errors.collect(FieldFault(NOT_FILTERABLE, (name,)) for name in unfilterable)
    if not errors and len(dump_json(result).encode()) > MAX_BYTES:
        errors.add(TOO_LARGE)
    if errors:
        raise errors.problem()
    return result


#: The internal prefix of filters by custom fields; clients use the field's name.
CUSTOM_FILTER_PREFIX = "own_"


class CustomFilterField(fields.Field):  # type: ignore[type-arg]
    """A filter value for a custom field, loaded as the JSON text stored for it."""

    def __init__(self, custom: fields.Field[Any], **options: Any) -> None:
        super().__init__(**options)
        self.custom = custom

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        try:
            loaded = self.custom.deserialize(text_to_json(self.custom, value))
        except ValidationError as error:
            faults = [entry.fault for entry in flatten_errors(error.messages, self.custom)]
            raise make_field_error(*faults) from error
        dumped = self.custom._serialize(loaded, self.custom.name or "", None)
        if not is_filterable(dumped):
            raise make_field_error(NOT_FILTERABLE)
        return dump_json(dumped)
