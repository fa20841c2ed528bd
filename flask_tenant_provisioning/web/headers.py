"""Request headers: media types (RFC 9110 §8.3, §12.5.1), entity tags and preconditions (RFC 9110 §13)."""

from __future__ import annotations

import re

from flask import Response, request

from ..errors import NotAcceptable, PreconditionFailed, PreconditionRequired, UnsupportedMediaType

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
EVENT_STREAM = "text/event-stream"
#: A longer ``Accept`` is not read, as RFC 9110 §12.5.1 allows: of 100,000 characters it would take a second.
_MAX_ACCEPT_LENGTH = 8192
#: What every patch may come as.
PATCH_TYPES = (MERGE_PATCH, JSON)


def require_media_type(*accepted: str, encodings: tuple[str, ...] = ()) -> None:
    """Raise `UnsupportedMediaType` where the body is of no `accepted` type, or compressed by none of `encodings`.

    The refusal says in headers what could have been sent (RFC 9110 §15.5.16; RFC 5789 §2.2 for patches).
    """
    coding = get_content_coding()
    if request.mimetype in accepted and (coding is None or coding in encodings):
        return
    named, packed = ", ".join(accepted), ", ".join(encodings)
    headers = {"Accept": named, **({"Accept-Encoding": packed} if packed else {})}
    detail = f"Send {named}{', plain or packed with gzip' if packed else ''}."
    if request.mimetype in accepted:
        headers["Accept-Encoding"] = packed or "identity"
        detail = f"The body is encoded as {coding}. Send it plain{', or packed with gzip' if packed else ''}."
    if MERGE_PATCH in accepted:
        headers["Accept-Patch"] = named
    raise UnsupportedMediaType(detail, accepted=list(accepted), headers=headers)


def get_content_coding() -> str | None:
    """Return the content coding of the body in lower case; None for none, and for an empty list (RFC 9110 §5.6.1)."""
    named: str | None = request.environ.get("HTTP_CONTENT_ENCODING")
    if not named:
        return None
    codings = ", ".join(filter(None, map(str.strip, named.lower().split(","))))
    return None if codings in ("", "identity") else codings[:100]


def add_accept_patch(answer: Response) -> None:
    """Say in an answer whose ``Allow`` names PATCH in which formats one may come (RFC 5789 §3.1)."""
    if "PATCH" in answer.headers.get("Allow", ""):
        answer.headers["Accept-Patch"] = ", ".join(PATCH_TYPES)


def require_json_acceptable() -> None:
    """Raise `NotAcceptable` where the ``Accept`` header admits no JSON; its absence does."""
    if request.environ.get("HTTP_ACCEPT") not in (None, "", "*/*", JSON):
        negotiate(JSON)


def negotiate(*offered: str) -> str:
    """That of the `offered` media types which the ``Accept`` header likes best, the first of several.

    Raises `NotAcceptable` where it admits none.
    """
    if not 0 < len(request.environ.get("HTTP_ACCEPT", "")) <= _MAX_ACCEPT_LENGTH:
        return offered[0]
    ranges = [(kind.partition(";")[0].strip().lower(), quality) for kind, quality in request.accept_mimetypes]
    best = max(offered, key=lambda kind: _find_quality(kind, ranges))
    if not _find_quality(best, ranges):
        named = ", ".join(offered)
        raise NotAcceptable(f"This is answered as {named}.", offered=list(offered))
    return best


def _find_quality(kind: str, ranges: list[tuple[str, float]]) -> float:
    """How much a media type is liked: the most specific range that it is in says so."""
    for wanted in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        if qualities := [quality for found, quality in ranges if found == wanted]:
            return max(qualities)
    return 0


#: What compression at a proxy or in the host adds to a tag for the encoded representation (RFC 9110 §8.8.3.3):
#: ``"1-gzip"`` of Apache and Caddy, ``"1--gzip"`` of Jetty, ``"1:br"`` of Flask-Compress, ``"1;gz"`` of LiteSpeed.
_ENCODED_VERSION = re.compile(
    r"([0-9]+)[-:;._+]{1,2}(?:x-)?(?:gzip|gz|br|brotli|deflate|df|zstd|zst|compress|identity);*"
)
_ENTITY_TAGS = re.compile(r'\s*(?:(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)|,)')


def format_etag(version: int) -> str:
    """The strong entity tag of a resource at `version`."""
    return f'"{version}"'


def parse_etags(header: str) -> list[tuple[bool, str]]:
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


def check_preconditions(version: int | None, *, demanded: bool = False) -> None:
    """Honour ``If-Match`` (strong comparison) and ``If-None-Match`` on a write; `version` is None where nothing is yet.

    Raises `PreconditionFailed`, or `PreconditionRequired` where ``If-Match`` is `demanded` and absent.
    """
    header = request.environ.get("HTTP_IF_MATCH")
    if header is not None and not _has_match(header, version, strong=True):
        raise PreconditionFailed(_explain_mismatch(header, version))
    unwanted = request.environ.get("HTTP_IF_NONE_MATCH")
    if unwanted is not None and _has_match(unwanted, version, strong=False):
        raise PreconditionFailed("The resource has the version that If-None-Match excludes.")
    if demanded and header is None and version is not None:
        raise PreconditionRequired("Send the resource's ETag in If-Match.")


def is_not_modified(version: int) -> bool:
    """Whether ``If-None-Match`` says that the caller has this version already; weak comparison."""
    header = request.environ.get("HTTP_IF_NONE_MATCH")
    return header is not None and _has_match(header, version, strong=False)


def _has_match(header: str, version: int | None, *, strong: bool) -> bool:
    if version is None:
        return False
    return header.strip() == "*" or any(
        _strip_encoding(text) == str(version) and not (strong and weak) for weak, text in parse_etags(header)
    )


def _strip_encoding(tag: str) -> str:
    """The version in a tag. One that names an encoding is as strong: it means that version alone, in other bytes."""
    encoded = _ENCODED_VERSION.fullmatch(tag)
    return encoded[1] if encoded else tag


def _explain_mismatch(header: str, version: int | None) -> str:
    """Why ``If-Match`` does not hold: mostly another write came first, or the tag is not as it was answered."""
    if version is None:
        return "If-Match asks for a resource that does not exist yet."
    found = parse_etags(header)
    if not found:
        return "If-Match holds no entity tag: send the resource's ETag as it was answered, with its quotes."
    if any(weak and _strip_encoding(text) == str(version) for weak, text in found):
        return (
            "If-Match names this version by a weak tag (W/), which never matches (RFC 9110 §13.1.1): a proxy or the "
            "application has compressed the answer and weakened its ETag. Send it without W/."
        )
    if not any(_strip_encoding(text).isdigit() for _weak, text in found):
        return "If-Match names no version: an ETag is a number in quotes here, and a proxy may have changed it."
    return "The resource has another version than If-Match names."
