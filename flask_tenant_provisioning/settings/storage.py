"""The columns of one settings row: values by namespace and key, with secrets sealed and bound to their row.

Keys that the host does not declare, or no longer declares, are stored unchanged and never opened.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from ..encoding import dump_json, is_same_json
from ..keyring import Keyring, UnsealError
from .namespaces import Namespaces

#: A namespace and a key in it.
SettingPath = tuple[str, str]
FlatSettings = dict[SettingPath, Any]
OpenKeyring = Callable[[], Keyring]


class Unreadable:
    """The type of `UNREADABLE`, the value of a secret that no key of the keyring opens."""


UNREADABLE: Final = Unreadable()


class Scope(NamedTuple):
    """The key of a settings row: a tenant of a partner, or with an empty `tenant` the partner itself."""

    partner: str
    tenant: str

    def sealing_context(self, path: SettingPath) -> str:
        """Return the context that the secret at `path` is sealed with; copied to another row, it does not open."""
        return json.dumps(["settings", *self, *path])


class RowContents(NamedTuple):
    """The decoded columns of one version: plain values and sealed texts, each by namespace and key."""

    document: dict[str, dict[str, Any]]
    secrets: dict[str, dict[str, str]]


class StoredSettings(NamedTuple):
    """The stored values of one owner: in clear or `UNREADABLE`, with the sealed text of each secret.

    `undeclared` and `sealed_undeclared` hold the keys that the host does not declare.
    """

    values: FlatSettings
    sealed: dict[SettingPath, str]
    undeclared: FlatSettings
    sealed_undeclared: dict[SettingPath, str]

    def reorder(self, contents: RowContents) -> StoredSettings:
        """Return the settings in the order in which they are read from a row with these `contents`."""
        paths = (*flatten(contents.document), *flatten(contents.secrets))
        return self._replace(values={path: self.values[path] for path in paths if path in self.values})


EMPTY_SETTINGS = StoredSettings({}, {}, {}, {})


def parse_columns(document: str, secrets: str | None) -> RowContents:
    """Decode the columns `document` and `secrets` of a row."""
    return RowContents(json.loads(document), json.loads(secrets) if secrets else {})


def unseal_contents(
    namespaces: Namespaces, scope: Scope, contents: RowContents, keyring: OpenKeyring
) -> StoredSettings:
    """Open the secrets of the row of `scope`, and separate the keys that the host does not declare."""
    values, undeclared = _split_declared(namespaces, flatten(contents.document))
    sealed, sealed_undeclared = _split_declared(namespaces, flatten(contents.secrets))
    for path, text in sealed.items():
        values[path] = _unseal(keyring(), text, scope.sealing_context(path))
    return StoredSettings(values, sealed, undeclared, sealed_undeclared)


def make_contents(settings: StoredSettings) -> RowContents:
    """Return the contents of the row that stores these settings."""
    plain = {path: value for path, value in settings.values.items() if path not in settings.sealed}
    return RowContents(nest({**settings.undeclared, **plain}), nest({**settings.sealed_undeclared, **settings.sealed}))


def encode_columns(contents: RowContents) -> dict[str, Any]:
    """Encode the columns `document` and `secrets` of a row."""
    secrets = dump_json(contents.secrets) if contents.secrets else None
    return {"document": dump_json(contents.document), "secrets": secrets}


def measure_size(settings: StoredSettings) -> int:
    """Return the size of the values in bytes of compact JSON in UTF-8, secrets counted as sealed."""
    return len(dump_json(nest({**settings.values, **settings.sealed})).encode())


def flatten(document: Mapping[str, Mapping[str, Any]]) -> FlatSettings:
    """Return the values of a document by path."""
    return {(namespace, key): value for namespace, values in document.items() for key, value in values.items()}


def nest(values: Mapping[SettingPath, Any]) -> dict[str, dict[str, Any]]:
    """Return the document of values by path; a namespace without values is left out."""
    document: dict[str, dict[str, Any]] = {}
    for (namespace, key), value in values.items():
        document.setdefault(namespace, {})[key] = value
    return document


def is_secret(namespaces: Namespaces, path: SettingPath) -> bool:
    """Return whether the host declares the key a secret. Raises `KeyError` if the key is not declared."""
    namespace, key = path
    return namespaces[namespace].keys[key].secret


def iter_secret_texts(value: Any) -> Iterator[str]:
    """Yield every text and number in a secret value, as text."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from iter_secret_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from iter_secret_texts(item)
    elif value is not None and not isinstance(value, bool | Unreadable):
        yield str(value)


def _split_declared(namespaces: Namespaces, values: FlatSettings) -> tuple[FlatSettings, FlatSettings]:
    """Return the values of declared keys, and those of all others."""
    declared = {path: value for path, value in values.items() if is_declared(namespaces, path)}
    return declared, {path: value for path, value in values.items() if path not in declared}


def is_declared(namespaces: Namespaces, path: SettingPath) -> bool:
    """Return whether the host declares the key."""
    namespace, key = path
    return namespace in namespaces and key in namespaces[namespace].keys


def _unseal(keyring: Keyring, text: str, context: str) -> Any:
    try:
        return json.loads(keyring.open(text, context))
    except UnsealError:
        return UNREADABLE


class ResealedVersion(NamedTuple):
    """A version before and after its secrets were sealed again; `error` is set if one could not be opened."""

    old: RowContents
    new: RowContents
    error: UnsealError | None = None

    @property
    def is_changed(self) -> bool:
        """True if any secret was sealed again."""
        return self.old != self.new


class Sealer(NamedTuple):
    """Seals the secrets of one owner's versions with the keyring's first key, for a row of the scope `target`.

    Plain values at paths that `is_secret` accepts are sealed too.
    """

    keyring: Keyring
    source: Scope
    target: Scope
    is_secret: Callable[[SettingPath], bool] = lambda _path: False

    def reseal(self, version: RowContents, newer: ResealedVersion | None = None) -> ResealedVersion:
        """Return the version with every secret sealed again, except those that cannot be opened.

        A secret that is sealed for the target with the first key stays unchanged. A secret that the next version,
        `newer`, shares with this one gets the same text, so that no new difference between the two arises.
        """
        first_error: UnsealError | None = None
        plain, sealed = flatten(version.document), flatten(version.secrets)
        for path, text in sealed.items():
            if self.source == self.target and self.keyring.is_current(text):
                continue
            shared = None if newer is None else _find_sealed_text(newer, newer.old.secrets, path, text)
            if shared is not None and shared != text:
                sealed[path] = shared
                continue
            try:
                secret = self.keyring.open(text, self.source.sealing_context(path))
            except UnsealError as error:
                first_error = first_error or error
            else:
                sealed[path] = self.keyring.seal(secret, self.target.sealing_context(path))
        for path in [path for path in plain if self.is_secret(path)]:
            value = plain.pop(path)
            shared = None if newer is None else _find_sealed_text(newer, newer.old.document, path, value)
            sealed[path] = shared or self.keyring.seal(dump_json(value), self.target.sealing_context(path))
        return ResealedVersion(version, RowContents(nest(plain), nest(sealed)), first_error)


def _find_sealed_text(
    newer: ResealedVersion, values: dict[str, dict[str, Any]], path: SettingPath, value: Any
) -> str | None:
    """Return the new sealed text of `path` in the next version, or None if its value there was not `value`."""
    namespace, key = path
    stored = values.get(namespace, {})
    if key not in stored or not is_same_json(stored[key], value):
        return None
    return newer.new.secrets.get(namespace, {}).get(key)


class StorageOptions(NamedTuple):
    """The keyring that seals secrets, and how many versions of settings are stored."""

    keyring: Keyring
    max_versions: int

    def get_keyring(self) -> Keyring:
        """Return the keyring, as an `OpenKeyring`."""
        return self.keyring


def is_same_value(one: Any, other: Any) -> bool:
    return one is other if UNREADABLE in (one, other) else is_same_json(one, other)
