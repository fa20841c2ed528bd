"""Entity tags and the requests that depend on them (RFC 9110 §13)."""

from __future__ import annotations

import re

from flask import request

from ..problems import PreconditionFailed, PreconditionRequired

#: What compression at a proxy or in the host adds to a tag for the encoded representation (RFC 9110 §8.8.3.3):
#: ``"1-gzip"`` of Apache and Caddy, ``"1--gzip"`` of Jetty, ``"1:br"`` of Flask-Compress, ``"1;gz"`` of LiteSpeed.
_ENCODED = re.compile(r"([0-9]+)[-:;._+]{1,2}(?:x-)?(?:gzip|gz|br|brotli|deflate|df|zstd|zst|compress|identity);*")
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
        raise PreconditionFailed(_refusal(header, version))
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
    return header.strip() == "*" or any(
        _version(text) == str(version) and not (strong and weak) for weak, text in tags(header)
    )


def _version(tag: str) -> str:
    """The version in a tag. One that names an encoding is as strong: it means that version alone, in other bytes."""
    encoded = _ENCODED.fullmatch(tag)
    return encoded[1] if encoded else tag


def _refusal(header: str, version: int | None) -> str:
    """Why ``If-Match`` does not hold: mostly another write came first, or the tag is not as it was answered."""
    if version is None:
        return "If-Match asks for a resource that does not exist yet."
    found = tags(header)
    if not found:
        return "If-Match holds no entity tag: send the resource's ETag as it was answered, with its quotes."
    if any(weak and _version(text) == str(version) for weak, text in found):
        return (
            "If-Match names this version by a weak tag (W/), which never matches (RFC 9110 §13.1.1): a proxy or the "
            "application has compressed the answer and weakened its ETag. Send it without W/."
        )
    if not any(_version(text).isdigit() for _weak, text in found):
        return "If-Match names no version: an ETag is a number in quotes here, and a proxy may have changed it."
    return "The resource has another version than If-Match names."
