"""What an owner may set: checked whole, together with what lies beneath it; everything wrong told at once.

Nothing that is told of a secret quotes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from marshmallow import ValidationError

from ..namespaces import Namespace
from ..problems import Fault, MalformedJSON
from ..tenants.own_faults import INVALID, faults
from ..tenants.own_fields import UNFIT, same
from ..web.json import parse, render
from ..web.validation import Errors, Wrong
from .kept import LOST, NOTHING, Flat, secrets_in, size
from .layers import settled
from .state import State

MOST_BYTES = 64 * 1024
#: How much JSON the schemas are let look at: what they drop or shorten does not count against `MOST_BYTES`.
MOST_SENT = 2 * MOST_BYTES
TOO_LARGE = Fault("too-large", f"The settings must have {MOST_BYTES} bytes of JSON at most.")
IMMUTABLE = Fault("immutable", "Cannot be changed once it is set.")
HIDDEN = Fault(INVALID, "Not valid.")


def accepted(before: State, wanted: Flat, wrong: Iterable[Wrong] = ()) -> Flat:
    """The values at these paths as they are kept. Raises `InvalidInput` that lists what is wrong, `wrong` too.

    A namespace that stays as it is, is not looked at again, nor is a value that was set before its schema changed.
    """
    errors = Errors()
    errors.collect(wrong)
    if size(NOTHING._replace(values={path: one for path, one in wanted.items() if one is not LOST})) > MOST_SENT:
        errors.add(TOO_LARGE)
        raise errors.problem()
    found: Flat = {}
    for name, namespace in before.namespaces.items():
        mine = {key: value for (one, key), value in wanted.items() if one == name}
        if _alike(mine, {key: value for (one, key), value in before.kept.values.items() if one == name}):
            found |= {(name, key): value for key, value in mine.items()}
        else:
            normal = _normal(before, namespace, mine, errors)
            errors.collect(_changed_for_good(before, name, mine, normal))
            found |= {(name, key): value for key, value in normal.items()}
    if errors:
        raise errors.problem()
    return found


def _normal(before: State, namespace: Namespace, mine: dict[str, Any], errors: Errors) -> dict[str, Any]:
    """The values of one namespace as its schema writes them; what is wrong with them goes to `errors`."""
    aside = {key: value for key, value in mine.items() if value is LOST or _is_stale(before, namespace, key, value)}
    checked = {key: value for key, value in mine.items() if key not in aside}
    beneath = {key: value for key, value in settled(namespace, before.beneath).values.items() if value is not LOST}
    try:
        written = namespace.normal(checked, beneath)
    except ValidationError as error:
        errors.collect(_told(namespace, error, {**beneath, **checked}))
        return mine
    return {**aside, **_strict(namespace, written, errors)}


def _is_stale(before: State, namespace: Namespace, key: str, value: Any) -> bool:
    """Whether it was set before and is not valid any more: it stays until somebody sets another."""
    dropped = before.settled[namespace.name].dropped
    return (before.source, key) in dropped and _same(before.kept.values[namespace.name, key], value)


def _strict(namespace: Namespace, written: Mapping[str, Any], errors: Errors) -> dict[str, Any]:
    """What the schema wrote, as our JSON gives it back."""
    found: dict[str, Any] = {}
    for key, value in written.items():
        try:
            found[key] = parse(render(value).encode())
        except (MalformedJSON, TypeError, ValueError, RecursionError):
            errors.add(UNFIT, namespace.name, key)
    return found


def _changed_for_good(before: State, name: str, mine: Mapping[str, Any], normal: Mapping[str, Any]) -> Iterator[Wrong]:
    """What is set for good and would be another value, or none."""
    for key, declared in before.namespaces[name].keys.items():
        if not declared.immutable or (name, key) not in before.explicit():
            continue
        held = before.kept.values[name, key]
        if not any(key in one and _same(one[key], held) for one in (mine, normal)):
            yield Wrong(IMMUTABLE, (name, key))


def _told(namespace: Namespace, error: ValidationError, values: Mapping[str, Any]) -> Iterator[Wrong]:
    """The faults that the schema names, which may quote what was sent, but no secret."""
    messages = error.messages if isinstance(error.messages, dict) else {"_schema": error.messages}
    secret = {key for key, declared in namespace.keys.items() if declared.secret}
    open_ = {key: said for key, said in messages.items() if key not in secret}
    quoted = [text for key in secret & values.keys() for text in secrets_in(values[key]) if text]
    for fault, path in faults(open_, namespace.schema, namespace.name):
        yield Wrong(HIDDEN if any(text in fault.detail for text in quoted) else fault, path)
    yield from (Wrong(HIDDEN, (namespace.name, key)) for key in messages if key in secret)


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())


def _same(one: Any, other: Any) -> bool:
    return one is other if LOST in (one, other) else same(one, other)
