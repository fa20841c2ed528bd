"""Read a response: the result of a call, or the error that explains why there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from .errors import ProvisioningError, ProvisioningProblem, UnexpectedResponse
from .generated.problems import BY_CODE, BY_STATUS
from .operations import Call

T = TypeVar("T")

PROBLEM = "application/problem+json"
_MEMBERS = {"status": int, "code": str, "title": str, "detail": str}


@dataclass(frozen=True)
class Reply:
    """A whole response. The names of the headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes = b""

    @property
    def content_type(self) -> str:
        """Return the media type without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def read_result(call: Call[T], reply: Reply) -> T:
    """Return the result of a call.

    Raises `ProvisioningProblem` if the API has refused it, and `UnexpectedResponse` if the response is not the API's.
    """
    if not 200 <= reply.status < 300:
        raise read_failure(reply)
    if not reply.content:
        return _read_absence(call, reply)
    document = _parse_object(reply)
    if document is None or reply.content_type != "application/json":
        raise _make_unexpected(reply)
    try:
        return call.operation.read(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"not the document that {call.operation.name} returns ({type(error).__name__}: {error})"
        raise UnexpectedResponse(reply.status, reply.content_type, reason) from error


def read_failure(reply: Reply) -> ProvisioningError:
    """Return the error that a response without success stands for."""
    retry_after = parse_retry_after(reply.headers)
    document = _parse_object(reply) if reply.content_type == PROBLEM else None
    if document is None or not all(isinstance(document.get(name), kind) for name, kind in _MEMBERS.items()):
        return _make_unexpected(reply, retry_after)
    return make_problem(document, retry_after)


def make_problem(document: Mapping[str, Any], retry_after: float | None = None) -> ProvisioningProblem:
    """Return the exception of a problem document: the class of its code, else of its status, else the root."""
    by_status = BY_STATUS.get(document["status"], ProvisioningProblem)
    return BY_CODE.get(document["code"], by_status)(document, retry_after)


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that ``Retry-After`` asks to wait (RFC 9110 §10.2.3); None without it, or if it is malformed.

    A date is compared with the ``Date`` of the response, so that the clock of this machine does not matter.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        seconds = (parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
    except (TypeError, ValueError):
        return None
    return max(0.0, seconds)


def _read_absence(call: Call[T], reply: Reply) -> T:
    """Return None as the result of an operation that may return nothing."""
    if not call.operation.is_empty:
        raise _make_unexpected(reply)
    return None  # type: ignore[return-value]


def _parse_object(reply: Reply) -> dict[str, Any] | None:
    try:
        document = json.loads(reply.content)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _make_unexpected(reply: Reply, retry_after: float | None = None) -> UnexpectedResponse:
    text = reply.content[:500].decode("utf-8", "replace")
    if 300 <= reply.status < 400:
        target = urlsplit(reply.headers.get("location", ""))
        place = f"{target.scheme}://{target.hostname}" if target.hostname else "another path"
        text = f"a redirect to {place}; it is not followed, since the token is for base_url alone"
    return UnexpectedResponse(reply.status, reply.content_type, text, retry_after)
