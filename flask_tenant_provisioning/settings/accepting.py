"""What an owner may set: checked whole, together with what lies beneath it; everything wrong told at once.

Nothing that is told of a secret quotes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

from marshmallow import ValidationError

from ..namespaces import Namespace
from ..problems import Fault, MalformedJSON
from ..tenants.own_faults import INVALID, faults
from ..tenants.own_fields import UNFIT, same
from ..web.json import parse, render
from ..web.validation import entry, invalid
from .kept import LOST, Flat, secrets_in
from .layers import settled
from .state import State

IMMUTABLE = Fault("immutable", "Cannot be changed once it is set.")
HIDDEN = Fault(INVALID, "Not valid.")

Errors = list[dict[str, str]]


def accepted(before: State, wanted: Flat, errors: Iterable[dict[str, str]] = ()) -> Flat:
    """The values at these paths as they are kept. Raises `InvalidInput` that lists everything wrong, `errors` too.

    A namespace that stays as it is, is not looked at again, nor is a value that was set before its schema changed.
    """
    errors = [*errors]
    found: Flat = {}
    for name, namespace in before.namespaces.items():
        mine = {key: value for (one, key), value in wanted.items() if one == name}
        if _alike(mine, {key: value for (one, key), value in before.kept.values.items() if one == name}):
            found |= {(name, key): value for key, value in mine.items()}
        else:
            normal = _normal(before, namespace, mine, errors)
            errors += _changed_for_good(before, name, mine, normal)
            found |= {(name, key): value for key, value in normal.items()}
    if errors:
        raise invalid(sorted(errors, key=itemgetter("pointer")))
    return found


def _normal(before: State, namespace: Namespace, mine: dict[str, Any], errors: Errors) -> dict[str, Any]:
    """The values of one namespace as its schema writes them; what is wrong with them goes to `errors`."""
    aside = {key: value for key, value in mine.items() if value is LOST or _is_stale(before, namespace, key, value)}
    checked = {key: value for key, value in mine.items() if key not in aside}
    beneath = {key: value for key, value in settled(namespace, before.beneath).values.items() if value is not LOST}
    try:
        written = namespace.normal(checked, beneath)
    except ValidationError as error:
        errors += _told(namespace, error, {**beneath, **checked})
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
            errors.append(entry(UNFIT, namespace.name, key))
    return found


def _changed_for_good(
    before: State, name: str, mine: Mapping[str, Any], normal: Mapping[str, Any]
) -> Iterable[dict[str, str]]:
    """What is set for good and would be another value, or none."""
    for key, declared in before.namespaces[name].keys.items():
        if not declared.immutable or (name, key) not in before.explicit():
            continue
        held = before.kept.values[name, key]
        if not any(key in one and _same(one[key], held) for one in (mine, normal)):
            yield entry(IMMUTABLE, name, key)


def _told(namespace: Namespace, error: ValidationError, values: Mapping[str, Any]) -> Errors:
    """The entries for what the schema says, which may quote what was sent, but no secret."""
    messages = error.messages if isinstance(error.messages, dict) else {"_schema": error.messages}
    secret = {key for key, declared in namespace.keys.items() if declared.secret}
    open_ = {key: said for key, said in messages.items() if key not in secret}
    quoted = [text for key in secret & values.keys() for text in secrets_in(values[key]) if text]
    found = faults(open_, namespace.schema, namespace.name)
    told = [_hidden(one) if any(text in one["detail"] for text in quoted) else one for one in found]
    return told + [entry(HIDDEN, namespace.name, key) for key in messages if key in secret]


def _hidden(found: dict[str, str]) -> dict[str, str]:
    return {**found, "code": HIDDEN.code, "detail": HIDDEN.detail}


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())


def _same(one: Any, other: Any) -> bool:
    return one is other if LOST in (one, other) else same(one, other)
