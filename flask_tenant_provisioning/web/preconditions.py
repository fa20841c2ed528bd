"""Entity tags and the requests that depend on them (RFC 9110 §13)."""

from __future__ import annotations

import re

from flask import request

from ..problems import PreconditionFailed, PreconditionRequired

_ENTITY_TAGS = re.compile(r'\s*(?:(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)|,)')


def etag(version: int) -> str:
    """The strong entity tag of a resource at `version`."""
    return f'"{version}"'


def tags(header: str) -> list[tuple[bool, str]]:
    """The entity tags that a header lists, each as (weak, opaque text); empty where it is malformed."""
    found, place = [], 0
    while place < len(header):
        match = _ENTITY_TAGS.match(header, place)
        if match is None:
            return []
        if match[2] is not None:
            found.append((match[1] is not None, match[2]))
        place = match.end()
    return found


def require_match(version: int | None, *, demanded: bool = False) -> None:
    """Honour ``If-Match`` (strong comparison) and ``If-None-Match`` on a write; `version` is None where nothing is yet.

    Raises `PreconditionFailed`, or `PreconditionRequired` where ``If-Match`` is `demanded` and absent.
    """
    header = request.environ.get("HTTP_IF_MATCH")
    if header is not None and not _matches(header, version, strong=True):
        raise PreconditionFailed("The resource has another version than If-Match names.")
    unwanted = request.environ.get("HTTP_IF_NONE_MATCH")
    if unwanted is not None and _matches(unwanted, version, strong=False):
        raise PreconditionFailed("The resource has the version that If-None-Match excludes.")
    if demanded and header is None and version is not None:
        raise PreconditionRequired("Send the resource's ETag in If-Match.")


def not_modified(version: int) -> bool:
    """Whether ``If-None-Match`` says that the caller has this version already; weak comparison."""
    header = request.environ.get("HTTP_IF_NONE_MATCH")
    return header is not None and _matches(header, version, strong=False)


def _matches(header: str, version: int | None, *, strong: bool) -> bool:
    if version is None:
        return False
    return header.strip() == "*" or any(text == str(version) and not (strong and weak) for weak, text in tags(header))
