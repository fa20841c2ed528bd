"""Links that open the API's documents for a short time, where `PROVISIONING_PUBLIC_DOCS` keeps them from the public.

A browser sends no bearer token. Such a link sets a cookie that is good for the documents alone and as long as the link;
no other route of the API reads it.
"""

from __future__ import annotations

from flask import Response, has_request_context, request

from ..errors import InvalidCursor
from ..mount import Mount
from ..responses import get_request_path as path_of_request

LINK_PARAMETER = "link"
_SUBJECT = "docs link"


def make_link(mount: Mount, seconds: int) -> str:
    """The path of the documents, with what opens them for so many seconds; the plain path where they are public.

    In a view it is the path as the caller sees it, behind any ``SCRIPT_NAME``.
    """
    path = f"{mount.base() if has_request_context() else mount.settings.url_prefix}/docs"
    if mount.settings.public_docs:
        return path
    end = int(mount.storage.clock()) + seconds
    return f"{path}?{LINK_PARAMETER}={mount.cursors.seal(str(end), _SUBJECT)}"


def follow_link(mount: Mount) -> Response | None:
    """Return the response that sets the cookie where this request follows a good link; else None."""
    sent = request.args.get(LINK_PARAMETER, "") if request.query_string else ""
    left = _count_seconds_left(mount, sent)
    if not left:
        return None
    answer = Response(status=303, headers={"Location": path_of_request()})
    path = mount.base()
    answer.set_cookie(
        _name_cookie(mount), sent, max_age=left, path=path, secure=request.is_secure, httponly=True, samesite="Lax"
    )
    return answer


def has_valid_cookie(mount: Mount) -> bool:
    """Return whether this request comes from a browser that has followed a link that is still good."""
    return bool(_count_seconds_left(mount, request.cookies.get(_name_cookie(mount), "")))


def _name_cookie(mount: Mount) -> str:
    return f"{mount.name}_docs"


def _count_seconds_left(mount: Mount, sent: str) -> int:
    """Return for how many seconds the cookie or link still opens the documents; 0 where it does not."""
    if not sent:
        return 0
    try:
        return max(int(mount.cursors.open(sent, _SUBJECT)) - int(mount.storage.clock()), 0)
    except InvalidCursor:
        return 0
