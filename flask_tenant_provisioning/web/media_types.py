"""Which media types come in and go out (RFC 9110 §8.3, §12.5.1)."""

from __future__ import annotations

from flask import request

from ..problems import NotAcceptable, UnsupportedMediaType

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"


def require_media_type(*accepted: str) -> None:
    """Raise `UnsupportedMediaType` where the body is of no `accepted` type, or is compressed."""
    encoding = request.environ.get("HTTP_CONTENT_ENCODING", "identity")
    if request.mimetype not in accepted or encoding.lower() != "identity":
        named = ", ".join(accepted)
        raise UnsupportedMediaType(f"Send {named}.", accepted=list(accepted), headers={"Accept": named})


def require_json_accepted() -> None:
    """Raise `NotAcceptable` where the ``Accept`` header admits no JSON; its absence does."""
    header = request.environ.get("HTTP_ACCEPT")
    if not header or header in ("*/*", "application/json"):
        return
    ranges = [(kind.partition(";")[0].strip().lower(), quality) for kind, quality in request.accept_mimetypes]
    for wanted in ("application/json", "application/*", "*/*"):
        qualities = [quality for kind, quality in ranges if kind == wanted]
        if qualities:
            if max(qualities) > 0:
                return
            break
    raise NotAcceptable
