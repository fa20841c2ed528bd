"""The columns of one settings row: values by namespace and key, with secrets sealed and bound to their row.

Keys that the host does not declare, or no longer declares, are stored unchanged and never opened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from ..encoding import diff_json, dump_json, is_same_json
from ..keyring import Keyring, UnsealError
from .namespaces import Namespaces

T = TypeVar("T")
#: Values by namespace and key; a namespace without values is left out.
Values = Mapping[str, Mapping[str, Any]]
Document = dict[str, dict[str, Any]]
#: A namespace and a key in it.
SettingPath = tuple[str, str]
FlatValues = dict[SettingPath, Any]
#: Shown in place of a secret. Sending it back leaves the secret unchanged.
MASK = "********"


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

    document: Document
    secrets: dict[str, dict[str, str]]


class StoredSettings(NamedTuple):
    """The contents of one owner's row, and the values of the declared keys, in clear or `UNREADABLE`."""

    contents: RowContents
    values: Document


EMPTY_CONTENTS = RowContents({}, {})
EMPTY_SETTINGS = StoredSettings(EMPTY_CONTENTS, {})


def parse_columns(document: str, secrets: str | None) -> RowContents:
    """Decode the columns `document` and `secrets` of a row."""
    return RowContents(json.loads(document), json.loads(secrets) if secrets else {})


def encode_columns(contents: RowContents) -> dict[str, Any]:
    """Encode the columns `document` and `secrets` of a row."""
    secrets = dump_json(contents.secrets) if contents.secrets else None
    return {"document": dump_json(contents.document), "secrets": secrets}


def unseal_contents(namespaces: Namespaces, scope: Scope, contents: RowContents, keyring: Keyring) -> StoredSettings:
    """Return what the row of `scope` sets, with the secrets of declared keys opened."""
    values: Document = {}
    for name, pairs in contents.document.items():
        keys = namespaces[name].keys if name in namespaces else {}
        if declared := {key: value for key, value in pairs.items() if key in keys}:
            values[name] = declared
    for path, text in flatten(contents.secrets).items():
        name, key = path
        if name in namespaces and key in namespaces[name].keys:
            values.setdefault(name, {})[key] = _unseal(keyring, text, scope.sealing_context(path))
    return StoredSettings(contents, values)


def _unseal(keyring: Keyring, text: str, context: str) -> Any:
    try:
        return json.loads(keyring.open(text, context))
    except UnsealError:
        return UNREADABLE


def seal_values(
    namespaces: Namespaces, scope: Scope, values: Values, keyring: Keyring, sources: Sequence[StoredSettings]
) -> StoredSettings:
    """Return the settings that set `values` in place of the last ones of `sources`, whose undeclared keys they keep.

    A secret takes its sealed text from the first of `sources` in which it has the same value; without one it is sealed.
    The values are returned in the order in which they are read from the row.
    """
    document, secrets = (
        {name: undeclared for name, pairs in section.items() if (undeclared := _drop_declared(namespaces, name, pairs))}
        for section in sources[-1].contents
    )
    for name, pairs in values.items():
        for key, value in pairs.items():
            text = next(
                (
                    stored.contents.secrets[name][key]
                    for stored in sources
                    if key in stored.contents.secrets.get(name, {}) and is_same_value(stored.values[name][key], value)
                ),
                None,
            )
            if text is None and namespaces[name].keys[key].secret:
                text = keyring.seal(dump_json(value), scope.sealing_context((name, key)))
            if text is None:
                document.setdefault(name, {})[key] = value
            else:
                secrets.setdefault(name, {})[key] = text
    ordered: Document = {}
    for name, pairs in (*document.items(), *secrets.items()):
        for key in pairs:
            if key in values.get(name, {}):
                ordered.setdefault(name, {})[key] = values[name][key]
    return StoredSettings(RowContents(document, secrets), ordered)


def _drop_declared(namespaces: Namespaces, name: str, pairs: Mapping[str, Any]) -> dict[str, Any]:
    keys = namespaces[name].keys if name in namespaces else {}
    return {key: value for key, value in pairs.items() if key not in keys}


def describe_changes(namespaces: Namespaces, before: StoredSettings, after: StoredSettings) -> FlatValues:
    """Return each change by its path, as events and versions show it; empty if there is none.

    Secrets are masked. One that cannot be opened has changed if its sealed text has.
    """
    changes: FlatValues = {}
    for name, key in dict.fromkeys((*flatten(before.values), *flatten(after.values))):
        old_values, new_values = before.values.get(name, {}), after.values.get(name, {})
        old_secret, new_secret = (stored.contents.secrets.get(name, {}).get(key) for stored in (before, after))
        old, new = old_values.get(key), new_values.get(key)
        if key in old_values and key in new_values:
            is_same = old_secret == new_secret if old is new is UNREADABLE else is_same_value(old, new)
            if is_same:
                continue
        if old_secret or new_secret or namespaces[name].keys[key].secret:
            old, new = (MASK if key in values else None for values in (old_values, new_values))
        changes[name, key] = diff_json(old, new)
    return changes


def measure_size(settings: StoredSettings) -> int:
    """Return the size of the values in bytes of compact JSON in UTF-8, secrets counted as sealed."""
    secrets = settings.contents.secrets
    shown = {
        name: {key: secrets.get(name, {}).get(key, value) for key, value in pairs.items()}
        for name, pairs in settings.values.items()
    }
    return len(dump_json(shown).encode())


def is_same_value(first: Any, second: Any) -> bool:
    """Return whether both are the same JSON value. `UNREADABLE` is the same as itself only."""
    return first is second or (UNREADABLE not in (first, second) and is_same_json(first, second))


def flatten(values: Mapping[str, Mapping[str, T]]) -> dict[SettingPath, T]:
    """Return values by path."""
    return {(name, key): value for name, pairs in values.items() for key, value in pairs.items()}


def nest(values: Mapping[SettingPath, T]) -> dict[str, dict[str, T]]:
    """Return values by namespace and key; a namespace without values is left out."""
    document: dict[str, dict[str, T]] = {}
    for (name, key), value in values.items():
        document.setdefault(name, {})[key] = value
    return document


class StorageOptions(NamedTuple):
    """The keyring that seals secrets, and how many versions of settings are stored."""

    keyring: Keyring
    max_versions: int
