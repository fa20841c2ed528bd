"""Problem documents (RFC 9457), the headers of every response, and paths as the caller sees them."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from flask import Response, current_app, g, request
from werkzeug.datastructures import Headers

from .errors import ProvisioningError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


PROBLEM_MEDIA_TYPE = "application/problem+json"
REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,128}")
REQUEST_ID_HEADER = "X-Request-ID"
_REQUEST_ID_KEY = "flask_tenant_provisioning.request_id"


class RequestIdResponse(Response):
    """A response that keeps its request's id even if an ``after_request`` hook of the host changes the header."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """Return the headers that are sent."""
        headers = super().get_wsgi_headers(environ)
        if _REQUEST_ID_KEY in environ and headers.get(REQUEST_ID_HEADER) != environ[_REQUEST_ID_KEY]:
            headers[REQUEST_ID_HEADER] = environ[_REQUEST_ID_KEY]
        return headers


def get_request_id(key: str = "request_id") -> str:
    """Return the id of this request: the app's, the caller's ``X-Request-ID``, or a new one.

    The app's id is read from `key` in `g`, then in the WSGI environ. Malformed ids are ignored. The first call decides,
    and later calls return the same id.
    """
    environ = request.environ
    request_id: str | None = environ.get(_REQUEST_ID_KEY)
    if request_id is None:
        for candidate in (g.get(key), environ.get(key), environ.get("HTTP_X_REQUEST_ID")):
            if candidate is not None and REQUEST_ID_PATTERN.fullmatch(str(candidate)):
                request_id = str(candidate)
                break
        else:
            request_id = os.urandom(16).hex()
        environ[_REQUEST_ID_KEY] = request_id
    return request_id


def build_problem_document(error: ProvisioningError, type_prefix: str) -> dict[str, object]:
    """Return the problem's members (RFC 9457 §3); `type_prefix` is that of its ``type``."""
    document: dict[str, object] = {
        "type": type_prefix + error.code,
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "instance": get_request_path(),
        "request_id": get_request_id(),
    }
    if error.errors:
        document["errors"] = error.errors
    return document | error.members


def render_problem(error: ProvisioningError, type_prefix: str) -> Response:
    """Return the response to `error`: document, status and headers. `type_prefix` is that of its ``type``."""
    document = json.dumps(build_problem_document(error, type_prefix))
    response = Response(document, error.status, mimetype=PROBLEM_MEDIA_TYPE)
    response.headers.update(error.headers)
    return set_common_headers(response)


def set_common_headers(response: Response) -> Response:
    """Set the headers that every response has: request id, no caching, no content-type sniffing. Returns it."""
    if type(response) is Response and current_app.after_request_funcs.get(None):
        response.__class__ = RequestIdResponse  # the host's hooks run after this
    response.headers[REQUEST_ID_HEADER] = get_request_id()
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


#: A path prefix: non-empty segments (RFC 3986 §3.3) of visible characters without ``?``, ``#`` and ``\\``.
_PREFIX_PATTERN = re.compile(r"(?:/[^/?#\\\x00-\x20\x7f]+)*")
_SAFE_CHARACTERS = "~!$&'()*+,;=:@"


def get_script_prefix() -> str:
    """Return the ``SCRIPT_NAME`` of the request, escaped; empty if it is not a path.

    It may come from an ``X-Forwarded-Prefix`` that the caller forged: a link that begins with ``//evil.example`` would
    lead to another host.
    """
    if not request.environ.get("SCRIPT_NAME"):
        return ""
    root = request.script_root
    return quote(root, safe=f"/{_SAFE_CHARACTERS}") if _PREFIX_PATTERN.fullmatch(root) else ""


def get_request_path() -> str:
    """Return the path of the request as the caller sees it, escaped."""
    return get_script_prefix() + quote(request.path, safe=f"/{_SAFE_CHARACTERS}")


def escape_segment(text: str) -> str:
    """Escape `text` for use as one path segment, including slashes."""
    return quote(text, safe=_SAFE_CHARACTERS)
