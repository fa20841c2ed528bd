"""The errors that the API returns as problem documents (RFC 9457).

Each class has one code, one status, one title, one remedy and those who can apply it, all of which are documented at
``GET /problems/{code}``.
The code of a branch is the first on its line; the codes after it belong to its subclasses, in their order below.

ProvisioningError           internal-error
├── InvalidInput            validation-error, malformed-json, invalid-parameter, invalid-cursor,
│                           invalid-idempotency-key, malformed-upload
├── Unauthenticated         authentication-required, invalid-token, token-expired
├── Forbidden               insufficient-permission, address-not-allowed, partner-missing,
│                           partner-suspended, partner-not-registered, quota-exceeded, plan-not-allowed,
│                           license-expired
├── NotFound                not-found, tenant-not-found, partner-not-found, webhook-not-found,
│                           delivery-not-found, client-not-found, settings-version-not-found,
│                           bulk-job-not-found, invitation-not-found
├── CursorExpired           cursor-expired
├── Conflict                conflict, tenant-exists, invalid-state, plan-limit-exceeded, webhook-disabled,
│                           settings-outdated, idempotency-in-progress, duplicate-row, invitation-exists,
│                           invitations-unavailable
├── IdempotencyKeyReused    idempotency-key-reused
├── Refused                 bad-request, method-not-allowed, not-acceptable, precondition-failed,
│                           precondition-required, body-too-large, upload-too-large, body-too-slow,
│                           upload-too-slow, unsupported-media-type, rate-limited, too-many-long-requests
├── SecretUnavailable       secret-unavailable
├── StorageUnavailable      storage-unavailable
└── ServerBusy              server-busy
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple


class Fault(NamedTuple):
    """One fault in the input: a stable code and a sentence. The pointer that goes with it says where."""

    code: str
    detail: str


class Mender(StrEnum):
    """A person who can mend what a problem is about."""

    #: The developer of the partner's integration: by another request, or by waiting.
    PARTNER = "partner"
    #: The administrator who gives the partner's people and programs their roles and tokens.
    PARTNER_ADMINISTRATOR = "partner-administrator"
    #: The operator of the host: by a setting, a quota, a licence, or a repair.
    OPERATOR = "operator"


class ProvisioningError(Exception):
    """Root of all errors that the API returns as problem documents (RFC 9457)."""

    #: The stable name of the problem, on which clients may rely.
    code: ClassVar[str] = "internal-error"
    #: The HTTP status of the response.
    status: ClassVar[int] = 500
    #: The problem in a few words, the same for each occurrence.
    title: ClassVar[str] = "Internal error"
    #: The advice to the caller of the API; shown at ``GET /problems/{code}``.
    remedy: ClassVar[str] = "Report the request id to the operator of this API."
    #: Who can mend it, the first choice first; shown with the remedy.
    mended_by: ClassVar[tuple[Mender, ...]] = (Mender.OPERATOR,)
    #: True for a class made by `TenantProvisioning.map_error`; only that host's mounts list it.
    is_host_error: ClassVar[bool] = False
    #: True if the response to a final status is stored and returned again for the same ``Idempotency-Key``.
    is_replayable = True

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail or self.title)
        #: A sentence about this occurrence, by default the title.
        self.detail = detail or f"{self.title}."
        #: Every fault in the input, each with its `code`, its `detail` and a JSON pointer (RFC 6901).
        self.errors = list(errors)
        #: Headers that are added to the response.
        self.headers = dict(headers or {})
        #: Further members of the problem document, by name.
        self.members = members


def iter_problem_classes(root: type[ProvisioningError] = ProvisioningError) -> Iterator[type[ProvisioningError]]:
    """Iterate over `root` and all its subclasses in this package, one per code; classes made for a host are skipped."""
    if root.is_host_error:
        return
    yield root
    for child in root.__subclasses__():
        yield from iter_problem_classes(child)


class InvalidInput(ProvisioningError):
    """The input is invalid (400); `errors` lists every fault, each with a JSON pointer (RFC 6901)."""

    status = 400
    code = "validation-error"
    title = "Invalid input"
    remedy = "Correct each field that `errors` points at and send the request again."
    mended_by = (Mender.PARTNER,)


class MalformedJSON(InvalidInput):
    """The body is not a single JSON value that every parser reads alike."""

    code = "malformed-json"
    title = "Malformed JSON"
    remedy = (
        "Send one JSON value in UTF-8: no duplicate keys, no NaN or Infinity, no lone surrogates or NUL characters, "
        "integers within 64 bits, nesting of 32 levels at most."
    )


class InvalidParameter(InvalidInput):
    """A query parameter is unknown to this operation or has an invalid value."""

    code = "invalid-parameter"
    title = "Invalid query parameter"
    remedy = "Correct or remove the query parameters that `errors` names."


class InvalidCursor(InvalidInput):
    """The cursor was altered or belongs to another list: other filters, another order or another partner."""

    code = "invalid-cursor"
    title = "Invalid cursor"
    remedy = (
        "Send `next` exactly as it was returned, with the same filters and sort; otherwise restart without `cursor`."
    )


class InvalidIdempotencyKey(InvalidInput):
    """The header `Idempotency-Key` holds no valid key."""

    code = "invalid-idempotency-key"
    title = "Invalid Idempotency-Key"
    remedy = "Send one key of 1 to 255 printable ASCII characters, bare or in double quotes."


class MalformedUpload(InvalidInput):
    """The upload cannot be split into rows (400): it is truncated, or its JSON array, table or gzip data is broken."""

    code = "malformed-upload"
    title = "Malformed upload"
    remedy = "Correct the file, at `line` if it is given, and send it again: nothing of it was stored."


class Unauthenticated(ProvisioningError):
    """The request is not authenticated (401); the response carries an RFC 6750 challenge."""

    status = 401
    code = "authentication-required"
    title = "Authentication required"
    remedy = "Send a bearer token in the `Authorization` header."
    mended_by: ClassVar[tuple[Mender, ...]] = (Mender.PARTNER,)


class InvalidToken(Unauthenticated):
    """The token is not valid for this API."""

    code = "invalid-token"
    title = "Invalid token"
    remedy = "Obtain a new token: this one is malformed, forged, revoked, or not meant for this API."
    mended_by = (Mender.PARTNER, Mender.PARTNER_ADMINISTRATOR)


class TokenExpired(Unauthenticated):
    """The token was valid and has expired."""

    code = "token-expired"
    title = "Token expired"
    remedy = "Obtain a new token and send the request again."


class Forbidden(ProvisioningError):
    """The caller lacks a permission (403)."""

    status = 403
    code = "insufficient-permission"
    title = "Insufficient permission"
    remedy = "Ask your administrator for a role that grants the permissions in `required`."
    mended_by: ClassVar[tuple[Mender, ...]] = (Mender.PARTNER_ADMINISTRATOR,)


class AddressNotAllowed(Forbidden):
    """The API client may not be used at the address that the request came from."""

    code = "address-not-allowed"
    title = "Address not allowed"
    remedy = "Send the request from one of the client's `networks`, or add the network of this address to them."
    mended_by = (Mender.PARTNER, Mender.PARTNER_ADMINISTRATOR)


class PartnerMissing(Forbidden):
    """The token does not name the partner on whose behalf the caller acts."""

    code = "partner-missing"
    title = "Partner missing"
    remedy = "Obtain a token with the claim that `claim` names; an administrator can name a partner with `?partner=`."
    mended_by = (Mender.PARTNER_ADMINISTRATOR, Mender.OPERATOR)


class PartnerSuspended(Forbidden):
    """The operator has suspended the partner: all its requests are refused."""

    code = "partner-suspended"
    title = "Partner suspended"
    remedy = "Ask the operator for the reason; your tenants are not changed while you are suspended."
    mended_by = (Mender.OPERATOR,)


class PartnerNotRegistered(Forbidden):
    """The operator has not registered the partner that the token names."""

    code = "partner-not-registered"
    title = "Partner not registered"
    remedy = "Ask the operator to register the partner that your token names."
    mended_by = (Mender.OPERATOR,)


class QuotaExceeded(Forbidden):
    """The quota of tenants, webhooks, API clients, open invitations or unfinished bulk jobs is used up."""

    code = "quota-exceeded"
    title = "Quota exceeded"
    remedy = "Delete what you no longer need, or ask the operator for a larger quota."
    mended_by = (Mender.PARTNER, Mender.OPERATOR)


class PlanNotAllowed(Forbidden):
    """The operator does not allow this partner to use the plan."""

    code = "plan-not-allowed"
    title = "Plan not allowed"
    remedy = "Choose one of the plans in `allowed`, or ask the operator to allow this one."
    mended_by = (Mender.PARTNER, Mender.OPERATOR)


class LicenseExpired(Forbidden):
    """The operator's licence for this API has expired, and its grace period is over."""

    code = "license-expired"
    title = "Licence expired"
    remedy = "The operator must renew the licence; reading, suspending and deleting still work."
    mended_by = (Mender.OPERATOR,)


class NotFound(ProvisioningError):
    """There is nothing at this address (404)."""

    status = 404
    code = "not-found"
    title = "Not found"
    remedy = "Check the path against the API's documentation."
    mended_by = (Mender.PARTNER,)


class TenantNotFound(NotFound):
    """The tenant does not exist: the id is unknown, was purged, or belongs to another partner."""

    code = "tenant-not-found"
    title = "Tenant not found"
    remedy = "Check the id: there is no such tenant among those that you may see."


class PartnerNotFound(NotFound):
    """The partner does not exist, or this caller may not see it; both look the same."""

    code = "partner-not-found"
    title = "Partner not found"
    remedy = "Check the id: there is no such partner among those that you may see."


class WebhookNotFound(NotFound):
    """The webhook does not exist: the id is unknown, was deleted, or belongs to another partner."""

    code = "webhook-not-found"
    title = "Webhook not found"
    remedy = "Check the id: there is no such webhook among those that you may see."


class DeliveryNotFound(NotFound):
    """The delivery does not exist: the id is unknown, was deleted with its webhook, or belongs to another partner."""

    code = "delivery-not-found"
    title = "Delivery not found"
    remedy = "Check the id: there is no such delivery among those that you may see."


class ClientNotFound(NotFound):
    """The API client does not exist: the id is unknown, was deleted, or belongs to another partner."""

    code = "client-not-found"
    title = "Client not found"
    remedy = "Check the id: there is no such client among those that you may see."


class SettingsVersionNotFound(NotFound):
    """The settings have no such version, or it is older than the versions that are kept."""

    code = "settings-version-not-found"
    title = "Settings version not found"
    remedy = "Choose a version that the history of these settings lists."


class BulkJobNotFound(NotFound):
    """The bulk job does not exist, or this caller may not see it; both look the same."""

    code = "bulk-job-not-found"
    title = "Bulk job not found"
    remedy = "Check the id. Jobs are removed some time after they have finished."


class InvitationNotFound(NotFound):
    """The invitation does not exist: the id is unknown, or belongs to another tenant."""

    code = "invitation-not-found"
    title = "Invitation not found"
    remedy = "Check the id: there is no such invitation among those of this tenant."


class CursorExpired(ProvisioningError):
    """The feed's cursor is older than the events that are kept (410): its reader has missed events."""

    code = "cursor-expired"
    status = 410
    title = "Cursor expired"
    remedy = "Read all your tenants again with `GET /tenants`, then read the feed from its beginning, without `after`."
    mended_by = (Mender.PARTNER,)


class Conflict(ProvisioningError):
    """The request conflicts with the current state (409)."""

    status = 409
    code = "conflict"
    title = "Conflict"
    remedy = "Read the resource again and repeat the request if it still applies."
    mended_by = (Mender.PARTNER,)


class TenantExists(Conflict):
    """Another tenant of the same partner has this email or external id, which must be unique."""

    code = "tenant-exists"
    title = "Tenant already exists"
    remedy = "`field` names the value that is taken. Use the tenant in `conflicting_tenant`, or choose another value."


class InvalidState(Conflict):
    """The operation is not possible in the current state of the tenant, job, API client or invitation."""

    code = "invalid-state"
    title = "Invalid state"
    remedy = (
        "The state that `detail` names does not allow this. "
        "A deleted tenant can only be read, restored and purged; a finished bulk job and an accepted invitation "
        "cannot be changed; a client that authenticates by a key of its own has no secret."
    )


class PlanLimitExceeded(Conflict):
    """The tenant uses more than the new plan allows."""

    code = "plan-limit-exceeded"
    title = "Plan limit exceeded"
    remedy = "Reduce the usage that `limits` names, or choose a plan that allows it."


class WebhookDisabled(Conflict):
    """The webhook is disabled: nothing is sent to it."""

    code = "webhook-disabled"
    title = "Webhook disabled"
    remedy = "Enable the webhook first: `PATCH` it with `enabled: true`."


class SettingsOutdated(Conflict):
    """An earlier version of the settings is no longer valid, because the rules have changed since."""

    code = "settings-outdated"
    title = "Settings outdated"
    remedy = "`errors` lists what is no longer valid. Send the settings that you want instead."


class IdempotencyInProgress(Conflict):
    """The first request with this `Idempotency-Key` has not finished yet."""

    code = "idempotency-in-progress"
    title = "Request in progress"
    remedy = "Repeat the request with the same key after `Retry-After` seconds."


class DuplicateRow(Conflict):
    """An earlier row of the same upload is for the same tenant."""

    code = "duplicate-row"
    title = "Duplicate row"
    remedy = "Keep one row for each tenant in the upload: `first_row` is the one that was used."


class InvitationExists(Conflict):
    """The tenant has an open invitation for this email address."""

    code = "invitation-exists"
    title = "Invitation already exists"
    remedy = "Resend the invitation in `conflicting_invitation`, or revoke it first."


class InvitationsUnavailable(Conflict):
    """This service sends no invitations: the application has no function that sends invitations."""

    code = "invitations-unavailable"
    title = "Invitations unavailable"
    remedy = "Give the tenant's administrator access in another way, or ask the operator to turn invitations on."
    mended_by = (Mender.OPERATOR,)
    is_replayable = False


class IdempotencyKeyReused(ProvisioningError):
    """The `Idempotency-Key` was used before for a different request (422)."""

    status = 422
    code = "idempotency-key-reused"
    title = "Idempotency-Key reused"
    remedy = "Use a new key for each new request; reuse a key only to repeat exactly the same request."
    mended_by = (Mender.PARTNER,)


class Refused(ProvisioningError):
    """The request violates HTTP: its method, media type, size or a precondition (4xx)."""

    status = 400
    code = "bad-request"
    title = "Bad request"
    remedy = "Send a well-formed HTTP request."
    mended_by: ClassVar[tuple[Mender, ...]] = (Mender.PARTNER,)

    def __init__(self, detail: str | None = None, *, status: int | None = None, **members: Any) -> None:
        super().__init__(detail, **members)
        if status is not None:
            self.status = status  # type: ignore[misc]


class MethodNotAllowed(Refused):
    """The path exists, but not for this method."""

    status = 405
    code = "method-not-allowed"
    title = "Method not allowed"
    remedy = "Use one of the methods in the `Allow` header."


class NotAcceptable(Refused):
    """The header `Accept` admits none of the media types that this operation can return."""

    status = 406
    code = "not-acceptable"
    title = "Not acceptable"
    remedy = "Accept a media type that this operation returns, in most cases `application/json`."


class PreconditionFailed(Refused):
    """The resource's version does not satisfy `If-Match` or `If-None-Match`."""

    status = 412
    code = "precondition-failed"
    title = "Precondition failed"
    remedy = "Read the resource again and repeat with its new ETag; `detail` says if the tag itself was altered."


class PreconditionRequired(Refused):
    """This API accepts a write only with `If-Match`, which prevents lost updates."""

    status = 428
    code = "precondition-required"
    title = "Precondition required"
    remedy = "Read the resource and send its ETag in `If-Match`."


class BodyTooLarge(Refused):
    """The body is larger than this API accepts."""

    status = 413
    code = "body-too-large"
    title = "Body too large"
    remedy = "Send less than `limit` bytes."


class UploadTooLarge(BodyTooLarge):
    """The upload, or one of its rows, exceeds a limit (413)."""

    code = "upload-too-large"
    title = "Upload too large"
    remedy = "Send several smaller uploads; `detail` states the limit. Nothing of this one was stored."


class BodyTooSlow(Refused):
    """The body takes too long to arrive (408)."""

    status = 408
    code = "body-too-slow"
    title = "Body too slow"
    remedy = "Send the request again over a faster connection; `detail` states how much arrived in how much time."


class UploadTooSlow(BodyTooSlow):
    """The upload arrives too slowly, pauses for too long, or takes too long in total (408)."""

    code = "upload-too-slow"
    title = "Upload too slow"
    remedy = "Send the upload again, compressed with gzip or in smaller parts: nothing of it was stored."


class UnsupportedMediaType(Refused):
    """The operation does not accept the body's media type or encoding."""

    status = 415
    code = "unsupported-media-type"
    title = "Unsupported media type"
    remedy = "Send the body as a media type in `accepted`, in an encoding of `Accept-Encoding` or without encoding."


class RateLimited(Refused):
    """The partner has exceeded a rate limit; `violated-policies` names it."""

    status = 429
    code = "rate-limited"
    title = "Too many requests"
    remedy = (
        "Repeat the request after `Retry-After` seconds. The `RateLimit` header of each response says what is left."
    )
    mended_by = (Mender.PARTNER, Mender.OPERATOR)


class TooManyLongRequests(Refused):
    """The partner has reached its limit of concurrent slow bodies, uploads, progress streams and downloads (429)."""

    status = 429
    code = "too-many-long-requests"
    title = "Too many long requests"
    remedy = "Wait until one of your uploads, streams or downloads has finished, at least `Retry-After` seconds."


class SecretUnavailable(ProvisioningError):
    """A secret in the database cannot be decrypted: the operator's encryption key for it is missing (503)."""

    status = 503
    code = "secret-unavailable"
    title = "Secret unavailable"
    remedy = "The operator must restore the key in `PROVISIONING_ENCRYPTION_KEYS`; or create a new secret."
    mended_by = (Mender.OPERATOR, Mender.PARTNER)

    def __init__(self, detail: str | None = None, **members: Any) -> None:
        members.setdefault("headers", {"Retry-After": "60"})
        super().__init__(detail, **members)


class StorageUnavailable(ProvisioningError):
    """The database is unreachable or overloaded, or its tables are missing (503)."""

    status = 503
    code = "storage-unavailable"
    title = "Storage unavailable"
    remedy = "Repeat the request after `Retry-After` seconds."
    mended_by = (Mender.OPERATOR,)

    def __init__(self, detail: str | None = None, **members: Any) -> None:
        members.setdefault("headers", {"Retry-After": "2"})
        super().__init__(detail or "The database does not answer at the moment.", **members)


class ServerBusy(ProvisioningError):
    """The server has reached its limit of concurrent slow bodies, uploads, progress streams and downloads (503)."""

    status = 503
    code = "server-busy"
    title = "Server busy"
    remedy = "Repeat the request after `Retry-After` seconds."
    mended_by = (Mender.PARTNER, Mender.OPERATOR)

    def __init__(self, detail: str | None = None, **members: Any) -> None:
        members.setdefault("headers", {"Retry-After": "5"})
        super().__init__(detail or "The server has as many long requests under way as it can hold.", **members)
