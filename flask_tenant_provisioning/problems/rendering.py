"""How an error looks on the wire: ``application/problem+json`` (RFC 9457), rendered without the host's JSON."""

from __future__ import annotations

import json
import os
import re

from flask import Response, request

from .addresses import path
from .root import ProvisioningError

MEDIA_TYPE = "application/problem+json"
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_KEPT = "flask_tenant_provisioning.request_id"


def request_id() -> str:
    """This request's id: the caller's ``X-Request-ID`` where it is well formed, else a new one."""
    environ = request.environ
    found: str | None = environ.get(_KEPT)
    if found is None:
        sent = environ.get("HTTP_X_REQUEST_ID", "")
        found = environ[_KEPT] = sent if REQUEST_ID.fullmatch(sent) else os.urandom(16).hex()
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
    """Set what every answer bears: its request's id, and that nobody may keep it, or guess its type."""
    answer.headers["X-Request-ID"] = request_id()
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer
