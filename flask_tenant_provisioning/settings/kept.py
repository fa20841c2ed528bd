"""What one row sets, read and written: by namespace and key, its secrets sealed, each bound to its place.

What the host does not declare, or no longer does, is passed on as it is, and opened by nobody.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from ..events import compact
from ..keyring import Keyring, Unsealable
from ..namespaces import Namespace

#: A namespace and a key in it.
Path = tuple[str, str]
Flat = dict[Path, Any]
Namespaces = Mapping[str, Namespace]
OpenKeyring = Callable[[], Keyring]


class Lost:
    """The value of a secret that no key of the keyring opens."""


LOST: Final = Lost()


class Place(NamedTuple):
    """Where values are kept: a tenant's, or with an empty `tenant` the partner's own."""

    partner: str
    tenant: str

    def bound_to(self, path: Path) -> str:
        """What the secret at `path` is sealed with: copied to another place, it does not open."""
        return json.dumps(["settings", *self, *path])


class Contents(NamedTuple):
    """What one version sets: the plain values and the sealed texts, each by namespace and key."""

    document: dict[str, dict[str, Any]]
    secrets: dict[str, dict[str, str]]


class Kept(NamedTuple):
    """The values that are set, in clear or `LOST`, with the sealed text of those that have one.

    `others` and `sealed_others` are what the host does not declare.
    """

    values: Flat
    sealed: dict[Path, str]
    others: Flat
    sealed_others: dict[Path, str]


NOTHING = Kept({}, {}, {}, {})


def parse(document: str, secrets: str | None) -> Contents:
    """What the columns `document` and `secrets` of a row hold."""
    return Contents(json.loads(document), json.loads(secrets) if secrets else {})


def opened(namespaces: Namespaces, place: Place, contents: Contents, keyring: OpenKeyring) -> Kept:
    """What is kept at `place`, its secrets opened."""
    values, others = _parted(namespaces, flat(contents.document))
    sealed, sealed_others = _parted(namespaces, flat(contents.secrets))
    for path, text in sealed.items():
        values[path] = _opened(keyring(), text, place.bound_to(path))
    return Kept(values, sealed, others, sealed_others)


def contents(kept: Kept) -> Contents:
    """What a row that holds this sets."""
    plain = {path: value for path, value in kept.values.items() if path not in kept.sealed}
    return Contents(nested({**kept.others, **plain}), nested({**kept.sealed_others, **kept.sealed}))


def columns_of(contents: Contents) -> dict[str, Any]:
    """The columns `document` and `secrets` of a row that sets this."""
    secrets = compact(contents.secrets) if contents.secrets else None
    return {"document": compact(contents.document), "secrets": secrets}


def size(kept: Kept) -> int:
    """How many bytes the values take as they are kept: compact JSON in UTF-8, secrets as they are sealed."""
    return len(compact(nested({**kept.values, **kept.sealed})).encode())


def flat(document: Mapping[str, Mapping[str, Any]]) -> Flat:
    """The values of a document by their paths."""
    return {(namespace, key): value for namespace, values in document.items() for key, value in values.items()}


def nested(values: Mapping[Path, Any]) -> dict[str, dict[str, Any]]:
    """The document of values by their paths; a namespace of which nothing is set is left out."""
    found: dict[str, dict[str, Any]] = {}
    for (namespace, key), value in values.items():
        found.setdefault(namespace, {})[key] = value
    return found


def is_secret(namespaces: Namespaces, path: Path) -> bool:
    """Whether the host declares the key a secret."""
    namespace, key = path
    return namespaces[namespace].keys[key].secret


def secrets_in(value: Any) -> Iterator[str]:
    """Every text and number in a secret value, as texts."""
    if isinstance(value, Mapping):
        for below in value.values():
            yield from secrets_in(below)
    elif isinstance(value, list):
        for below in value:
            yield from secrets_in(below)
    elif value is not None and not isinstance(value, bool | Lost):
        yield str(value)


def _parted(namespaces: Namespaces, values: Flat) -> tuple[Flat, Flat]:
    """Those that the host declares, and the others."""
    mine = {path: one for path, one in values.items() if is_declared(namespaces, path)}
    return mine, {path: one for path, one in values.items() if path not in mine}


def is_declared(namespaces: Namespaces, path: Path) -> bool:
    """Whether the host declares such a key."""
    namespace, key = path
    return namespace in namespaces and key in namespaces[namespace].keys


def _opened(keyring: Keyring, text: str, bound_to: str) -> Any:
    try:
        return json.loads(keyring.open(text, bound_to))
    except Unsealable:
        return LOST
