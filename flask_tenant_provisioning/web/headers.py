"""Request headers: media types (RFC 9110 §8.3, §12.5.1), entity tags and preconditions (RFC 9110 §13)."""

from __future__ import annotations

import re

from flask import Response, request

from ..errors import NotAcceptable, PreconditionFailed, PreconditionRequired, UnsupportedMediaType

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
FORM = "application/x-www-form-urlencoded"
EVENT_STREAM = "text/event-stream"
#: A longer ``Accept`` is ignored (RFC 9110 §12.5.1 allows this): 100,000 characters would take a second to parse.
_MAX_ACCEPT_LENGTH = 8192
#: Media types of PATCH bodies.
PATCH_TYPES = (MERGE_PATCH, JSON)


def require_media_type(*accepted: str, encodings: tuple[str, ...] = ()) -> None:
    """Raise `UnsupportedMediaType` if the body has none of the `accepted` types, or an encoding not in `encodings`.

    The error's headers list the accepted types and encodings (RFC 9110 §15.5.16; RFC 5789 §2.2 for patches).
    """
    is_accepted, is_coded = request.mimetype in accepted, "HTTP_CONTENT_ENCODING" in request.environ
    coding = get_content_coding() if is_coded else None
    if is_accepted and (coding is None or coding in encodings):
        return
    type_list, encoding_list = ", ".join(accepted), ", ".join(encodings)
    headers = {"Accept": type_list, **({"Accept-Encoding": encoding_list} if encoding_list else {})}
    detail = f"Send {type_list}{', plain or packed with gzip' if encoding_list else ''}."
    if is_accepted:
        headers["Accept-Encoding"] = encoding_list or "identity"
        detail = f"The body is encoded as {coding}. Send it plain{', or packed with gzip' if encoding_list else ''}."
    if MERGE_PATCH in accepted:
        headers["Accept-Patch"] = type_list
    raise UnsupportedMediaType(detail, accepted=list(accepted), headers=headers)


def get_content_coding() -> str | None:
    """Return the content coding of the body in lower case; None without one, or for an empty list (RFC 9110 §5.6.1)."""
    header: str | None = request.environ.get("HTTP_CONTENT_ENCODING")
    if not header:
        return None
    codings = ", ".join(filter(None, map(str.strip, header.lower().split(","))))
    return None if codings in ("", "identity") else codings[:100]


def add_accept_patch(response: Response) -> None:
    """Set ``Accept-Patch`` on a response whose ``Allow`` lists PATCH (RFC 5789 §3.1)."""
    if "PATCH" in response.headers.get("Allow", ""):
        response.headers["Accept-Patch"] = ", ".join(PATCH_TYPES)


def require_json_acceptable() -> None:
    """Raise `NotAcceptable` if the request has an ``Accept`` header that excludes JSON."""
    if request.environ.get("HTTP_ACCEPT") not in (None, "", "*/*", JSON):
        negotiate(JSON)


def negotiate(*offered: str) -> str:
    """Return the `offered` media type that ``Accept`` prefers, and the first of equal ones.

    Raises `NotAcceptable` if none is acceptable.
    """
    if not 0 < len(request.environ.get("HTTP_ACCEPT", "")) <= _MAX_ACCEPT_LENGTH:
        return offered[0]
    ranges = [(kind.partition(";")[0].strip().lower(), quality) for kind, quality in request.accept_mimetypes]
    best = max(offered, key=lambda kind: _find_quality(kind, ranges))
    if not _find_quality(best, ranges):
        raise NotAcceptable(f"This is answered as {', '.join(offered)}.", offered=list(offered))
    return best


def _find_quality(kind: str, ranges: list[tuple[str, float]]) -> float:
    """Return the quality of a media type by the most specific range that matches it; 0 if none does.

    Parameters of ranges are ignored. Werkzeug's `MIMEAccept` compares them, so that ``application/json;charset=utf-8``
    would exclude JSON, and its `best_match` prefers the more specific of two ranges of equal quality to what is offered
    first. Its `quality`, given ranges without parameters, finds the same in twice the time.
    """
    for media_range in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        if qualities := [quality for name, quality in ranges if name == media_range]:
            return max(qualities)
    return 0


#: Tags with the suffix that compression in a proxy or in the host adds for the encoded form (RFC 9110 §8.8.3.3):
#: ``"1-gzip"`` of Apache and Caddy, ``"1--gzip"`` of Jetty, ``"1:br"`` of Flask-Compress, ``"1;gz"`` of LiteSpeed.
_ENCODED_VERSION = re.compile(
    r"([0-9]+)[-:;._+]{1,2}(?:x-)?(?:gzip|gz|br|brotli|deflate|df|zstd|zst|compress|identity);*"
)
_ENTITY_TAGS = re.compile(r'\s*(?:(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)|,)')


def format_etag(version: int) -> str:
    """Return the strong entity tag of a resource at `version`."""
    return f'"{version}"'


def parse_etags(header: str) -> list[tuple[bool, str]]:
    """Return the entity tags of a header as ``(is_weak, text)``; empty if it is malformed (RFC 9110 §8.8.3).

    Werkzeug's `parse_etags` repairs a malformed header, and an ``If-Match`` that it repairs could overwrite a newer
    version: it finds the strong tag 1 in ``1`` and in ``"1", oops``, and the weak one in ``w/"1"``.
    """
    tags, position = [], 0
    while position < len(header):
        match = _ENTITY_TAGS.match(header, position)
        if match is None:
            return []
        if match[2] is not None:
            tags.append((match[1] is not None, match[2]))
        position = match.end()
    return tags


def check_preconditions(version: int | None, *, demanded: bool = False) -> None:
    """Check ``If-Match`` (strong comparison) and ``If-None-Match`` (weak) of a write.

    `version` is the resource's, None if it does not exist yet. Raises `PreconditionFailed`, or `PreconditionRequired`
    if `demanded` and an existing resource is written without ``If-Match``.
    """
    header = request.environ.get("HTTP_IF_MATCH")
    if header is not None and not _has_match(header, version, strong=True):
        raise PreconditionFailed(_explain_mismatch(header, version))
    excluded = request.environ.get("HTTP_IF_NONE_MATCH")
    if excluded is not None and _has_match(excluded, version, strong=False):
        raise PreconditionFailed("The resource has the version that If-None-Match excludes.")
    if demanded and header is None and version is not None:
        raise PreconditionRequired("Send the resource's ETag in If-Match.")


def is_not_modified(version: int) -> bool:
    """Return True if ``If-None-Match`` names this version (weak comparison), so that the response is 304."""
    header = request.environ.get("HTTP_IF_NONE_MATCH")
    return header is not None and _has_match(header, version, strong=False)


def _has_match(header: str, version: int | None, *, strong: bool) -> bool:
    if version is None:
        return False
    return header.strip() == "*" or any(
        _strip_encoding(text) == str(version) and not (strong and weak) for weak, text in parse_etags(header)
    )


def _strip_encoding(tag: str) -> str:
    """Return a tag without the suffix of an encoding. The suffix does not weaken it: it still names one version."""
    encoded = _ENCODED_VERSION.fullmatch(tag)
    return encoded[1] if encoded else tag


def _explain_mismatch(header: str, version: int | None) -> str:
    """Return the detail for an ``If-Match`` that fails: another write came first, or the tag was altered."""
    if version is None:
        return "If-Match asks for a resource that does not exist yet."
    tags = parse_etags(header)
    if not tags:
        return "If-Match holds no entity tag: send the resource's ETag as it was answered, with its quotes."
    if any(weak and _strip_encoding(text) == str(version) for weak, text in tags):
        return (
            "If-Match names this version by a weak tag (W/), which never matches (RFC 9110 §13.1.1): a proxy or the "
            "application has compressed the answer and weakened its ETag. Send it without W/."
        )
    if not any(_strip_encoding(text).isdigit() for _weak, text in tags):
        return "If-Match names no version: an ETag is a number in quotes here, and a proxy may have changed it."
    return "The resource has another version than If-Match names."
