"""The columns of one settings row: values by namespace and key, with secrets sealed and bound to their row.

Keys that the host does not declare, or no longer declares, are kept unchanged and never opened.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from ..encoding import dump_json
from ..keyring import Keyring, UnsealError
from ..tenants.custom_fields import is_same_json
from .namespaces import Namespaces

#: A namespace and a key in it.
SettingPath = tuple[str, str]
FlatSettings = dict[SettingPath, Any]
OpenKeyring = Callable[[], Keyring]


class Unreadable:
    """The value of a secret that no key of the keyring opens."""


UNREADABLE: Final = Unreadable()


class Scope(NamedTuple):
    """Where values are kept: a tenant's, or with an empty `tenant` the partner's own."""

    partner: str
    tenant: str

    def sealing_context(self, path: SettingPath) -> str:
        """What the secret at `path` is sealed with: copied to another place, it does not open."""
        return json.dumps(["settings", *self, *path])


class RowContents(NamedTuple):
    """What one version sets: the plain values and the sealed texts, each by namespace and key."""

    document: dict[str, dict[str, Any]]
    secrets: dict[str, dict[str, str]]


class StoredSettings(NamedTuple):
    """The values that are set, in clear or `UNREADABLE`, with the sealed text of those that have one.

    `others` and `sealed_others` are what the host does not declare.
    """

    values: FlatSettings
    sealed: dict[SettingPath, str]
    others: FlatSettings
    sealed_others: dict[SettingPath, str]


EMPTY_SETTINGS = StoredSettings({}, {}, {}, {})


def parse_columns(document: str, secrets: str | None) -> RowContents:
    """What the columns `document` and `secrets` of a row hold."""
    return RowContents(json.loads(document), json.loads(secrets) if secrets else {})


def unseal_contents(
    namespaces: Namespaces, place: Scope, contents: RowContents, keyring: OpenKeyring
) -> StoredSettings:
    """What is kept at `place`, its secrets opened."""
    values, others = _split_declared(namespaces, flatten(contents.document))
    sealed, sealed_others = _split_declared(namespaces, flatten(contents.secrets))
    for path, text in sealed.items():
        values[path] = _unseal(keyring(), text, place.sealing_context(path))
    return StoredSettings(values, sealed, others, sealed_others)


def make_contents(kept: StoredSettings) -> RowContents:
    """What a row that holds this sets."""
    plain = {path: value for path, value in kept.values.items() if path not in kept.sealed}
    return RowContents(nest({**kept.others, **plain}), nest({**kept.sealed_others, **kept.sealed}))


def encode_columns(contents: RowContents) -> dict[str, Any]:
    """The columns `document` and `secrets` of a row that sets this."""
    secrets = dump_json(contents.secrets) if contents.secrets else None
    return {"document": dump_json(contents.document), "secrets": secrets}


def measure_size(kept: StoredSettings) -> int:
    """How many bytes the values take as they are kept: compact JSON in UTF-8, secrets as they are sealed."""
    return len(dump_json(nest({**kept.values, **kept.sealed})).encode())


def flatten(document: Mapping[str, Mapping[str, Any]]) -> FlatSettings:
    """The values of a document by their paths."""
    return {(namespace, key): value for namespace, values in document.items() for key, value in values.items()}


def nest(values: Mapping[SettingPath, Any]) -> dict[str, dict[str, Any]]:
    """The document of values by their paths; a namespace of which nothing is set is left out."""
    found: dict[str, dict[str, Any]] = {}
    for (namespace, key), value in values.items():
        found.setdefault(namespace, {})[key] = value
    return found


def is_secret(namespaces: Namespaces, path: SettingPath) -> bool:
    """Whether the host declares the key a secret."""
    namespace, key = path
    return namespaces[namespace].keys[key].secret


def iter_secret_texts(value: Any) -> Iterator[str]:
    """Every text and number in a secret value, as texts."""
    if isinstance(value, Mapping):
        for below in value.values():
            yield from iter_secret_texts(below)
    elif isinstance(value, list):
        for below in value:
            yield from iter_secret_texts(below)
    elif value is not None and not isinstance(value, bool | Unreadable):
        yield str(value)


def _split_declared(namespaces: Namespaces, values: FlatSettings) -> tuple[FlatSettings, FlatSettings]:
    """Those that the host declares, and the others."""
    mine = {path: one for path, one in values.items() if is_declared(namespaces, path)}
    return mine, {path: one for path, one in values.items() if path not in mine}


def is_declared(namespaces: Namespaces, path: SettingPath) -> bool:
    """Whether the host declares such a key."""
    namespace, key = path
    return namespace in namespaces and key in namespaces[namespace].keys


def _unseal(keyring: Keyring, text: str, context: str) -> Any:
    try:
        return json.loads(keyring.open(text, context))
    except UnsealError:
        return UNREADABLE


class ResealedVersion(NamedTuple):
    """A version before and after its secrets were sealed again; `lost` is why one of them could not be opened."""

    old: RowContents
    new: RowContents
    lost: UnsealError | None = None

    @property
    def is_changed(self) -> bool:
        """Whether anything was sealed again."""
        return self.old != self.new


class Sealer(NamedTuple):
    """Seals the secrets of one owner's versions by the keyring's first key, as a row at the place `after` has them.

    Plain values at paths that are `secret` by now are sealed as well.
    """

    keyring: Keyring
    before: Scope
    after: Scope
    secret: Callable[[SettingPath], bool] = lambda _path: False

    def reseal(self, version: RowContents, newer: ResealedVersion | None = None) -> ResealedVersion:
        """Return the version with every secret sealed again, but for those that cannot be opened.

        What is so already stays to the letter. What the version after this one, `newer`, sets too gets the same text,
        so that the two do not differ where they did not.
        """
        lost: UnsealError | None = None
        plain, sealed = flatten(version.document), flatten(version.secrets)
        for path, text in sealed.items():
            if self.before == self.after and self.keyring.is_current(text):
                continue
            known = None if newer is None else _find_sealed_text(newer, newer.old.secrets, path, text)
            if known is not None and known != text:
                sealed[path] = known
                continue
            try:
                opened = self.keyring.open(text, self.before.sealing_context(path))
            except UnsealError as error:
                lost = lost or error
            else:
                sealed[path] = self.keyring.seal(opened, self.after.sealing_context(path))
        for path in [path for path in plain if self.secret(path)]:
            value = plain.pop(path)
            known = None if newer is None else _find_sealed_text(newer, newer.old.document, path, value)
            sealed[path] = known or self.keyring.seal(dump_json(value), self.after.sealing_context(path))
        return ResealedVersion(version, RowContents(nest(plain), nest(sealed)), lost)


def _find_sealed_text(
    newer: ResealedVersion, values: dict[str, dict[str, Any]], path: SettingPath, value: Any
) -> str | None:
    """The text that the same `value` of the version after this one was sealed as; None where it had another."""
    namespace, key = path
    held = values.get(namespace, {})
    if key not in held or not is_same_json(held[key], value):
        return None
    return newer.new.secrets.get(namespace, {}).get(key)


class StorageOptions(NamedTuple):
    """How settings are kept: sealed by `keyring`, `most` versions of them."""

    keyring: Keyring
    most: int

    def open(self) -> Keyring:
        """The keyring."""
        return self.keyring


def is_same_value(one: Any, other: Any) -> bool:
    return one is other if UNREADABLE in (one, other) else is_same_json(one, other)
