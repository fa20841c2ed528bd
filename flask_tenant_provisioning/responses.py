"""Problem documents, the headers of every response, and URLs as the caller sees them."""

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
    """An answer of ours, which bears its request's id whatever a hook of the host's has put there since."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """The headers as they are sent."""
        headers = super().get_wsgi_headers(environ)
        if _REQUEST_ID_KEY in environ and headers.get(REQUEST_ID_HEADER) != environ[_REQUEST_ID_KEY]:
            headers[REQUEST_ID_HEADER] = environ[_REQUEST_ID_KEY]
        return headers


def get_request_id(key: str = "request_id") -> str:
    """This request's id, the same at each call: the app's, else the caller's ``X-Request-ID``, else a new one.

    The app's is what stands under `key` in `g`, else in the WSGI environ. What is not well formed is passed over.
    """
    environ = request.environ
    found: str | None = environ.get(_REQUEST_ID_KEY)
    if found is None:
        for sent in (g.get(key), environ.get(key), environ.get("HTTP_X_REQUEST_ID")):
            if sent is not None and REQUEST_ID_PATTERN.fullmatch(str(sent)):
                found = str(sent)
                break
        else:
            found = os.urandom(16).hex()
        environ[_REQUEST_ID_KEY] = found
    return found


def build_problem_document(error: ProvisioningError, types: str) -> dict[str, object]:
    """The problem's members (RFC 9457 §3); `types` is what each ``type`` begins with."""
    found: dict[str, object] = {
        "type": types + error.code,
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "instance": get_request_path(),
        "request_id": get_request_id(),
    }
    if error.errors:
        found["errors"] = error.errors
    return found | error.members


def render_problem(error: ProvisioningError, types: str) -> Response:
    """The whole answer: document, status and the error's own headers."""
    answer = Response(json.dumps(build_problem_document(error, types)), error.status, mimetype=PROBLEM_MEDIA_TYPE)
    answer.headers.update(error.headers)
    return set_common_headers(answer)


def set_common_headers(answer: Response) -> Response:
    """Set the headers of every response: its request's id, no caching, and no guessing of its type."""
    if type(answer) is Response and current_app.after_request_funcs.get(None):
        answer.__class__ = RequestIdResponse  # hooks of the host's follow
    answer.headers[REQUEST_ID_HEADER] = get_request_id()
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


#: A prefix as a path: segments of visible characters, none of them empty (RFC 3986 §3.3), no ``?``, ``#`` or ``\\``.
_PREFIX_PATTERN = re.compile(r"(?:/[^/?#\\\x00-\x20\x7f]+)*")
_SAFE_CHARACTERS = "~!$&'()*+,;=:@"


def get_script_prefix() -> str:
    """The ``SCRIPT_NAME`` of the request, escaped; empty where it is no path.

    A proxy's ``X-Forwarded-Prefix`` may stand in it, which a caller may have made up: ``//evil.example`` would lead
    readers of a link to another host.
    """
    if not request.environ.get("SCRIPT_NAME"):
        return ""
    root = request.script_root
    return quote(root, safe=f"/{_SAFE_CHARACTERS}") if _PREFIX_PATTERN.fullmatch(root) else ""


def get_request_path() -> str:
    """The path of the request as the caller sees it, escaped."""
    return get_script_prefix() + quote(request.path, safe=f"/{_SAFE_CHARACTERS}")


def escape_segment(text: str) -> str:
    """One segment of a path: slashes are escaped too."""
    return quote(text, safe=_SAFE_CHARACTERS)
