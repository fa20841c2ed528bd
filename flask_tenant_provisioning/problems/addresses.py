"""Addresses as the caller sees them: every link, ``Location`` and `instance` is made of these."""

from __future__ import annotations

import re
from urllib.parse import quote

from flask import request

#: A prefix as a path: segments of visible characters, none of them empty (RFC 3986 §3.3), no ``?``, ``#`` or ``\\``.
_PREFIX = re.compile(r"(?:/[^/?#\\\x00-\x20\x7f]+)*")
_SAFE = "~!$&'()*+,;=:@"


def prefix() -> str:
    """The ``SCRIPT_NAME`` of the request, escaped; empty where it is no path.

    A proxy's ``X-Forwarded-Prefix`` may stand in it, which a caller may have made up: ``//evil.example`` would lead
    readers of a link to another host.
    """
    if not request.environ.get("SCRIPT_NAME"):
        return ""
    root = request.script_root
    return quote(root, safe=f"/{_SAFE}") if _PREFIX.fullmatch(root) else ""


def path() -> str:
    """The path of the request as the caller sees it, escaped."""
    return prefix() + quote(request.path, safe=f"/{_SAFE}")


def escaped(text: str) -> str:
    """One segment of a path: slashes are escaped too."""
    return quote(text, safe=_SAFE)
