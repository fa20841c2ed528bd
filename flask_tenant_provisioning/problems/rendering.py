"""How an error looks on the wire: ``application/problem+json`` (RFC 9457), rendered without the host's JSON."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from flask import Response, current_app, g, request
from werkzeug.datastructures import Headers

from .addresses import path
from .root import ProvisioningError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MEDIA_TYPE = "application/problem+json"
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
HEADER = "X-Request-ID"
_KEPT = "flask_tenant_provisioning.request_id"


class MarkedResponse(Response):
    """An answer of ours, which bears its request's id whatever a hook of the host's has put there since."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """The headers as they are sent."""
        headers = super().get_wsgi_headers(environ)
        if _KEPT in environ and headers.get(HEADER) != environ[_KEPT]:
            headers[HEADER] = environ[_KEPT]
        return headers


def request_id(key: str = "request_id") -> str:
    """This request's id, the same at each call: the app's, else the caller's ``X-Request-ID``, else a new one.

    The app's is what stands under `key` in `g`, else in the WSGI environ. What is not well formed is passed over.
    """
    environ = request.environ
    found: str | None = environ.get(_KEPT)
    if found is None:
        for sent in (g.get(key), environ.get(key), environ.get("HTTP_X_REQUEST_ID")):
            if sent is not None and REQUEST_ID.fullmatch(str(sent)):
                found = str(sent)
                break
        else:
            found = os.urandom(16).hex()
        environ[_KEPT] = found
    return found


def document(error: ProvisioningError, types: str) -> dict[str, object]:
    """The problem's members (RFC 9457 §3); `types` is what each ``type`` begins with."""
    found: dict[str, object] = {
        "type": types + error.code,
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "instance": path(),
        "request_id": request_id(),
    }
    if error.errors:
        found["errors"] = error.errors
    return found | error.members


def render(error: ProvisioningError, types: str) -> Response:
    """The whole answer: document, status and the error's own headers."""
    answer = Response(json.dumps(document(error, types)), error.status, mimetype=MEDIA_TYPE)
    answer.headers.update(error.headers)
    return mark(answer)


def mark(answer: Response) -> Response:
    """Set the headers of every response: its request's id, no caching, and no guessing of its type."""
    if type(answer) is Response and current_app.after_request_funcs.get(None):
        answer.__class__ = MarkedResponse  # hooks of the host's follow
    answer.headers[HEADER] = request_id()
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer
