"""Read settings from a request body and validate them together with the values they inherit.

All errors are reported at once. No error message quotes a secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import ValidationError

from ..encoding import apply_merge_patch, dump_json, parse_json
from ..errors import Fault, MalformedJSON
from ..registry import Namespace
from ..tenants.custom_fields import INVALID_FIELD, NOT_SERIALIZABLE, flatten_errors
from ..validation import NOT_AN_OBJECT, UNKNOWN, ErrorList, FieldFault
from .resolution import SettingsState, resolve
from .storage import MASK, UNREADABLE, Document, Unreadable, Values, is_same_value

MAX_BYTES = 64 * 1024
#: The largest input that is given to the schemas, in bytes; `MAX_BYTES` applies to what they return.
MAX_INPUT_BYTES = 2 * MAX_BYTES
TOO_LARGE = Fault("too-large", f"The settings must have {MAX_BYTES} bytes of JSON at most.")
IMMUTABLE = Fault("immutable", "Cannot be changed once it is set.")
HIDDEN = Fault(INVALID_FIELD, "Not valid.")


def read_replacement(current: SettingsState, body: Any, errors: ErrorList) -> Values:
    """Return the values of every namespace that `body` requests; report all other input in `errors`.

    A masked secret stands for the one that is already set, or for none.
    """
    requested: Document = {name: {} for name in current.namespaces}
    if not isinstance(body, Mapping):
        errors.add(NOT_AN_OBJECT)
        body = {}
    for name, pairs in body.items():
        declared, masked = _read_namespace(current, name, pairs, errors)
        stored = current.stored.values.get(name, {})
        requested[name] = {
            key: stored[key] if key in masked else value
            for key, value in declared.items()
            if key not in masked or key in stored
        }
    return requested


def read_merge_patch(current: SettingsState, patch: Any, errors: ErrorList) -> Values:
    """Apply a merge patch (RFC 7396) to what is set, and return the values of the namespaces that it names.

    A masked secret stays as it is. Null removes a key, and is an error for an undeclared one. Reports all other input
    in `errors`.
    """
    requested: Document = {}
    if not isinstance(patch, Mapping):
        errors.add(NOT_AN_OBJECT)
        patch = dict.fromkeys(current.namespaces)
    for name, pairs in patch.items():
        declared, masked = _read_namespace(current, name, {} if pairs is None else pairs, errors)
        changes = {key: value for key, value in declared.items() if key not in masked}
        stored = current.stored.values.get(name, {}) if isinstance(pairs, Mapping) else {}
        requested[name] = apply_merge_patch(stored, changes)
    return requested


def _read_namespace(
    current: SettingsState, name: str, pairs: Any, errors: ErrorList
) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the values of declared keys, and which keys hold a masked secret; report all other input in `errors`."""
    if name not in current.namespaces:
        errors.add(UNKNOWN, name)
        return {}, frozenset()
    if not isinstance(pairs, Mapping):
        errors.add(NOT_AN_OBJECT, name)
        return {}, frozenset()
    keys, sealed = current.namespaces[name].keys, current.stored.contents.secrets.get(name, {})
    for key in pairs:
        if key not in keys:
            errors.add(UNKNOWN, name, key)
    declared = {key: value for key, value in pairs.items() if key in keys}
    return declared, frozenset(
        key for key, value in declared.items() if value == MASK and (keys[key].secret or key in sealed)
    )


def validate(current: SettingsState, requested: Values, errors: ErrorList) -> Values:
    """Return all values as they are to be stored, with the `requested` ones in place of their namespaces' values.

    A namespace that is unchanged is not validated again, nor is a value that was set before its schema changed. Raises
    `InvalidInput` that lists all errors, including those in `errors`.
    """
    stored = current.stored.values
    values = {name: requested.get(name, stored.get(name, {})) for name in current.namespaces}
    readable = {
        name: {key: value for key, value in pairs.items() if value is not UNREADABLE} for name, pairs in values.items()
    }
    if len(dump_json({name: pairs for name, pairs in readable.items() if pairs}).encode()) > MAX_INPUT_BYTES:
        errors.add(TOO_LARGE)
        raise errors.problem()
    for name, namespace in current.namespaces.items():
        if name in requested and not _have_same_values(requested[name], stored.get(name, {})):
            values[name] = _normalize(current, namespace, requested[name], errors)
    if errors.entries:
        raise errors.problem()
    return {name: pairs for name, pairs in values.items() if pairs}


def _normalize(
    current: SettingsState, namespace: Namespace, requested: Mapping[str, Any], errors: ErrorList
) -> Mapping[str, Any]:
    """Return the values of one namespace as its schema dumps them, after a round trip through JSON.

    Reports in `errors` what the schema rejects, what does not serialize, and each immutable key whose value would
    change or be removed. An unchanged value that is no longer valid stays until another one is set.
    """
    name, stored = namespace.name, current.stored.values.get(namespace.name, {})
    outdated = {key for source, key in current.resolved[name].invalid if source == current.owner.source}
    unchecked = {
        key: value
        for key, value in requested.items()
        if value is UNREADABLE or (key in outdated and is_same_value(stored[key], value))
    }
    checked = {key: value for key, value in requested.items() if key not in unchecked}
    effective = resolve({name: namespace}, current.layers[:-1])[name].values
    inherited = {key: value for key, value in effective.items() if value is not UNREADABLE}
    normalized = requested
    try:
        dumped = namespace.normalize(checked, inherited)
    except ValidationError as error:
        errors.collect(_translate_errors(namespace, error, {**inherited, **checked}))
    else:
        normalized = unchecked
        for key, value in dumped.items():
            try:
                normalized[key] = parse_json(dump_json(value).encode())
            except (MalformedJSON, TypeError, ValueError, RecursionError):
                errors.add(NOT_SERIALIZABLE, name, key)
    for key, declared in namespace.keys.items():
        if declared.immutable and key in stored and key not in outdated:
            allowed = [values[key] for values in (requested, normalized) if key in values]
            if not any(is_same_value(value, stored[key]) for value in allowed):
                errors.add(IMMUTABLE, name, key)
    return normalized


def _translate_errors(namespace: Namespace, error: ValidationError, values: Mapping[str, Any]) -> Iterator[FieldFault]:
    """Yield the faults of a schema error; a message that quotes a secret is hidden."""
    messages = error.messages if isinstance(error.messages, dict) else {"_schema": error.messages}
    secret = {key for key, declared in namespace.keys.items() if declared.secret}
    visible = {key: message for key, message in messages.items() if key not in secret}
    secrets = [text for key in secret & values.keys() for text in _iterate_secret_texts(values[key]) if text]
    for fault, path in flatten_errors(visible, namespace.schema, namespace.name):
        yield FieldFault(HIDDEN if any(text in fault.detail for text in secrets) else fault, path)
    yield from (FieldFault(HIDDEN, (namespace.name, key)) for key in messages if key in secret)


def _have_same_values(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return first.keys() == second.keys() and all(is_same_value(value, second[key]) for key, value in first.items())


def _iterate_secret_texts(value: Any) -> Iterator[str]:
    """Yield every text and number in a secret value, as text."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _iterate_secret_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _iterate_secret_texts(item)
    elif value is not None and not isinstance(value, bool | Unreadable):
        yield str(value)
