"""What clients send of settings, by paths: everything that is set, or a merge patch of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ..tenants.patches import merged
from ..web.validation import NOT_AN_OBJECT, UNKNOWN, Wrong
from .kept import LOST, Flat, Path, is_declared, is_secret, nested
from .state import MASK, State


class Sent(NamedTuple):
    """The values that are wanted where there is such a key, and what is wrong with the rest."""

    values: Flat
    wrong: Iterable[Wrong]


def whole(before: State, sent: Any) -> Sent:
    """Everything that is to be set. A masked secret stands for the one that is set already, or for none."""
    return Sent(dict(_unmasked(before, sent)), _strangers(before, sent))


def patched(before: State, patch: Any) -> Sent:
    """What a merge patch (RFC 7396) makes of what is set. Null takes away what there is, and nothing else."""
    held = {path: MASK if value is LOST else value for path, value in before.kept.values.items()}
    wanted = merged(nested(held), patch)
    named = {name: {} if one is None else one for name, one in patch.items()} if isinstance(patch, Mapping) else patch
    return Sent(dict(_unmasked(before, wanted)), _strangers(before, named))


def _strangers(before: State, sent: Any) -> Iterator[Wrong]:
    if not isinstance(sent, Mapping):
        yield Wrong(NOT_AN_OBJECT)
        return
    for name, values in sent.items():
        if name not in before.namespaces:
            yield Wrong(UNKNOWN, (name,))
        elif not isinstance(values, Mapping):
            yield Wrong(NOT_AN_OBJECT, (name,))
        else:
            yield from (
                Wrong(UNKNOWN, (name, key)) for key in values if not is_declared(before.namespaces, (name, key))
            )


def _unmasked(before: State, sent: Any) -> Iterator[tuple[Path, Any]]:
    for path, value in _declared(before, sent):
        masked = value == MASK and (is_secret(before.namespaces, path) or path in before.kept.sealed)
        if not masked:
            yield path, value
        elif path in before.kept.values:
            yield path, before.kept.values[path]


def _declared(before: State, sent: Any) -> Iterator[tuple[Path, Any]]:
    for name, values in sent.items() if isinstance(sent, Mapping) else ():
        for key, value in values.items() if isinstance(values, Mapping) else ():
            if is_declared(before.namespaces, (name, key)):
                yield (name, key), value
