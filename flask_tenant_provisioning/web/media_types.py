"""Which media types come in and go out (RFC 9110 §8.3, §12.5.1)."""

from __future__ import annotations

from flask import request

from ..problems import NotAcceptable, UnsupportedMediaType

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
EVENT_STREAM = "text/event-stream"


def require_media_type(*accepted: str, encodings: tuple[str, ...] = ()) -> None:
    """Raise `UnsupportedMediaType` where the body is of no `accepted` type, or compressed by none of `encodings`."""
    encoding = request.environ.get("HTTP_CONTENT_ENCODING", "identity")
    if request.mimetype not in accepted or encoding.lower() not in ("identity", *encodings):
        named, packed = ", ".join(accepted), ", ".join(encodings)
        headers = {"Accept": named, **({"Accept-Encoding": packed} if packed else {})}
        detail = f"Send {named}{', plain or packed with gzip' if packed else ''}."
        raise UnsupportedMediaType(detail, accepted=list(accepted), headers=headers)


def require_json_accepted() -> None:
    """Raise `NotAcceptable` where the ``Accept`` header admits no JSON; its absence does."""
    if request.environ.get("HTTP_ACCEPT") not in (None, "", "*/*", JSON):
        negotiated(JSON)


def negotiated(*offered: str) -> str:
    """That of the `offered` media types which the ``Accept`` header likes best, the first of several.

    Raises `NotAcceptable` where it admits none.
    """
    if not request.environ.get("HTTP_ACCEPT"):
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
