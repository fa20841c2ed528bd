"""A tenant's settings as the host's code reads them: what the schemas load, secrets in clear, nothing to be changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from ..problems import SecretUnavailable
from .kept import LOST, Namespaces
from .layers import Settled


class ReadOnly(Mapping[str, Any]):
    """Values by name, each also an attribute, unless a method of mappings has its name."""

    __slots__ = ("_name", "_values")

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_values", dict(values))

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._values:
            raise AttributeError(f"{self!r} has no {name!r}")
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{self!r} cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{self!r} cannot be changed")

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        """The names alone: a value may be a secret."""
        return f"<{self._name}: {', '.join(self) or 'nothing'}>"

    def __reduce__(self) -> Any:
        return type(self), (self._name, self._values)


class NamespaceView(ReadOnly):
    """The settings of one namespace. A key that nobody sets is absent.

    Asking for a secret that no key of the keyring opens raises `SecretUnavailable`.
    """

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        found = self._values[name]
        if found is LOST:
            raise SecretUnavailable(f"The secret {name!r} in {self!r} cannot be opened.")
        return found


class TenantSettings(ReadOnly):
    """The settings of one tenant, by namespace."""

    __slots__ = ()


def view(namespaces: Namespaces, settled: Mapping[str, Settled]) -> TenantSettings:
    """What counts, as the host reads it."""
    return TenantSettings("settings", {name: _namespace(namespaces, name, one) for name, one in settled.items()})


def _namespace(namespaces: Namespaces, name: str, settled: Settled) -> Any:
    """What the schema loads, unless that is an object of the host's own, whose attributes are what it says."""
    if not isinstance(settled.loaded, Mapping):
        return settled.loaded
    keys = namespaces[name].keys
    lost = {keys[key].attribute: LOST for key, value in settled.values.items() if value is LOST}
    return NamespaceView(f"settings {name}", {**{key: frozen(one) for key, one in settled.loaded.items()}, **lost})


def frozen(value: Any) -> Any:
    """The same with lists as tuples, dicts read-only and sets frozen: many threads read it."""
    if isinstance(value, dict):
        return MappingProxyType({key: frozen(one) for key, one in value.items()})
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value)) if type(value) in (list, tuple) else value
    return frozenset(value) if isinstance(value, set) else value
