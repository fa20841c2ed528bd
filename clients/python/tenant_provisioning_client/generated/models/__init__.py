"""Contains all the data models used in inputs/outputs"""

from .actor import Actor
from .admin import Admin
from .attempt import Attempt
from .bulk_item import BulkItem
from .bulk_item_state import BulkItemState
from .bulk_job import BulkJob
from .bulk_job_finished_event import BulkJobFinishedEvent
from .bulk_job_mode import BulkJobMode
from .bulk_job_operation import BulkJobOperation
from .bulk_job_state import BulkJobState
from .change import Change
from .client_created_event import ClientCreatedEvent
from .client_deleted_event import ClientDeletedEvent
from .client_rotated_event import ClientRotatedEvent
from .client_updated_event import ClientUpdatedEvent
from .database_health import DatabaseHealth
from .database_health_status import DatabaseHealthStatus
from .delivery import Delivery
from .delivery_history import DeliveryHistory
from .delivery_history_state import DeliveryHistoryState
from .delivery_state import DeliveryState
from .effective_settings import EffectiveSettings
from .event_client import EventClient
from .event_client_authentication import EventClientAuthentication
from .event_client_jwks_type_0 import EventClientJwksType0
from .event_client_status import EventClientStatus
from .event_envelope import EventEnvelope
from .event_envelope_changes import EventEnvelopeChanges
from .event_invitation import EventInvitation
from .event_invitation_state import EventInvitationState
from .event_partner import EventPartner
from .event_partner_status import EventPartnerStatus
from .event_tenant import EventTenant
from .event_tenant_metadata import EventTenantMetadata
from .event_tenant_status import EventTenantStatus
from .event_webhook import EventWebhook
from .event_webhook_disabled_reason_type_0 import EventWebhookDisabledReasonType0
from .event_webhook_signing import EventWebhookSigning
from .explicit_settings import ExplicitSettings
from .finished_bulk_job import FinishedBulkJob
from .finished_bulk_job_mode import FinishedBulkJobMode
from .finished_bulk_job_operation import FinishedBulkJobOperation
from .finished_bulk_job_state import FinishedBulkJobState
from .health import Health
from .health_status import HealthStatus
from .input_error import InputError
from .invitation import Invitation
from .invitation_accepted_event import InvitationAcceptedEvent
from .invitation_created_event import InvitationCreatedEvent
from .invitation_error import InvitationError
from .invitation_expired_event import InvitationExpiredEvent
from .invitation_failed_event import InvitationFailedEvent
from .invitation_resent_event import InvitationResentEvent
from .invitation_revoked_event import InvitationRevokedEvent
from .invitation_sent_event import InvitationSentEvent
from .invitation_state import InvitationState
from .other_event import OtherEvent
from .other_event_data import OtherEventData
from .partner import Partner
from .partner_client import PartnerClient
from .partner_client_authentication import PartnerClientAuthentication
from .partner_client_jwks_type_0 import PartnerClientJwksType0
from .partner_client_secret import PartnerClientSecret
from .partner_client_secret_authentication import PartnerClientSecretAuthentication
from .partner_client_secret_jwks_type_0 import PartnerClientSecretJwksType0
from .partner_client_secret_status import PartnerClientSecretStatus
from .partner_client_status import PartnerClientStatus
from .partner_settings_updated_event import PartnerSettingsUpdatedEvent
from .partner_status import PartnerStatus
from .partner_updated_event import PartnerUpdatedEvent
from .partner_usage import PartnerUsage
from .probe import Probe
from .problem_explanation import ProblemExplanation
from .problem_explanation_example import ProblemExplanationExample
from .problem_explanation_mended_by_item import ProblemExplanationMendedByItem
from .problem_index import ProblemIndex
from .problem_type import ProblemType
from .problem_type_mended_by_item import ProblemTypeMendedByItem
from .provisioning import Provisioning
from .provisioning_phase import ProvisioningPhase
from .provisioning_state import ProvisioningState
from .queue_health import QueueHealth
from .queue_health_kind import QueueHealthKind
from .recovered import Recovered
from .row_problem import RowProblem
from .settings import Settings
from .settings_actor import SettingsActor
from .settings_sources import SettingsSources
from .settings_sources_additional_property import SettingsSourcesAdditionalProperty
from .settings_version import SettingsVersion
from .settings_version_changes import SettingsVersionChanges
from .step import Step
from .step_error import StepError
from .step_state import StepState
from .tenant import Tenant
from .tenant_count import TenantCount
from .tenant_created_event import TenantCreatedEvent
from .tenant_deleted_event import TenantDeletedEvent
from .tenant_metadata import TenantMetadata
from .tenant_moved_event import TenantMovedEvent
from .tenant_provisioned_event import TenantProvisionedEvent
from .tenant_provisioning_failed_event import TenantProvisioningFailedEvent
from .tenant_purged_event import TenantPurgedEvent
from .tenant_reactivated_event import TenantReactivatedEvent
from .tenant_restored_event import TenantRestoredEvent
from .tenant_settings_updated_event import TenantSettingsUpdatedEvent
from .tenant_status import TenantStatus
from .tenant_suspended_event import TenantSuspendedEvent
from .tenant_updated_event import TenantUpdatedEvent
from .webhook import Webhook
from .webhook_created_event import WebhookCreatedEvent
from .webhook_deleted_event import WebhookDeletedEvent
from .webhook_disabled_event import WebhookDisabledEvent
from .webhook_disabled_reason_type_0 import WebhookDisabledReasonType0
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
    "Admin",
    "Attempt",
    "BulkItem",
    "BulkItemState",
    "BulkJob",
    "BulkJobFinishedEvent",
    "BulkJobMode",
    "BulkJobOperation",
    "BulkJobState",
    "Change",
    "ClientCreatedEvent",
    "ClientDeletedEvent",
    "ClientRotatedEvent",
    "ClientUpdatedEvent",
    "DatabaseHealth",
    "DatabaseHealthStatus",
    "Delivery",
    "DeliveryHistory",
    "DeliveryHistoryState",
    "DeliveryState",
    "EffectiveSettings",
    "EventClient",
    "EventClientAuthentication",
    "EventClientJwksType0",
    "EventClientStatus",
    "EventEnvelope",
    "EventEnvelopeChanges",
    "EventInvitation",
    "EventInvitationState",
    "EventPartner",
    "EventPartnerStatus",
    "EventTenant",
    "EventTenantMetadata",
    "EventTenantStatus",
    "EventWebhook",
    "EventWebhookDisabledReasonType0",
    "EventWebhookSigning",
    "ExplicitSettings",
    "FinishedBulkJob",
    "FinishedBulkJobMode",
    "FinishedBulkJobOperation",
    "FinishedBulkJobState",
    "Health",
    "HealthStatus",
    "InputError",
    "Invitation",
    "InvitationAcceptedEvent",
    "InvitationCreatedEvent",
    "InvitationError",
    "InvitationExpiredEvent",
    "InvitationFailedEvent",
    "InvitationResentEvent",
    "InvitationRevokedEvent",
    "InvitationSentEvent",
    "InvitationState",
    "OtherEvent",
    "OtherEventData",
    "Partner",
    "PartnerClient",
    "PartnerClientAuthentication",
    "PartnerClientJwksType0",
    "PartnerClientSecret",
    "PartnerClientSecretAuthentication",
    "PartnerClientSecretJwksType0",
    "PartnerClientSecretStatus",
    "PartnerClientStatus",
    "PartnerSettingsUpdatedEvent",
    "PartnerStatus",
    "PartnerUpdatedEvent",
    "PartnerUsage",
    "Probe",
    "ProblemExplanation",
    "ProblemExplanationExample",
    "ProblemExplanationMendedByItem",
    "ProblemIndex",
    "ProblemType",
    "ProblemTypeMendedByItem",
    "Provisioning",
    "ProvisioningPhase",
    "ProvisioningState",
    "QueueHealth",
    "QueueHealthKind",
    "Recovered",
    "RowProblem",
    "Settings",
    "SettingsActor",
    "SettingsSources",
    "SettingsSourcesAdditionalProperty",
    "SettingsVersion",
    "SettingsVersionChanges",
    "Step",
    "StepError",
    "StepState",
    "Tenant",
    "TenantCount",
    "TenantCreatedEvent",
    "TenantDeletedEvent",
    "TenantMetadata",
    "TenantMovedEvent",
    "TenantProvisionedEvent",
    "TenantProvisioningFailedEvent",
    "TenantPurgedEvent",
    "TenantReactivatedEvent",
    "TenantRestoredEvent",
    "TenantSettingsUpdatedEvent",
    "TenantStatus",
    "TenantSuspendedEvent",
    "TenantUpdatedEvent",
    "Webhook",
    "WebhookCreatedEvent",
    "WebhookDeletedEvent",
    "WebhookDisabledEvent",
    "WebhookDisabledReasonType0",
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
