"""Answers of the plainest kind, which nearly all are: read in one go, at a tenth of what `http.client` takes."""

from __future__ import annotations

import re
from typing import NamedTuple

_TOKEN = rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_FIELD = re.compile(rb"\r\n(" + _TOKEN + rb"):[ \t]*([^\r\n\0]*)")
_HEAD = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2})(?: [^\r\n\0]*)?((?:\r\n" + _TOKEN + rb":[^\r\n\0]*)*)")
_LENGTH = re.compile(rb"[0-9]{1,4}")


class Plain(NamedTuple):
    """What such an answer says."""

    status: int
    retry_after: str | None
    content: bytes


def plain(data: bytes) -> Plain | None:
    """The answer that `data` is, to its last byte, after which the connection stays open; None where there is doubt.

    HTTP/1.1 with a Content-Length or no content at all, and no field twice (RFC 9112 §6): of everything else
    `http.client` makes sense.
    """
    head, end, content = data.partition(b"\r\n\r\n")
    matched = _HEAD.fullmatch(head)
    if not end or matched is None:
        return None
    found = _FIELD.findall(matched[2])
    fields = {name.lower(): value.rstrip(b" \t") for name, value in found}
    if len(fields) < len(found) or b"transfer-encoding" in fields or not _is_kept(fields):
        return None
    status, length = int(matched[1]), fields.get(b"content-length", b"")
    if not (status == 204 and not content) and not (_LENGTH.fullmatch(length) and int(length) == len(content)):
        return None
    retry_after = fields.get(b"retry-after")
    return Plain(status, None if retry_after is None else retry_after.decode("latin-1"), content)


def _is_kept(fields: dict[bytes, bytes]) -> bool:
    return fields.get(b"connection", b"keep-alive").lower() == b"keep-alive"
