"""Settings of a tenant for the host's code: loaded by the schemas, secrets in clear, read-only and cached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from ..cache import TTLCache
from ..database.session import Session
from ..errors import SecretUnavailable, TenantNotFound
from ..mount import Mount
from ..tenants.mutations import load_tenant_in_any_state
from ..web.request import parse_id
from .namespaces import Namespaces
from .resolution import Owner, ResolvedNamespace, load_state
from .storage import UNREADABLE


class ReadOnlyMapping(Mapping[str, Any]):
    """A read-only mapping whose values are also attributes, unless a mapping method has the same name."""

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
        """Show the names only: a value may be a secret."""
        return f"<{self._name}: {', '.join(self) or 'nothing'}>"

    def __reduce__(self) -> Any:
        return type(self), (self._name, self._values)


class NamespaceView(ReadOnlyMapping):
    """The settings of one namespace. A key without a value is absent.

    Reading a secret that no key of the keyring opens raises `SecretUnavailable`.
    """

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        value = self._values[name]
        if value is UNREADABLE:
            raise SecretUnavailable(f"The secret {name!r} in {self!r} cannot be opened.")
        return value


class TenantSettings(ReadOnlyMapping):
    """The settings of one tenant, by namespace."""

    __slots__ = ()


def make_view(namespaces: Namespaces, resolved: Mapping[str, ResolvedNamespace]) -> TenantSettings:
    """Build the host's view of the effective values."""
    return TenantSettings(
        "settings", {name: _make_namespace_view(namespaces, name, namespace) for name, namespace in resolved.items()}
    )


def _make_namespace_view(namespaces: Namespaces, name: str, resolved: ResolvedNamespace) -> Any:
    """Build the view of one namespace; an object that the host's schema makes itself is returned as it is."""
    if not isinstance(resolved.value, Mapping):
        return resolved.value
    keys = namespaces[name].keys
    unreadable = {keys[key].attribute: UNREADABLE for key, value in resolved.values.items() if value is UNREADABLE}
    return NamespaceView(
        f"settings {name}", {**{key: freeze(item) for key, item in resolved.value.items()}, **unreadable}
    )


def freeze(value: Any) -> Any:
    """Return an immutable copy: lists become tuples, dicts read-only, sets frozen, since many threads share it."""
    if isinstance(value, dict):
        return MappingProxyType({key: freeze(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(map(freeze, value)) if type(value) in (list, tuple) else value
    return frozenset(value) if isinstance(value, set) else value


#: The maximum number of tenants in the cache of one process.
MAX_CACHED_TENANTS = 4096


class _CachedSettings(NamedTuple):
    partner: str
    view: TenantSettings


class SettingsCache:
    """The cached settings of tenants in this process; ``mount.once(SettingsCache)`` is a mount's."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount
        self._storage = mount.storage
        self._cache: TTLCache[str, _CachedSettings] = TTLCache(
            mount.storage.clock, mount.config.settings_cache_seconds, MAX_CACHED_TENANTS
        )
        mount.storage.subscribe(self.invalidate)

    def get(self, tenant_id: str, partner: str | None = None) -> TenantSettings:
        """Return a tenant's settings, at most `PROVISIONING_SETTINGS_CACHE_SECONDS` old.

        Within a transaction of this thread, such as a hook's, they are read in that transaction and so include its own
        changes. Raises `TenantNotFound`.
        """
        running = self._storage.current_session
        if running is None:
            cached = self._cache.get(tenant_id)
            if cached is not None and partner in (None, cached.partner):
                return cached.view
        id = parse_id(str(tenant_id), TenantNotFound)
        if running is not None:
            return self._load(running, id, partner).view
        load = partial(self._load, tenant_id=id, partner=partner)
        return self._cache.load(id, partial(self._storage.read, load)).view

    def invalidate(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Invalidate the settings that these events have changed."""
        self._cache.invalidate(event["tenant_id"] for event in events)
        partners = {event["partner_id"] for event in events if event["type"] == "partner.settings_updated"}
        if partners:
            self._cache.invalidate_where(lambda cached: cached.partner in partners)

    def _load(self, session: Session, tenant_id: str, partner: str | None) -> _CachedSettings:
        tenant = load_tenant_in_any_state(session, partner, tenant_id)
        owner = Owner(tenant.partner_id, tenant)
        state = load_state(session, lambda: self._mount.keyring, owner)
        return _CachedSettings(tenant.partner_id, make_view(state.namespaces, state.resolved))
