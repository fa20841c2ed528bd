"""Read settings from a request body and validate them together with the values they inherit.

All errors are reported at once. No error message quotes a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from marshmallow import ValidationError

from ..encoding import apply_merge_patch, dump_json, parse_json
from ..errors import Fault, MalformedJSON
from ..registry import Namespace
from ..tenants.custom_fields import INVALID_FIELD, NOT_SERIALIZABLE, flatten_errors
from ..validation import NOT_AN_OBJECT, UNKNOWN, ErrorList, FieldFault
from .resolution import MASK, SettingsState, resolve
from .storage import (
    EMPTY_SETTINGS,
    UNREADABLE,
    FlatSettings,
    SettingPath,
    is_declared,
    is_same_value,
    is_secret,
    iter_secret_texts,
    measure_size,
    nest,
)


class RequestedValues(NamedTuple):
    """The requested values of declared keys, and the errors of all other input."""

    values: FlatSettings
    errors: Iterable[FieldFault]


def read_replacement(current: SettingsState, body: Any) -> RequestedValues:
    """Read a full replacement. A masked secret stands for the one that is already set, or for none."""
    return RequestedValues(dict(_unmask(current, body)), _find_unknown(current, body))


def read_merge_patch(current: SettingsState, patch: Any) -> RequestedValues:
    """Apply a merge patch (RFC 7396) to what is set. Null removes a key, and is an error for an undeclared one."""
    shown = {path: MASK if value is UNREADABLE else value for path, value in current.stored.values.items()}
    merged = apply_merge_patch(nest(shown), patch)
    named = (
        {name: {} if values is None else values for name, values in patch.items()}
        if isinstance(patch, Mapping)
        else patch
    )
    return RequestedValues(dict(_unmask(current, merged)), _find_unknown(current, named))


def _find_unknown(current: SettingsState, body: Any) -> Iterator[FieldFault]:
    if not isinstance(body, Mapping):
        yield FieldFault(NOT_AN_OBJECT)
        return
    for name, values in body.items():
        if name not in current.namespaces:
            yield FieldFault(UNKNOWN, (name,))
        elif not isinstance(values, Mapping):
            yield FieldFault(NOT_AN_OBJECT, (name,))
        else:
            yield from (
                FieldFault(UNKNOWN, (name, key)) for key in values if not is_declared(current.namespaces, (name, key))
            )


def _unmask(current: SettingsState, body: Any) -> Iterator[tuple[SettingPath, Any]]:
    for path, value in _iter_declared(current, body):
        masked = value == MASK and (is_secret(current.namespaces, path) or path in current.stored.sealed)
        if not masked:
            yield path, value
        elif path in current.stored.values:
            yield path, current.stored.values[path]


def _iter_declared(current: SettingsState, body: Any) -> Iterator[tuple[SettingPath, Any]]:
    for name, values in body.items() if isinstance(body, Mapping) else ():
        for key, value in values.items() if isinstance(values, Mapping) else ():
            if is_declared(current.namespaces, (name, key)):
                yield (name, key), value


MAX_BYTES = 64 * 1024
#: The largest input that is given to the schemas, in bytes; `MAX_BYTES` applies to what they return.
MAX_INPUT_BYTES = 2 * MAX_BYTES
TOO_LARGE = Fault("too-large", f"The settings must have {MAX_BYTES} bytes of JSON at most.")
IMMUTABLE = Fault("immutable", "Cannot be changed once it is set.")
HIDDEN = Fault(INVALID_FIELD, "Not valid.")


def validate(current: SettingsState, values: FlatSettings, input_errors: Iterable[FieldFault] = ()) -> FlatSettings:
    """Return `values` as they are to be stored. Raises `InvalidInput` that lists all errors, including `errors`.

    A namespace that is unchanged is not validated again, nor is a value that was set before its schema changed.
    """
    errors = ErrorList()
    errors.collect(input_errors)
    if (
        measure_size(
            EMPTY_SETTINGS._replace(values={path: one for path, one in values.items() if one is not UNREADABLE})
        )
        > MAX_INPUT_BYTES
    ):
        errors.add(TOO_LARGE)
        raise errors.problem()
    result: FlatSettings = {}
    for name, namespace in current.namespaces.items():
        requested = {key: value for (one, key), value in values.items() if one == name}
        if _have_same_values(
            requested, {key: value for (one, key), value in current.stored.values.items() if one == name}
        ):
            result |= {(name, key): value for key, value in requested.items()}
        else:
            normal = _normalize(current, namespace, requested, errors)
            errors.collect(_check_immutable(current, name, requested, normal))
            result |= {(name, key): value for key, value in normal.items()}
    if errors:
        raise errors.problem()
    return result


def _normalize(
    current: SettingsState, namespace: Namespace, values: dict[str, Any], errors: ErrorList
) -> dict[str, Any]:
    """Return the values of one namespace as its schema dumps them; collect its errors in `errors`."""
    unchecked = {
        key: value
        for key, value in values.items()
        if value is UNREADABLE or _is_outdated_value(current, namespace, key, value)
    }
    checked = {key: value for key, value in values.items() if key not in unchecked}
    inherited = {
        key: value for key, value in resolve(namespace, current.layers[:-1]).values.items() if value is not UNREADABLE
    }
    try:
        dumped = namespace.normalize(checked, inherited)
    except ValidationError as error:
        errors.collect(_translate_errors(namespace, error, {**inherited, **checked}))
        return values
    return {**unchecked, **_require_json(namespace, dumped, errors)}


def _is_outdated_value(current: SettingsState, namespace: Namespace, key: str, value: Any) -> bool:
    """Return whether the value is unchanged but no longer valid; such a value stays until another one is set."""
    invalid = current.resolved[namespace.name].invalid
    return (current.owner.source, key) in invalid and is_same_value(current.stored.values[namespace.name, key], value)


def _require_json(namespace: Namespace, dumped: Mapping[str, Any], errors: ErrorList) -> dict[str, Any]:
    """Return what the schema dumped after a round trip through JSON; collect what does not serialize."""
    parsed: dict[str, Any] = {}
    for key, value in dumped.items():
        try:
            parsed[key] = parse_json(dump_json(value).encode())
        except (MalformedJSON, TypeError, ValueError, RecursionError):
            errors.add(NOT_SERIALIZABLE, namespace.name, key)
    return parsed


def _check_immutable(
    current: SettingsState, name: str, requested: Mapping[str, Any], normalized: Mapping[str, Any]
) -> Iterator[FieldFault]:
    """Yield a fault for each immutable key whose value would change or be removed."""
    for key, declared in current.namespaces[name].keys.items():
        if not declared.immutable or (name, key) not in current.explicit():
            continue
        stored = current.stored.values[name, key]
        if not any(key in values and is_same_value(values[key], stored) for values in (requested, normalized)):
            yield FieldFault(IMMUTABLE, (name, key))


def _translate_errors(namespace: Namespace, error: ValidationError, values: Mapping[str, Any]) -> Iterator[FieldFault]:
    """Yield the faults of a schema error; a message that quotes a secret is hidden."""
    messages = error.messages if isinstance(error.messages, dict) else {"_schema": error.messages}
    secret = {key for key, declared in namespace.keys.items() if declared.secret}
    visible = {key: message for key, message in messages.items() if key not in secret}
    secrets = [text for key in secret & values.keys() for text in iter_secret_texts(values[key]) if text]
    for fault, path in flatten_errors(visible, namespace.schema, namespace.name):
        yield FieldFault(HIDDEN if any(text in fault.detail for text in secrets) else fault, path)
    yield from (FieldFault(HIDDEN, (namespace.name, key)) for key in messages if key in secret)


def _have_same_values(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(is_same_value(value, other[key]) for key, value in one.items())
