"""Request bodies: read to their end, and never further than the limit."""

from __future__ import annotations

from flask import request
from werkzeug.wsgi import get_input_stream

from ..config import Settings
from ..problems import BodyTooLarge


def read_body(limit: int) -> bytes:
    """The body; a hook of the host may have read it before. Raises `BodyTooLarge`."""
    announced = request.content_length
    if announced is not None and announced > limit:
        raise too_large(limit)
    data = (announced is None and _streamed(limit)) or request.get_data()
    if len(data) > limit:
        raise too_large(limit)
    return data


def _streamed(limit: int) -> bytes:
    """A body of unknown length, up to one byte over `limit`; Werkzeug's own wrapper could cut it short unsaid."""
    found: bytes = get_input_stream(request.environ).read(limit + 1)
    return found


def body_limit(settings: Settings) -> int:
    """The largest body in bytes: the mount's limit, or the host's where that is smaller."""
    hosts = request.max_content_length
    return settings.max_body_bytes if hosts is None else min(settings.max_body_bytes, hosts)


def too_large(limit: int) -> BodyTooLarge:
    """The refusal that states the limit."""
    return BodyTooLarge(f"The body is larger than {limit} bytes.", limit=limit)
