"""The fields that a host adds to tenants: what clients send of them, and how they are kept.

They are kept as the JSON that the host's schema dumps, in one column. A member that the schema does not declare, or
no longer does, stays where it is and is not shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import RAISE, ValidationError
from marshmallow.fields import IP, UUID, Date, DateTime, Enum, Field, IPInterface, String, Time

from ..database.documents import LONGEST
from ..events import compact
from ..hooks import TenantFields
from ..problems import Fault, MalformedJSON
from ..web.json import parse, render
from ..web.validation import READ_ONLY, Errors, Wrong
from .own_faults import INVALID, faults
from .patches import merged

MOST_BYTES = 16 * 1024
#: How much JSON a schema is let look at: what it drops or shortens does not count against `MOST_BYTES`.
_MOST_SENT = 4 * MOST_BYTES
#: Fields that are a text in JSON.
TEXTS = (String, DateTime, Date, Time, UUID, IP, IPInterface)

UNFIT = Fault(INVALID, "Does not serialise to JSON.")
TOO_LARGE = Fault("too-large", f"The application's own fields must have {MOST_BYTES} bytes of JSON at most.")
NOT_COMPARABLE = Fault(INVALID, f"Must be a text of {LONGEST} characters at most, an integer or a flag.")


def split(own: TenantFields, body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a client sent of everybody's fields, and what of the host's own."""
    theirs = {name: value for name, value in body.items() if name in own.fields}
    return {name: value for name, value in body.items() if name not in theirs}, theirs


def load(own: TenantFields, sent: Mapping[str, Any], absent: Iterable[str] = ()) -> dict[str, Any]:
    """The JSON that is kept of valid fields. None of the `absent` is required, or given its default.

    Null stands for an absent field, as answers show it, where the field may be absent and may not be null.
    Raises `InvalidInput` that lists everything wrong with them.
    """
    errors = Errors()
    errors.collect(Wrong(READ_ONLY, (name,)) for name in sent if own.fields[name].dump_only)
    writable = {
        name: value
        for name, value in sent.items()
        if not (own.fields[name].dump_only or (value is None and _is_absent(own.fields[name])))
    }
    partial = [str(own.fields[name].name) for name in absent]
    loaded = None
    if len(render(writable).encode()) > _MOST_SENT:
        errors.add(TOO_LARGE)
        raise errors.problem()
    try:
        loaded = own.schema.load(writable, unknown=RAISE, partial=partial or None)
    except ValidationError as error:
        errors.collect(faults(error.messages, own.schema))
    if errors:
        raise errors.problem()
    return _strict(own, own.schema.dump(loaded))


def _is_absent(field: Field[Any]) -> bool:
    """Return whether null stands for an absent value of this field."""
    return not field.allow_none and not field.required


def patched(own: TenantFields, fields: str | None, patch: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of `fields` after a merge patch (RFC 7396). The result must be valid as a whole.

    What a patch takes away is null where the field may be null, else absent, and then required or given its default
    as it is in a new tenant. Raises `InvalidInput`.
    """
    before = {name: value for name, value in members(fields).items() if name in own.fields}
    kept = {name: value for name, value in before.items() if not own.fields[name].dump_only}
    nulls = {name: None for name, value in patch.items() if value is None and own.fields[name].allow_none}
    return load(own, {**merged(kept, patch), **nulls}, own.fields.keys() - before.keys() - patch.keys())


def stored(own: TenantFields | None, fields: str | None, values: Mapping[str, Any]) -> str | None:
    """The column's text with `values` in place of all that the host declares; the same where they are the same."""
    before = members(fields)
    undeclared = {name: value for name, value in before.items() if own is None or name not in own.fields}
    after = {**undeclared, **values}
    if same(before, after):
        return fields
    return compact(after) if after else None


def same(one: Any, other: Any) -> bool:
    """Whether both are the same JSON, in which true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def difference(previous: Any, new: Any) -> dict[str, Any]:
    """Return what changed from one JSON value to another, as events and histories tell it.

    Of two objects only the members that differ, at any depth; one that is missing on a side was not there.
    """
    if not isinstance(previous, dict) or not isinstance(new, dict):
        return {"previous": previous, "new": new}
    found: dict[str, Any] = {"previous": {}, "new": {}}
    for name in (*previous, *(name for name in new if name not in previous)):
        if name not in new:
            found["previous"][name] = previous[name]
        elif name not in previous:
            found["new"][name] = new[name]
        elif not same(previous[name], new[name]):
            below = difference(previous[name], new[name])
            found["previous"][name], found["new"][name] = below["previous"], below["new"]
    return found


def members(fields: str | None) -> dict[str, Any]:
    """Everything that the column holds."""
    return json.loads(fields) if fields else {}


def from_text(field: Field[Any], text: str) -> Any:
    """The JSON value that a text stands for: itself for a text, a date or the like, otherwise JSON where it is any."""
    if isinstance(field, TEXTS) or (isinstance(field, Enum) and not field.by_value):
        return text
    try:
        return parse(text.encode())
    except MalformedJSON:
        return text


def to_text(field: Field[Any], value: Any) -> str:
    """The text that `from_text` reads as this JSON value."""
    return value if isinstance(value, str) and from_text(field, value) == value else render(value)


def is_comparable(value: Any) -> bool:
    """Whether lists can be filtered by this JSON value."""
    return isinstance(value, str | int) and len(str(value)) <= LONGEST


def _strict(own: TenantFields, dumped: Mapping[str, Any]) -> dict[str, Any]:
    """What the schema dumped, as our JSON gives it back. Raises `InvalidInput` for what is none."""
    found: dict[str, Any] = {}
    errors = Errors()
    for name in own.fields:
        if dumped.get(name) is None:
            continue
        try:
            found |= parse(render({name: dumped[name]}).encode())
        except MalformedJSON as error:
            errors.add(Fault(INVALID, error.detail), name)
        except (TypeError, ValueError, RecursionError):
            errors.add(UNFIT, name)
    unfit = (name for name in own.filterable if not is_comparable(found.get(name, "")))
    errors.collect(Wrong(NOT_COMPARABLE, (name,)) for name in unfit)
    if not errors and len(compact(found).encode()) > MOST_BYTES:
        errors.add(TOO_LARGE)
    if errors:
        raise errors.problem()
    return found
