"""Names of resources in a call: an id, or the object that the client has returned."""

from __future__ import annotations

from typing import Protocol


class Versioned(Protocol):
    """A document with a version."""

    @property
    def version(self) -> int:
        """Return the version of the resource that the document shows."""


def get_id(resource: object, member: str) -> str:
    """Return the id of a resource: a text as it is, or the `member` of a document."""
    value = resource if isinstance(resource, str) else getattr(resource, member, None)
    if not isinstance(value, str):
        raise TypeError(f"Expected the id of a {member} or an object that shows one, not {resource!r}.")
    return value


def get_version(resource: object, version: int | Versioned | None = None) -> int | None:
    """Return the version that a write expects: `version`, or that of the document; None if both are without."""
    chosen = resource if version is None else version
    if isinstance(chosen, int):
        return chosen
    number = getattr(chosen, "version", None)
    return number if isinstance(number, int) else None
