"""The errors that this package answers: each class has one code, one status and one title, and says what to do.

ProvisioningError
├── InvalidInput            validation-error, malformed-json, invalid-parameter, invalid-cursor,
│                           invalid-idempotency-key, malformed-upload
├── Unauthenticated         authentication-required, invalid-token, token-expired
├── Forbidden               insufficient-permission, quota-exceeded, license-expired, partner-suspended,
│                           partner-missing, partner-not-registered, plan-not-allowed
├── NotFound                not-found, tenant-not-found, webhook-not-found, delivery-not-found,
│                           bulk-job-not-found, partner-not-found, settings-version-not-found
├── Conflict                tenant-exists, invalid-state, webhook-disabled, duplicate-row,
│                           idempotency-in-progress, plan-limit-exceeded, settings-outdated
├── IdempotencyKeyReused    idempotency-key-reused
├── CursorExpired           cursor-expired
├── Refused                 method-not-allowed, not-acceptable, precondition-failed,
│                           precondition-required, body-too-large, body-too-slow, upload-too-large,
│                           upload-too-slow, unsupported-media-type, rate-limited, too-many-long-requests
├── SecretUnavailable       secret-unavailable
├── ServerBusy              server-busy
└── StorageUnavailable      storage-unavailable; the root itself is internal-error
"""

from .absences import (
    BulkJobNotFound as BulkJobNotFound,
    CursorExpired as CursorExpired,
    DeliveryNotFound as DeliveryNotFound,
    NotFound as NotFound,
    PartnerNotFound as PartnerNotFound,
    SettingsVersionNotFound as SettingsVersionNotFound,
    TenantNotFound as TenantNotFound,
    WebhookNotFound as WebhookNotFound,
)
from .callers import (
    Forbidden as Forbidden,
    InvalidToken as InvalidToken,
    LicenseExpired as LicenseExpired,
    PartnerMissing as PartnerMissing,
    PartnerNotRegistered as PartnerNotRegistered,
    PartnerSuspended as PartnerSuspended,
    PlanNotAllowed as PlanNotAllowed,
    QuotaExceeded as QuotaExceeded,
    TokenExpired as TokenExpired,
    Unauthenticated as Unauthenticated,
)
from .conflicts import (
    Conflict as Conflict,
    DuplicateRow as DuplicateRow,
    IdempotencyInProgress as IdempotencyInProgress,
    IdempotencyKeyReused as IdempotencyKeyReused,
    InvalidState as InvalidState,
    PlanLimitExceeded as PlanLimitExceeded,
    SettingsOutdated as SettingsOutdated,
    TenantExists as TenantExists,
    WebhookDisabled as WebhookDisabled,
)
from .inputs import (
    InvalidCursor as InvalidCursor,
    InvalidIdempotencyKey as InvalidIdempotencyKey,
    InvalidInput as InvalidInput,
    InvalidParameter as InvalidParameter,
    MalformedJSON as MalformedJSON,
)
from .outages import (
    SecretUnavailable as SecretUnavailable,
    ServerBusy as ServerBusy,
    StorageUnavailable as StorageUnavailable,
)
from .refusals import (
    BodyTooLarge as BodyTooLarge,
    BodyTooSlow as BodyTooSlow,
    MethodNotAllowed as MethodNotAllowed,
    NotAcceptable as NotAcceptable,
    PreconditionFailed as PreconditionFailed,
    PreconditionRequired as PreconditionRequired,
    RateLimited as RateLimited,
    Refused as Refused,
    TooManyLongRequests as TooManyLongRequests,
    UnsupportedMediaType as UnsupportedMediaType,
)
from .root import (
    Fault as Fault,
    ProvisioningError as ProvisioningError,
    catalogue as catalogue,
)
from .uploads import (
    MalformedUpload as MalformedUpload,
    UploadTooLarge as UploadTooLarge,
    UploadTooSlow as UploadTooSlow,
)
