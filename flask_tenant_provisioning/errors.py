"""The errors that the API returns as problem documents (RFC 9457).

Each class has one code, one status, one title and one remedy, all of which are documented at ``GET /problems/{code}``.

ProvisioningError           internal-error
├── InvalidInput            validation-error, malformed-json, invalid-parameter, invalid-cursor,
│                           invalid-idempotency-key, malformed-upload
├── Unauthenticated         authentication-required, invalid-token, token-expired
├── Forbidden               insufficient-permission, quota-exceeded, license-expired, partner-suspended,
│                           partner-missing, partner-not-registered, plan-not-allowed
├── NotFound                not-found, tenant-not-found, webhook-not-found, delivery-not-found,
│                           bulk-job-not-found, partner-not-found, settings-version-not-found
├── CursorExpired           cursor-expired
├── Conflict                tenant-exists, invalid-state, webhook-disabled, duplicate-row,
│                           idempotency-in-progress, plan-limit-exceeded, settings-outdated
├── IdempotencyKeyReused    idempotency-key-reused
├── Refused                 method-not-allowed, not-acceptable, precondition-failed,
│                           precondition-required, body-too-large, body-too-slow, upload-too-large,
│                           upload-too-slow, unsupported-media-type, rate-limited, too-many-long-requests
├── SecretUnavailable       secret-unavailable
├── ServerBusy              server-busy
└── StorageUnavailable      storage-unavailable
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple


class Fault(NamedTuple):
    """One thing wrong with the input: a stable code and a sentence. Where it stands is the pointer's business."""

    code: str
    detail: str


class ProvisioningError(Exception):
    """Root of every error that this package answers over HTTP as a problem document (RFC 9457)."""

    code: ClassVar[str] = "internal-error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    #: What the caller of the API can do about it; shown at ``GET /problems/{code}``.
    remedy: ClassVar[str] = "Report the request id to the operator of this API."
    #: Whether it is one host's own, and stands in the catalogue of its mounts alone.
    of_host: ClassVar[bool] = False
    #: Whether a repeated request with the same ``Idempotency-Key`` is to meet it again, where its status is final.
    lasting = True

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or f"{self.title}."
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.members = members


def iter_problem_classes(root: type[ProvisioningError] = ProvisioningError) -> Iterator[type[ProvisioningError]]:
    """Every class of problem of this package, the root first, one per code."""
    if root.of_host:
        return
    yield root
    for child in root.__subclasses__():
        yield from iter_problem_classes(child)


class InvalidInput(ProvisioningError):
    """What came in is wrong (400); `errors` lists all of it at once, each with an RFC 6901 pointer."""

    status = 400
    code = "validation-error"
    title = "Invalid input"
    remedy = "Correct each field that `errors` points at and send the request again."


class MalformedJSON(InvalidInput):
    """The body is not one JSON value that every parser would read alike."""

    code = "malformed-json"
    title = "Malformed JSON"
    remedy = (
        "Send one JSON value in UTF-8: no duplicate keys, no NaN or Infinity, no lone surrogates or NUL characters, "
        "integers within 64 bits, nesting of 32 levels at most."
    )


class InvalidParameter(InvalidInput):
    """The query asks for something that this operation does not know, or in a way that it does not take."""

    code = "invalid-parameter"
    title = "Invalid query parameter"
    remedy = "Correct or remove the query parameters that `errors` names."


class InvalidCursor(InvalidInput):
    """The cursor was changed, or was made for another list: other filters, another order, another partner."""

    code = "invalid-cursor"
    title = "Invalid cursor"
    remedy = "Use `next` as it was answered, with the same filters and sort; start again without `cursor` otherwise."


class InvalidIdempotencyKey(InvalidInput):
    """The header `Idempotency-Key` holds no key."""

    code = "invalid-idempotency-key"
    title = "Invalid Idempotency-Key"
    remedy = "Send one key of 1 to 255 printable ASCII characters, bare or in double quotes."


class Unauthenticated(ProvisioningError):
    """Nobody proved who is calling (401), with an RFC 6750 challenge."""

    status = 401
    code = "authentication-required"
    title = "Authentication required"
    remedy = "Send a bearer token in the `Authorization` header."


class InvalidToken(Unauthenticated):
    """The token does not prove who is calling."""

    code = "invalid-token"
    title = "Invalid token"
    remedy = "Obtain a new token: this one is malformed, forged, revoked, or not meant for this API."


class TokenExpired(Unauthenticated):
    """The token was good once; its time is over."""

    code = "token-expired"
    title = "Token expired"
    remedy = "Obtain a new token and send the request again."


class Forbidden(ProvisioningError):
    """Who calls may not do this (403)."""

    status = 403
    code = "insufficient-permission"
    title = "Insufficient permission"
    remedy = "Ask your administrator for a role that grants the permissions in `required`."


class PartnerMissing(Forbidden):
    """The token does not name the partner on whose behalf its bearer calls."""

    code = "partner-missing"
    title = "Partner missing"
    remedy = "Obtain a token with the claim that `claim` names; an administrator can name a partner with `?partner=`."


class PartnerSuspended(Forbidden):
    """The operator has suspended the partner: none of its requests is let pass."""

    code = "partner-suspended"
    title = "Partner suspended"
    remedy = "Ask the operator why; your tenants stay as they are meanwhile."


class PartnerNotRegistered(Forbidden):
    """The operator has not registered the partner that the token names."""

    code = "partner-not-registered"
    title = "Partner not registered"
    remedy = "Ask the operator to register you, under the partner that your token names."


class QuotaExceeded(Forbidden):
    """There are as many tenants, webhooks, or bulk jobs under way, as are allowed."""

    code = "quota-exceeded"
    title = "Quota exceeded"
    remedy = "Delete what is no longer needed, or ask the operator for a larger quota."


class PlanNotAllowed(Forbidden):
    """The operator lets the partner put tenants on other plans alone."""

    code = "plan-not-allowed"
    title = "Plan not allowed"
    remedy = "Choose one of the plans in `allowed`, or ask the operator for this one."


class LicenseExpired(Forbidden):
    """The operator's licence for this API has ended, and its days of grace too."""

    code = "license-expired"
    title = "Licence expired"
    remedy = "The operator must renew the licence; reading, suspending and deleting go on meanwhile."


class NotFound(ProvisioningError):
    """There is nothing at this address (404)."""

    status = 404
    code = "not-found"
    title = "Not found"
    remedy = "Check the path against the API's documentation."


class TenantNotFound(NotFound):
    """There is no such tenant: it never was, was purged, or belongs to another partner."""

    code = "tenant-not-found"
    title = "Tenant not found"
    remedy = "Check the id: there is no such tenant among those that you may see."


class PartnerNotFound(NotFound):
    """There is no such partner, or not for this caller, which look the same."""

    code = "partner-not-found"
    title = "Partner not found"
    remedy = "Check the id: there is no such partner among those that you may see."


class WebhookNotFound(NotFound):
    """There is no such webhook: it never was, was deleted, or belongs to another partner."""

    code = "webhook-not-found"
    title = "Webhook not found"
    remedy = "Check the id: there is no such webhook among those that you may see."


class DeliveryNotFound(NotFound):
    """There is no such delivery: it never was, went with its webhook, or belongs to another partner."""

    code = "delivery-not-found"
    title = "Delivery not found"
    remedy = "Check the id: there is no such delivery among those that you may see."


class SettingsVersionNotFound(NotFound):
    """There is no such version of these settings: it never was, or is older than those that are kept."""

    code = "settings-version-not-found"
    title = "No such version of the settings"
    remedy = "Choose one that the history of these settings lists."


class CursorExpired(ProvisioningError):
    """The cursor of the feed is older than what is kept (410): events that its reader has not seen are gone."""

    code = "cursor-expired"
    status = 410
    title = "Cursor expired"
    remedy = "Read your tenants anew with `GET /tenants`, then follow the feed from its beginning, without `after`."


class BulkJobNotFound(NotFound):
    """There is no such bulk job, or not for this caller, which look the same."""

    code = "bulk-job-not-found"
    title = "No such bulk job"
    remedy = "Check the id. Jobs are removed some time after they have ended."


class Conflict(ProvisioningError):
    """The request does not fit the present state (409)."""

    status = 409
    code = "conflict"
    title = "Conflict"
    remedy = "Read the resource again and decide anew."


class TenantExists(Conflict):
    """Another tenant of the same partner holds an email or external id that must be unique."""

    code = "tenant-exists"
    title = "Tenant exists already"
    remedy = "`field` names what is taken. Use the tenant in `conflicting_tenant`, or choose another value."


class InvalidState(Conflict):
    """The tenant, or the bulk job, is in a state in which this cannot be done to it."""

    code = "invalid-state"
    title = "Not possible in this state"
    remedy = (
        "The state that `detail` names does not allow this. "
        "A deleted tenant can only be read, restored and purged; a bulk job that has ended stays as it is."
    )


class PlanLimitExceeded(Conflict):
    """The tenant uses more than the plan that it is to be put on allows."""

    code = "plan-limit-exceeded"
    title = "Plan limit exceeded"
    remedy = "Let the tenant use less of what `limits` names, or choose a plan that allows as much."


class WebhookDisabled(Conflict):
    """Nothing is sent to a webhook that is disabled."""

    code = "webhook-disabled"
    title = "Webhook disabled"
    remedy = "Enable the webhook first: `PATCH` it with `enabled: true`."


class SettingsOutdated(Conflict):
    """What an earlier version of the settings held is not valid any more: its rules have changed since."""

    code = "settings-outdated"
    title = "Settings of another time"
    remedy = "`errors` says what is no longer valid. Send the settings that you want instead."


class IdempotencyInProgress(Conflict):
    """The first request with this Idempotency-Key has not been answered yet."""

    code = "idempotency-in-progress"
    title = "Still in progress"
    remedy = "Repeat the request with the same key after `Retry-After` seconds."


class IdempotencyKeyReused(ProvisioningError):
    """The Idempotency-Key was used for another request (422)."""

    status = 422
    code = "idempotency-key-reused"
    title = "Idempotency-Key reused"
    remedy = "Use a new key for each new request; the same key is for repeating the very same one."


class DuplicateRow(Conflict):
    """An earlier row of the same upload means the same tenant."""

    code = "duplicate-row"
    title = "Another row means the same tenant"
    remedy = "Leave one row a tenant in the upload: `first_row` is the one that counted."


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


class MalformedUpload(InvalidInput):
    """What are the upload's rows cannot be told (400): it breaks off, or a JSON array, a table or a gzip is broken."""

    code = "malformed-upload"
    title = "Malformed upload"
    remedy = "Correct the file, at `line` where that is named, and send it again: nothing of it was kept."


class UploadTooLarge(BodyTooLarge):
    """The upload, or a row of it, passes a limit (413)."""

    code = "upload-too-large"
    title = "Upload too large"
    remedy = "Send several smaller uploads; `detail` states the limit. Nothing of this one was kept."


class UploadTooSlow(BodyTooSlow):
    """The upload comes too slowly, pauses for too long, or takes too long in all (408)."""

    code = "upload-too-slow"
    title = "Upload too slow"
    remedy = "Send the upload again, packed with gzip or in smaller parts: nothing of it was kept."


class SecretUnavailable(ProvisioningError):
    """A secret in the database cannot be opened: the operator's encryption key for it is missing (503)."""

    status = 503
    code = "secret-unavailable"
    title = "Secret unavailable"
    remedy = "The operator must give `PROVISIONING_ENCRYPTION_KEYS` the key back; or have a new secret made."

    def __init__(self, detail: str | None = None, **members: Any) -> None:
        members.setdefault("headers", {"Retry-After": "60"})
        super().__init__(detail, **members)


class StorageUnavailable(ProvisioningError):
    """The database is unreachable, busy beyond patience, or its tables are missing (503)."""

    status = 503
    code = "storage-unavailable"
    title = "Storage unavailable"
    remedy = "Repeat the request after `Retry-After` seconds."

    def __init__(self, detail: str | None = None, **members: Any) -> None:
        members.setdefault("headers", {"Retry-After": "2"})
        super().__init__(detail or "The database does not answer at the moment.", **members)


class ServerBusy(ProvisioningError):
    """As many slow bodies, uploads, progress streams and downloads are under way as the server can hold (503)."""

    status = 503
    code = "server-busy"
    title = "Server busy"
    remedy = "Repeat the request after `Retry-After` seconds."

    def __init__(self, detail: str | None = None, **members: Any) -> None:
        members.setdefault("headers", {"Retry-After": "5"})
        super().__init__(detail or "The server has as many long requests under way as it can hold.", **members)
