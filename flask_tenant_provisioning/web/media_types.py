"""Which media types come in and go out (RFC 9110 §8.3, §12.5.1)."""

from __future__ import annotations

from flask import Response, request

from ..problems import NotAcceptable, UnsupportedMediaType

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
EVENT_STREAM = "text/event-stream"
#: A longer ``Accept`` is not read, as RFC 9110 §12.5.1 allows: of 100,000 characters it would take a second.
_LONGEST_ACCEPT = 8192
#: What every patch may come as.
PATCHES = (MERGE_PATCH, JSON)


def require_media_type(*accepted: str, encodings: tuple[str, ...] = ()) -> None:
    """Raise `UnsupportedMediaType` where the body is of no `accepted` type, or compressed by none of `encodings`.

    The refusal says in headers what could have been sent (RFC 9110 §15.5.16; RFC 5789 §2.2 for patches).
    """
    coding = content_coding()
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


def content_coding() -> str | None:
    """Return the content coding of the body in lower case; None for none, and for an empty list (RFC 9110 §5.6.1)."""
    named: str | None = request.environ.get("HTTP_CONTENT_ENCODING")
    if not named:
        return None
    codings = ", ".join(filter(None, map(str.strip, named.lower().split(","))))
    return None if codings in ("", "identity") else codings[:100]


def name_patch_formats(answer: Response) -> None:
    """Say in an answer whose ``Allow`` names PATCH in which formats one may come (RFC 5789 §3.1)."""
    if "PATCH" in answer.headers.get("Allow", ""):
        answer.headers["Accept-Patch"] = ", ".join(PATCHES)


def require_json_accepted() -> None:
    """Raise `NotAcceptable` where the ``Accept`` header admits no JSON; its absence does."""
    if request.environ.get("HTTP_ACCEPT") not in (None, "", "*/*", JSON):
        negotiated(JSON)


def negotiated(*offered: str) -> str:
    """That of the `offered` media types which the ``Accept`` header likes best, the first of several.

    Raises `NotAcceptable` where it admits none.
    """
    if not 0 < len(request.environ.get("HTTP_ACCEPT", "")) <= _LONGEST_ACCEPT:
        return offered[0]
    ranges = [(kind.partition(";")[0].strip().lower(), quality) for kind, quality in request.accept_mimetypes]
    best = max(offered, key=lambda kind: _quality(kind, ranges))
    if not _quality(best, ranges):
        named = ", ".join(offered)
        raise NotAcceptable(f"This is answered as {named}.", offered=list(offered))
    return best


def _quality(kind: str, ranges: list[tuple[str, float]]) -> float:
    """How much a media type is liked: the most specific range that it is in says so."""
    for wanted in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        if qualities := [quality for found, quality in ranges if found == wanted]:
            return max(qualities)
    return 0
