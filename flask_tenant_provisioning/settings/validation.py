"""Read settings from a request body and validate them together with the values they inherit.

All errors are reported at once. No error message quotes a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from marshmallow import ValidationError

from ..encoding import dump_json, parse_json
from ..errors import Fault, MalformedJSON
from ..registry import Namespace
from ..tenants.custom_fields import INVALID_FIELD, NOT_SERIALIZABLE, apply_merge_patch, flatten_errors
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
    wrong: Iterable[FieldFault]


def read_replacement(before: SettingsState, sent: Any) -> RequestedValues:
    """Read a full replacement. A masked secret stands for the one that is already set, or for none."""
    return RequestedValues(dict(_unmask(before, sent)), _find_unknown(before, sent))


def read_merge_patch(before: SettingsState, patch: Any) -> RequestedValues:
    """Apply a merge patch (RFC 7396) to what is set. Null removes a key, and is an error for an undeclared one."""
    held = {path: MASK if value is UNREADABLE else value for path, value in before.kept.values.items()}
    wanted = apply_merge_patch(nest(held), patch)
    named = {name: {} if one is None else one for name, one in patch.items()} if isinstance(patch, Mapping) else patch
    return RequestedValues(dict(_unmask(before, wanted)), _find_unknown(before, named))


def _find_unknown(before: SettingsState, sent: Any) -> Iterator[FieldFault]:
    if not isinstance(sent, Mapping):
        yield FieldFault(NOT_AN_OBJECT)
        return
    for name, values in sent.items():
        if name not in before.namespaces:
            yield FieldFault(UNKNOWN, (name,))
        elif not isinstance(values, Mapping):
            yield FieldFault(NOT_AN_OBJECT, (name,))
        else:
            yield from (
                FieldFault(UNKNOWN, (name, key)) for key in values if not is_declared(before.namespaces, (name, key))
            )


def _unmask(before: SettingsState, sent: Any) -> Iterator[tuple[SettingPath, Any]]:
    for path, value in _iter_declared(before, sent):
        masked = value == MASK and (is_secret(before.namespaces, path) or path in before.kept.sealed)
        if not masked:
            yield path, value
        elif path in before.kept.values:
            yield path, before.kept.values[path]


def _iter_declared(before: SettingsState, sent: Any) -> Iterator[tuple[SettingPath, Any]]:
    for name, values in sent.items() if isinstance(sent, Mapping) else ():
        for key, value in values.items() if isinstance(values, Mapping) else ():
            if is_declared(before.namespaces, (name, key)):
                yield (name, key), value


MAX_BYTES = 64 * 1024
#: The largest input that is given to the schemas, in bytes; `MAX_BYTES` applies to what they return.
MAX_INPUT_BYTES = 2 * MAX_BYTES
TOO_LARGE = Fault("too-large", f"The settings must have {MAX_BYTES} bytes of JSON at most.")
IMMUTABLE = Fault("immutable", "Cannot be changed once it is set.")
HIDDEN = Fault(INVALID_FIELD, "Not valid.")


def validate(before: SettingsState, wanted: FlatSettings, wrong: Iterable[FieldFault] = ()) -> FlatSettings:
    """Return `values` as they are to be stored. Raises `InvalidInput` that lists all errors, including `errors`.

    A namespace that is unchanged is not validated again, nor is a value that was set before its schema changed.
    """
    errors = ErrorList()
    errors.collect(wrong)
    if (
        measure_size(
            EMPTY_SETTINGS._replace(values={path: one for path, one in wanted.items() if one is not UNREADABLE})
        )
        > MAX_INPUT_BYTES
    ):
        errors.add(TOO_LARGE)
        raise errors.problem()
    found: FlatSettings = {}
    for name, namespace in before.namespaces.items():
        mine = {key: value for (one, key), value in wanted.items() if one == name}
        if _have_same_values(mine, {key: value for (one, key), value in before.kept.values.items() if one == name}):
            found |= {(name, key): value for key, value in mine.items()}
        else:
            normal = _normalize(before, namespace, mine, errors)
            errors.collect(_check_immutable(before, name, mine, normal))
            found |= {(name, key): value for key, value in normal.items()}
    if errors:
        raise errors.problem()
    return found


def _normalize(before: SettingsState, namespace: Namespace, mine: dict[str, Any], errors: ErrorList) -> dict[str, Any]:
    """Return the values of one namespace as its schema dumps them; collect its errors in `errors`."""
    aside = {
        key: value
        for key, value in mine.items()
        if value is UNREADABLE or _is_outdated_value(before, namespace, key, value)
    }
    checked = {key: value for key, value in mine.items() if key not in aside}
    beneath = {
        key: value for key, value in resolve(namespace, before.beneath).values.items() if value is not UNREADABLE
    }
    try:
        written = namespace.normalize(checked, beneath)
    except ValidationError as error:
        errors.collect(_translate_errors(namespace, error, {**beneath, **checked}))
        return mine
    return {**aside, **_require_json(namespace, written, errors)}


def _is_outdated_value(before: SettingsState, namespace: Namespace, key: str, value: Any) -> bool:
    """Return whether the value is unchanged but no longer valid; such a value stays until another one is set."""
    dropped = before.settled[namespace.name].dropped
    return (before.source, key) in dropped and is_same_value(before.kept.values[namespace.name, key], value)


def _require_json(namespace: Namespace, written: Mapping[str, Any], errors: ErrorList) -> dict[str, Any]:
    """Return what the schema dumped after a round trip through JSON; collect what does not serialize."""
    found: dict[str, Any] = {}
    for key, value in written.items():
        try:
            found[key] = parse_json(dump_json(value).encode())
        except (MalformedJSON, TypeError, ValueError, RecursionError):
            errors.add(NOT_SERIALIZABLE, namespace.name, key)
    return found


def _check_immutable(
    before: SettingsState, name: str, mine: Mapping[str, Any], normal: Mapping[str, Any]
) -> Iterator[FieldFault]:
    """Yield a fault for each immutable key whose value would change or be removed."""
    for key, declared in before.namespaces[name].keys.items():
        if not declared.immutable or (name, key) not in before.explicit():
            continue
        held = before.kept.values[name, key]
        if not any(key in one and is_same_value(one[key], held) for one in (mine, normal)):
            yield FieldFault(IMMUTABLE, (name, key))


def _translate_errors(namespace: Namespace, error: ValidationError, values: Mapping[str, Any]) -> Iterator[FieldFault]:
    """Yield the faults of a schema error; a message that quotes a secret is hidden."""
    messages = error.messages if isinstance(error.messages, dict) else {"_schema": error.messages}
    secret = {key for key, declared in namespace.keys.items() if declared.secret}
    open_ = {key: said for key, said in messages.items() if key not in secret}
    quoted = [text for key in secret & values.keys() for text in iter_secret_texts(values[key]) if text]
    for fault, path in flatten_errors(open_, namespace.schema, namespace.name):
        yield FieldFault(HIDDEN if any(text in fault.detail for text in quoted) else fault, path)
    yield from (FieldFault(HIDDEN, (namespace.name, key)) for key in messages if key in secret)


def _have_same_values(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(is_same_value(value, other[key]) for key, value in one.items())
