"""The errors of the client.

ProvisioningError
├── ProvisioningProblem     the API refused the request: a class for each status, below it one for each code
├── SignInFailed            the API gave no token for the credentials of an API client
├── UnexpectedResponse      the response was not the API's: a proxy's page, another server, a redirect
└── ConnectionFailed        there was no response
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class ProvisioningError(Exception):
    """Root of all errors of the client."""

    #: Seconds after which the API asks to try again; None if it does not.
    retry_after: float | None = None


class ProvisioningProblem(ProvisioningError):
    """A problem document of the API (RFC 9457).

    `except TenantExists` catches one code, `except Conflict` all codes of the status 409. A code that this version of
    the client does not know is raised as the class of its status, and a status that it does not know as this class.
    """

    #: What to do, as the API documents it.
    remedy: ClassVar[str] = ""
    #: The status of the response, and the stable name of the problem.
    status: int = 0
    code: str = ""
    title: str = ""

    def __init__(self, document: Mapping[str, Any], retry_after: float | None = None) -> None:
        #: The whole problem document. Its further members are attributes of the classes that have them.
        self.document = document
        self.status, self.code = int(document["status"]), str(document["code"])
        self.title, self.detail = str(document["title"]), str(document["detail"])
        #: The request's id, to quote to the operator.
        self.request_id: str | None = document.get("request_id")
        #: Every error in the input, each with its `pointer`, `code` and `detail`.
        self.errors: Sequence[Mapping[str, str]] = document.get("errors", ())
        self.retry_after = retry_after
        super().__init__(self._make_message())

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.document, self.retry_after)

    def _make_message(self) -> str:
        lines = [f"{self.status} {self.code}: {self.detail}"]
        lines += [f"  {error.get('pointer')}: {error.get('detail')}" for error in self.errors]
        if omitted := self.document.get("errors_omitted"):
            lines.append(f"  and {omitted} more")
        if advice := ADVICE.get(self.code, self.remedy):
            lines.append(f"What to do: {advice}")
        if self.request_id:
            lines.append(f"Request id: {self.request_id}")
        return "\n".join(lines)


#: What to do with this client, where the API's own advice speaks of headers that the client sends by itself.
ADVICE: Mapping[str, str] = {
    "precondition-failed": (
        "Nothing was written, since the resource was changed after you read it. Read it again with `get`, decide "
        "whether your change still applies, and repeat the call with what you have read."
    ),
    "precondition-required": (
        "This API takes no write without a version. Pass the object that you have read instead of its id."
    ),
    "idempotency-in-progress": "The same call still runs. Repeat it with the same `idempotency_key` in a moment.",
    "cursor-expired": (
        "Events were removed before they were read. Read all tenants with `tenants.list()`, then follow the feed from "
        "its beginning, without `after`."
    ),
    "webhook-disabled": "Enable it first: `webhooks.update(webhook, enabled=True)`.",
}


class UnexpectedResponse(ProvisioningError):
    """The response is none of the API: check `base_url`, and what stands between you and the API."""

    def __init__(self, status: int, content_type: str, text: str, retry_after: float | None = None) -> None:
        self.status = status
        self.content_type = content_type
        #: The beginning of the body, or the reason.
        self.text = text[:500]
        self.retry_after = retry_after
        beginning = " ".join(self.text[:200].split())
        super().__init__(
            f"Unexpected response: {status}, {content_type or 'no content type'}: {beginning}\n"
            "What to do: Check `base_url`, and what stands between you and the API, such as a proxy."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.status, self.content_type, self.text, self.retry_after)


class SignInFailed(ProvisioningError):
    """The token endpoint refused the credentials of an API client (RFC 6749 §5.2)."""

    def __init__(self, status: int, error: str, description: str, retry_after: float | None = None) -> None:
        self.status = status
        #: OAuth's code, such as ``invalid_client`` or ``invalid_scope``, and its explanation.
        self.error, self.description = error, description
        self.retry_after = retry_after
        super().__init__(f"No access token: {status} {error}: {description}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.status, self.error, self.description, self.retry_after)


class ConnectionFailed(ProvisioningError):
    """There was no response."""

    def __init__(self, reason: str, *, was_sent: bool) -> None:
        self.reason = reason
        #: True if the request may have reached the API, which may have carried it out.
        self.was_sent = was_sent
        super().__init__(f"No response: {reason}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _make_connection_failed, (self.reason, self.was_sent)


def _make_connection_failed(reason: str, was_sent: bool) -> ConnectionFailed:
    return ConnectionFailed(reason, was_sent=was_sent)
