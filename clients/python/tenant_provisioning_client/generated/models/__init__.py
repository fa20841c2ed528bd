"""Contains all the data models used in inputs/outputs"""

from .actor import Actor
from .attempt import Attempt
from .authentication_required_problem import AuthenticationRequiredProblem
from .bad_request_problem import BadRequestProblem
from .body_too_large_problem import BodyTooLargeProblem
from .body_too_slow_problem import BodyTooSlowProblem
from .bulk_item import BulkItem
from .bulk_item_state import BulkItemState
from .bulk_job import BulkJob
from .bulk_job_finished_event import BulkJobFinishedEvent
from .bulk_job_mode import BulkJobMode
from .bulk_job_not_found_problem import BulkJobNotFoundProblem
from .bulk_job_operation import BulkJobOperation
from .bulk_job_state import BulkJobState
from .change import Change
from .conflict_problem import ConflictProblem
from .cursor_expired_problem import CursorExpiredProblem
from .database_health import DatabaseHealth
from .database_health_status import DatabaseHealthStatus
from .delivery import Delivery
from .delivery_history import DeliveryHistory
from .delivery_history_state import DeliveryHistoryState
from .delivery_not_found_problem import DeliveryNotFoundProblem
from .delivery_state import DeliveryState
from .duplicate_row_problem import DuplicateRowProblem
from .effective_settings import EffectiveSettings
from .event_envelope import EventEnvelope
from .event_envelope_changes import EventEnvelopeChanges
from .event_partner import EventPartner
from .event_partner_status import EventPartnerStatus
from .event_tenant import EventTenant
from .event_tenant_metadata import EventTenantMetadata
from .event_tenant_status import EventTenantStatus
from .event_webhook import EventWebhook
from .event_webhook_disabled_reason_type_0 import EventWebhookDisabledReasonType0
from .event_webhook_signing import EventWebhookSigning
from .exceeded_limit import ExceededLimit
from .explicit_settings import ExplicitSettings
from .finished_bulk_job import FinishedBulkJob
from .finished_bulk_job_mode import FinishedBulkJobMode
from .finished_bulk_job_operation import FinishedBulkJobOperation
from .finished_bulk_job_state import FinishedBulkJobState
from .health import Health
from .health_status import HealthStatus
from .idempotency_in_progress_problem import IdempotencyInProgressProblem
from .idempotency_key_reused_problem import IdempotencyKeyReusedProblem
from .input_error import InputError
from .insufficient_permission_problem import InsufficientPermissionProblem
from .internal_error_problem import InternalErrorProblem
from .invalid_cursor_problem import InvalidCursorProblem
from .invalid_idempotency_key_problem import InvalidIdempotencyKeyProblem
from .invalid_parameter_problem import InvalidParameterProblem
from .invalid_state_problem import InvalidStateProblem
from .invalid_token_problem import InvalidTokenProblem
from .license_expired_problem import LicenseExpiredProblem
from .malformed_json_problem import MalformedJsonProblem
from .malformed_upload_problem import MalformedUploadProblem
from .method_not_allowed_problem import MethodNotAllowedProblem
from .not_acceptable_problem import NotAcceptableProblem
from .not_found_problem import NotFoundProblem
from .other_event import OtherEvent
from .other_event_data import OtherEventData
from .other_problem import OtherProblem
from .partner import Partner
from .partner_missing_problem import PartnerMissingProblem
from .partner_not_found_problem import PartnerNotFoundProblem
from .partner_not_registered_problem import PartnerNotRegisteredProblem
from .partner_settings_updated_event import PartnerSettingsUpdatedEvent
from .partner_status import PartnerStatus
from .partner_suspended_problem import PartnerSuspendedProblem
from .partner_updated_event import PartnerUpdatedEvent
from .partner_usage import PartnerUsage
from .plan_limit_exceeded_problem import PlanLimitExceededProblem
from .plan_not_allowed_problem import PlanNotAllowedProblem
from .precondition_failed_problem import PreconditionFailedProblem
from .precondition_required_problem import PreconditionRequiredProblem
from .problem import Problem
from .problem_explanation import ProblemExplanation
from .problem_index import ProblemIndex
from .problem_type import ProblemType
from .provisioning import Provisioning
from .provisioning_phase import ProvisioningPhase
from .provisioning_state import ProvisioningState
from .quota_exceeded_problem import QuotaExceededProblem
from .rate_limited_problem import RateLimitedProblem
from .recovered import Recovered
from .row_problem import RowProblem
from .secret_unavailable_problem import SecretUnavailableProblem
from .server_busy_problem import ServerBusyProblem
from .settings import Settings
from .settings_actor import SettingsActor
from .settings_outdated_problem import SettingsOutdatedProblem
from .settings_sources import SettingsSources
from .settings_sources_additional_property import SettingsSourcesAdditionalProperty
from .settings_version import SettingsVersion
from .settings_version_changes import SettingsVersionChanges
from .settings_version_not_found_problem import SettingsVersionNotFoundProblem
from .step import Step
from .step_error import StepError
from .step_state import StepState
from .storage_unavailable_problem import StorageUnavailableProblem
from .tenant import Tenant
from .tenant_count import TenantCount
from .tenant_created_event import TenantCreatedEvent
from .tenant_deleted_event import TenantDeletedEvent
from .tenant_exists_problem import TenantExistsProblem
from .tenant_metadata import TenantMetadata
from .tenant_moved_event import TenantMovedEvent
from .tenant_not_found_problem import TenantNotFoundProblem
from .tenant_provisioned_event import TenantProvisionedEvent
from .tenant_provisioning_failed_event import TenantProvisioningFailedEvent
from .tenant_purged_event import TenantPurgedEvent
from .tenant_reactivated_event import TenantReactivatedEvent
from .tenant_restored_event import TenantRestoredEvent
from .tenant_settings_updated_event import TenantSettingsUpdatedEvent
from .tenant_status import TenantStatus
from .tenant_suspended_event import TenantSuspendedEvent
from .tenant_updated_event import TenantUpdatedEvent
from .token_expired_problem import TokenExpiredProblem
from .too_many_long_requests_problem import TooManyLongRequestsProblem
from .unsupported_media_type_problem import UnsupportedMediaTypeProblem
from .upload_too_large_problem import UploadTooLargeProblem
from .upload_too_slow_problem import UploadTooSlowProblem
from .validation_error_problem import ValidationErrorProblem
from .webhook import Webhook
from .webhook_created_event import WebhookCreatedEvent
from .webhook_deleted_event import WebhookDeletedEvent
from .webhook_disabled_event import WebhookDisabledEvent
from .webhook_disabled_problem import WebhookDisabledProblem
from .webhook_disabled_reason_type_0 import WebhookDisabledReasonType0
from .webhook_not_found_problem import WebhookNotFoundProblem
from .webhook_rotated_event import WebhookRotatedEvent
from .webhook_secret import WebhookSecret
from .webhook_secret_disabled_reason_type_0 import WebhookSecretDisabledReasonType0
from .webhook_secret_signing import WebhookSecretSigning
from .webhook_signing import WebhookSigning
from .webhook_test_event import WebhookTestEvent
from .webhook_updated_event import WebhookUpdatedEvent
from .worker_health import WorkerHealth
from .worker_health_status import WorkerHealthStatus

__all__ = (
    "Actor",
    "Attempt",
    "AuthenticationRequiredProblem",
    "BadRequestProblem",
    "BodyTooLargeProblem",
    "BodyTooSlowProblem",
    "BulkItem",
    "BulkItemState",
    "BulkJob",
    "BulkJobFinishedEvent",
    "BulkJobMode",
    "BulkJobNotFoundProblem",
    "BulkJobOperation",
    "BulkJobState",
    "Change",
    "ConflictProblem",
    "CursorExpiredProblem",
    "DatabaseHealth",
    "DatabaseHealthStatus",
    "Delivery",
    "DeliveryHistory",
    "DeliveryHistoryState",
    "DeliveryNotFoundProblem",
    "DeliveryState",
    "DuplicateRowProblem",
    "EffectiveSettings",
    "EventEnvelope",
    "EventEnvelopeChanges",
    "EventPartner",
    "EventPartnerStatus",
    "EventTenant",
    "EventTenantMetadata",
    "EventTenantStatus",
    "EventWebhook",
    "EventWebhookDisabledReasonType0",
    "EventWebhookSigning",
    "ExceededLimit",
    "ExplicitSettings",
    "FinishedBulkJob",
    "FinishedBulkJobMode",
    "FinishedBulkJobOperation",
    "FinishedBulkJobState",
    "Health",
    "HealthStatus",
    "IdempotencyInProgressProblem",
    "IdempotencyKeyReusedProblem",
    "InputError",
    "InsufficientPermissionProblem",
    "InternalErrorProblem",
    "InvalidCursorProblem",
    "InvalidIdempotencyKeyProblem",
    "InvalidParameterProblem",
    "InvalidStateProblem",
    "InvalidTokenProblem",
    "LicenseExpiredProblem",
    "MalformedJsonProblem",
    "MalformedUploadProblem",
    "MethodNotAllowedProblem",
    "NotAcceptableProblem",
    "NotFoundProblem",
    "OtherEvent",
    "OtherEventData",
    "OtherProblem",
    "Partner",
    "PartnerMissingProblem",
    "PartnerNotFoundProblem",
    "PartnerNotRegisteredProblem",
    "PartnerSettingsUpdatedEvent",
    "PartnerStatus",
    "PartnerSuspendedProblem",
    "PartnerUpdatedEvent",
    "PartnerUsage",
    "PlanLimitExceededProblem",
    "PlanNotAllowedProblem",
    "PreconditionFailedProblem",
    "PreconditionRequiredProblem",
    "Problem",
    "ProblemExplanation",
    "ProblemIndex",
    "ProblemType",
    "Provisioning",
    "ProvisioningPhase",
    "ProvisioningState",
    "QuotaExceededProblem",
    "RateLimitedProblem",
    "Recovered",
    "RowProblem",
    "SecretUnavailableProblem",
    "ServerBusyProblem",
    "Settings",
    "SettingsActor",
    "SettingsOutdatedProblem",
    "SettingsSources",
    "SettingsSourcesAdditionalProperty",
    "SettingsVersion",
    "SettingsVersionChanges",
    "SettingsVersionNotFoundProblem",
    "Step",
    "StepError",
    "StepState",
    "StorageUnavailableProblem",
    "Tenant",
    "TenantCount",
    "TenantCreatedEvent",
    "TenantDeletedEvent",
    "TenantExistsProblem",
    "TenantMetadata",
    "TenantMovedEvent",
    "TenantNotFoundProblem",
    "TenantProvisionedEvent",
    "TenantProvisioningFailedEvent",
    "TenantPurgedEvent",
    "TenantReactivatedEvent",
    "TenantRestoredEvent",
    "TenantSettingsUpdatedEvent",
    "TenantStatus",
    "TenantSuspendedEvent",
    "TenantUpdatedEvent",
    "TokenExpiredProblem",
    "TooManyLongRequestsProblem",
    "UnsupportedMediaTypeProblem",
    "UploadTooLargeProblem",
    "UploadTooSlowProblem",
    "ValidationErrorProblem",
    "Webhook",
    "WebhookCreatedEvent",
    "WebhookDeletedEvent",
    "WebhookDisabledEvent",
    "WebhookDisabledProblem",
    "WebhookDisabledReasonType0",
    "WebhookNotFoundProblem",
    "WebhookRotatedEvent",
    "WebhookSecret",
    "WebhookSecretDisabledReasonType0",
    "WebhookSecretSigning",
    "WebhookSigning",
    "WebhookTestEvent",
    "WebhookUpdatedEvent",
    "WorkerHealth",
    "WorkerHealthStatus",
)
