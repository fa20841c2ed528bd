"""Secrets of settings, sealed again: by a new key, or for another place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..events import compact
from ..keyring import Keyring, Unsealable
from ..tenants.own_fields import same
from .kept import Contents, Path, Place, flat, nested


class Resealed(NamedTuple):
    """A version before and after its secrets were sealed again; `lost` is why one of them could not be opened."""

    old: Contents
    new: Contents
    lost: Unsealable | None = None

    @property
    def is_changed(self) -> bool:
        """Whether anything was sealed again."""
        return self.old != self.new


class Sealer(NamedTuple):
    """Seals the secrets of one owner's versions by the keyring's first key, as a row at the place `after` has them.

    Plain values at paths that are `secret` by now are sealed as well.
    """

    keyring: Keyring
    before: Place
    after: Place
    secret: Callable[[Path], bool] = lambda _path: False

    def reseal(self, version: Contents, newer: Resealed | None = None) -> Resealed:
        """Return the version with every secret sealed again, but for those that cannot be opened.

        What is so already stays to the letter. What the version after this one, `newer`, sets too gets the same text,
        so that the two do not differ where they did not.
        """
        lost: Unsealable | None = None
        plain, sealed = flat(version.document), flat(version.secrets)
        for path, text in sealed.items():
            if self.before == self.after and self.keyring.is_current(text):
                continue
            known = None if newer is None else _find(newer, newer.old.secrets, path, text)
            if known is not None and known != text:
                sealed[path] = known
                continue
            try:
                opened = self.keyring.open(text, self.before.bound_to(path))
            except Unsealable as error:
                lost = lost or error
            else:
                sealed[path] = self.keyring.seal(opened, self.after.bound_to(path))
        for path in [path for path in plain if self.secret(path)]:
            value = plain.pop(path)
            known = None if newer is None else _find(newer, newer.old.document, path, value)
            sealed[path] = known or self.keyring.seal(compact(value), self.after.bound_to(path))
        return Resealed(version, Contents(nested(plain), nested(sealed)), lost)


def _find(newer: Resealed, values: dict[str, dict[str, Any]], path: Path, value: Any) -> str | None:
    """The text that the same `value` of the version after this one was sealed as; None where it had another."""
    namespace, key = path
    held = values.get(namespace, {})
    if key not in held or not same(held[key], value):
        return None
    return newer.new.secrets.get(namespace, {}).get(key)
