"""What HTTP itself forbids."""

from __future__ import annotations

from typing import Any

from .root import ProvisioningError


class Refused(ProvisioningError):
    """HTTP itself forbids it: the method, the media type, the size or a precondition (4xx)."""

    status = 400
    code = "bad-request"
    title = "Bad request"
    remedy = "Send a well-formed HTTP request."

    def __init__(self, detail: str | None = None, *, status: int | None = None, **members: Any) -> None:
        super().__init__(detail, **members)
        if status is not None:
            self.status = status  # type: ignore[misc]


class MethodNotAllowed(Refused):
    """There is something at this path, but not for this method."""

    status = 405
    code = "method-not-allowed"
    title = "Method not allowed"
    remedy = "Use one of the methods in the `Allow` header."


class NotAcceptable(Refused):
    """The header `Accept` admits none of the media types in which this can be answered."""

    status = 406
    code = "not-acceptable"
    title = "Not acceptable"
    remedy = "Accept one of the media types in which this is answered: mostly `application/json` alone."


class PreconditionFailed(Refused):
    """The resource is not in the version that `If-Match` or `If-None-Match` demands."""

    status = 412
    code = "precondition-failed"
    title = "Precondition failed"
    remedy = "Read the resource again and repeat with its new ETag; `detail` says where the tag itself was changed."


class PreconditionRequired(Refused):
    """This API takes writes only from callers who say which version they have seen."""

    status = 428
    code = "precondition-required"
    title = "Precondition required"
    remedy = "Read the resource and send its ETag in `If-Match`."


class BodyTooLarge(Refused):
    """The body is larger than this API takes."""

    status = 413
    code = "body-too-large"
    title = "Body too large"
    remedy = "Send less than `limit` bytes."


class BodyTooSlow(Refused):
    """The body takes too long to arrive (408)."""

    status = 408
    code = "body-too-slow"
    title = "Body too slow"
    remedy = "Send the request again over a faster connection; `detail` states what arrived in which time."


class UnsupportedMediaType(Refused):
    """The body is of a media type, or in an encoding, that this operation does not take."""

    status = 415
    code = "unsupported-media-type"
    title = "Unsupported media type"
    remedy = "Send the body as one of the media types in `accepted`, in an encoding of `Accept-Encoding`, else plain."


class RateLimited(Refused):
    """The partner has sent more requests than it may in this time; `violated-policies` names the limit."""

    status = 429
    code = "rate-limited"
    title = "Too many requests"
    remedy = "Send it again after `Retry-After` seconds. The header `RateLimit` of other answers says what is left."


class TooManyLongRequests(Refused):
    """The partner has as many slow bodies, uploads, progress streams and downloads under way as it may (429)."""

    status = 429
    code = "too-many-long-requests"
    title = "Too many long requests"
    remedy = "Wait until one of your uploads, streams or downloads has ended, at least `Retry-After` seconds."
