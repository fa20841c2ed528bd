"""What counts, key by key: what the tenant sets over its plan's over its partner's over the default."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from marshmallow import ValidationError

from ..database import Storage
from ..namespaces import Namespace
from .kept import LOST, Namespaces, Path

logger = logging.getLogger(__name__)

DEFAULT, PARTNER, PLAN, TENANT = "default", "partner", "plan", "tenant"


class Layer(NamedTuple):
    """What one `source` sets, by paths; the values at the `sealed` ones are secret whatever the host declares."""

    source: str
    values: Mapping[Path, Any]
    sealed: Collection[Path] = ()


class Settled(NamedTuple):
    """What counts in one namespace.

    `values` is JSON in clear by key, `LOST` where a secret cannot be opened; `sources` says who sets each; `loaded` is
    what the schema makes of them, without the lost ones; `dropped` are paths of values that the schema does not take.
    """

    values: dict[str, Any]
    sources: dict[str, str]
    loaded: Any
    dropped: frozenset[tuple[str, str]]


def defaults(namespaces: Namespaces) -> Layer:
    """What counts where nobody sets anything."""
    found = {(name, key): value for name, one in namespaces.items() for key, value in one.defaults.items()}
    return Layer(DEFAULT, found)


def settled(namespace: Namespace, layers: Iterable[Layer]) -> Settled:
    """What counts in `namespace` of `layers`, the lowest first.

    A value that the schema does not take, any more, gives way to the one beneath it.
    """
    left = [(layer.source, _of(namespace, layer)) for layer in layers]
    dropped: set[tuple[str, str]] = set()
    while True:
        values, sources = _merged(left)
        try:
            loaded = namespace.load({key: value for key, value in values.items() if value is not LOST})
        except ValidationError as error:
            refused = _refused(error, left, sources)
            if not refused:
                raise
            dropped |= refused
            left = [(name, _without(refused, name, held)) for name, held in left]
        else:
            return Settled(values, sources, loaded, frozenset(dropped))


def complain(storage: Storage, namespace: str, found: Settled, whose: str) -> None:
    """Log each value that gave way, once a process and key, without the value."""
    for source, key in sorted(found.dropped):
        if _is_new(storage, (namespace, key, source)):
            logger.warning(
                "settings of %s: %s, set by the %s, is not valid and gives way",
                whose,
                f"{namespace}.{key}",
                source,
                extra={"key": f"{namespace}.{key}", "source": source},
            )


def complain_of_lost(storage: Storage, namespace: str, found: Settled, whose: str) -> None:
    """Log each secret that cannot be opened, once a process and key."""
    for key, value in found.values.items():
        source = found.sources[key] if value is LOST else ""
        if value is LOST and _is_new(storage, (namespace, key, source, "lost")):
            logger.warning(
                "settings of %s: %s, set by the %s, cannot be opened",
                whose,
                f"{namespace}.{key}",
                source,
                extra={"key": f"{namespace}.{key}", "source": source},
            )


def _is_new(storage: Storage, kind: tuple[str, ...]) -> bool:
    """Return whether this process has not logged `kind` yet; it counts as logged from now on."""
    told: set[tuple[str, ...]] = storage.once(_complaints)
    is_new = kind not in told
    told.add(kind)
    return is_new


def _complaints(_storage: Storage) -> set[tuple[str, ...]]:
    return set()


def _of(namespace: Namespace, layer: Layer) -> dict[str, Any]:
    found = {key: value for (name, key), value in layer.values.items() if name == namespace.name}
    return {key: value for key, value in found.items() if key in namespace.keys}


def _merged(layers: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, held in layers:
        values |= held
        sources |= dict.fromkeys(held, source)
    return values, sources


def _refused(
    error: ValidationError, layers: Sequence[tuple[str, Mapping[str, Any]]], sources: Mapping[str, str]
) -> set[tuple[str, str]]:
    """Which values give way, by source and key: those that the schema names, else all of the highest layer's."""
    named = error.messages if isinstance(error.messages, dict) else {}
    found = {(sources[key], key) for key in named if sources.get(key, DEFAULT) != DEFAULT}
    if found:
        return found
    held = [(source, key) for source, values in layers for key in values if source != DEFAULT]
    return {(source, key) for source, key in held if source == held[-1][0]}


def _without(refused: Collection[tuple[str, str]], source: str, held: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in held.items() if (source, key) not in refused}
