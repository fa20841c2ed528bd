"""The mounts of an app, by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from flask import Flask

from .config import Config, ConfigurationError

M = TypeVar("M")
#: Key of `app.extensions` that holds the `Mounts` of an app.
EXTENSION_KEY = "tenant_provisioning"


class Mounts(Mapping[str, M], Generic[M]):
    """The mounts of one app by their names, in the order of their `init_app`.

    A mount that is not served is built when it is first looked up: commands such as `doctor` need it, a host without a
    licence does not.
    """

    def __init__(self) -> None:
        self._prefixes: dict[str, str] = {}
        self._factories: dict[str, Callable[[], M]] = {}
        self._built: dict[str, M] = {}

    def __getitem__(self, name: str) -> M:
        mount = self._built.get(name)
        return self._built.setdefault(name, self._factories[name]()) if mount is None else mount

    def __iter__(self) -> Iterator[str]:
        return iter(self._prefixes)

    def __len__(self) -> int:
        return len(self._prefixes)

    def add(self, name: str, prefix: str, mount: M) -> None:
        """Add a mount at the URL `prefix`."""
        self._prefixes[name], self._built[name] = prefix, mount

    def add_unbuilt(self, name: str, prefix: str, factory: Callable[[], M]) -> None:
        """Add a mount that `factory` builds."""
        self._prefixes[name], self._factories[name] = prefix, factory

    def list_built(self) -> list[M]:
        """Return the mounts that exist, which are all that the app serves."""
        return [*self._built.values()]

    def require_free_name_and_prefix(self, app: Flask, name: str, config: Config) -> None:
        """Raise `ConfigurationError` if the name or the prefix of a new mount is taken."""
        if name in self:
            raise ConfigurationError(
                f"This app has a mount named {name!r} already; "
                f"give the second one a name and a prefix: TenantProvisioning(name='eu', url_prefix='/eu')."
            )
        if config.mount == "blueprint" and name in app.blueprints:
            raise ConfigurationError(
                f"This app has a blueprint named {name!r} already; "
                f"give the mount another name: TenantProvisioning(name='partners')."
            )
        for other, prefix in self._prefixes.items():
            if prefix == config.url_prefix:
                raise ConfigurationError(
                    f"The mount {other!r} is at {prefix!r} already; "
                    f"give {name!r} a prefix: TenantProvisioning(name={name!r}, url_prefix='/{name}')."
                )


def get_mounts(app: Flask) -> Mounts[Any]:
    """Return the mounts of `app`; none before its first `init_app`."""
    mounts: Mounts[Any] | None = app.extensions.get(EXTENSION_KEY)
    return Mounts() if mounts is None else mounts
