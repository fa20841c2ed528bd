"""Links that open the API's documents for a short time if `PROVISIONING_PUBLIC_DOCS` is off.

A browser sends no bearer token. Such a link sets a cookie that is valid only for the documents and expires with the
link. No other route of the API reads it.
"""

from __future__ import annotations

from flask import Response, has_request_context, request

from ..errors import InvalidCursor
from ..mount import Mount
from ..responses import get_request_path

LINK_PARAMETER = "link"
_SUBJECT = "docs link"


def make_link(mount: Mount, seconds: int) -> str:
    """Return the path of the documents with a signed parameter valid for `seconds`, or without one if they are public.

    During a request, the path begins with the ``SCRIPT_NAME``, if there is one.
    """
    path = f"{mount.base_path() if has_request_context() else mount.config.url_prefix}/docs"
    if mount.config.public_docs:
        return path
    end = int(mount.storage.clock()) + seconds
    return f"{path}?{LINK_PARAMETER}={mount.cursors.seal(str(end), _SUBJECT)}"


def follow_link(mount: Mount) -> Response | None:
    """Return a redirect that sets the cookie if this request follows a valid link; else None."""
    token = request.args.get(LINK_PARAMETER, "") if request.query_string else ""
    seconds = _count_seconds_left(mount, token)
    if not seconds:
        return None
    response = Response(status=303, headers={"Location": get_request_path()})
    path = mount.base_path()
    response.set_cookie(
        _name_cookie(mount), token, max_age=seconds, path=path, secure=request.is_secure, httponly=True, samesite="Lax"
    )
    return response


def has_valid_cookie(mount: Mount) -> bool:
    """Return True if this request has the cookie of a link that has not expired."""
    return bool(_count_seconds_left(mount, request.cookies.get(_name_cookie(mount), "")))


def _name_cookie(mount: Mount) -> str:
    return f"{mount.name}_docs"


def _count_seconds_left(mount: Mount, token: str) -> int:
    """Return how many seconds the cookie or link is still valid; 0 if it is invalid or expired."""
    if not token:
        return 0
    try:
        return max(int(mount.cursors.open(token, _SUBJECT)) - int(mount.storage.clock()), 0)
    except InvalidCursor:
        return 0
