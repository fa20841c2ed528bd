"""Contains all the data models used in inputs/outputs"""

from .actor import Actor
from .attempt import Attempt
from .bulk_item import BulkItem
from .bulk_item_problem_type_0 import BulkItemProblemType0
from .bulk_item_state import BulkItemState
from .bulk_job import BulkJob
from .bulk_job_mode import BulkJobMode
from .bulk_job_operation import BulkJobOperation
from .bulk_job_state import BulkJobState
from .change import Change
from .database_health import DatabaseHealth
from .database_health_status import DatabaseHealthStatus
from .delivery import Delivery
from .delivery_history import DeliveryHistory
from .delivery_history_state import DeliveryHistoryState
from .delivery_state import DeliveryState
from .event import Event
from .event_changes import EventChanges
from .event_data import EventData
from .event_type import EventType
from .health import Health
from .health_status import HealthStatus
from .partner import Partner
from .partner_status import PartnerStatus
from .partner_usage import PartnerUsage
from .problem_explanation import ProblemExplanation
from .problem_explanation_example import ProblemExplanationExample
from .problem_index import ProblemIndex
from .problem_type import ProblemType
from .provisioning import Provisioning
from .provisioning_phase import ProvisioningPhase
from .provisioning_state import ProvisioningState
from .recovered import Recovered
from .settings import Settings
from .settings_actor import SettingsActor
from .settings_effective import SettingsEffective
from .settings_explicit import SettingsExplicit
from .settings_sources import SettingsSources
from .settings_sources_additional_property import SettingsSourcesAdditionalProperty
from .settings_version import SettingsVersion
from .settings_version_changes import SettingsVersionChanges
from .step import Step
from .step_error import StepError
from .step_state import StepState
from .tenant import Tenant
from .tenant_count import TenantCount
from .tenant_metadata import TenantMetadata
from .tenant_status import TenantStatus
from .webhook import Webhook
from .webhook_disabled_reason_type_0 import WebhookDisabledReasonType0
from .webhook_secret import WebhookSecret
from .webhook_secret_disabled_reason_type_0 import WebhookSecretDisabledReasonType0
from .webhook_secret_signing import WebhookSecretSigning
from .webhook_signing import WebhookSigning
from .worker_health import WorkerHealth
from .worker_health_status import WorkerHealthStatus

__all__ = (
    "Actor",
    "Attempt",
    "BulkItem",
    "BulkItemProblemType0",
    "BulkItemState",
    "BulkJob",
    "BulkJobMode",
    "BulkJobOperation",
    "BulkJobState",
    "Change",
    "DatabaseHealth",
    "DatabaseHealthStatus",
    "Delivery",
    "DeliveryHistory",
    "DeliveryHistoryState",
    "DeliveryState",
    "Event",
    "EventChanges",
    "EventData",
    "EventType",
    "Health",
    "HealthStatus",
    "Partner",
    "PartnerStatus",
    "PartnerUsage",
    "ProblemExplanation",
    "ProblemExplanationExample",
    "ProblemIndex",
    "ProblemType",
    "Provisioning",
    "ProvisioningPhase",
    "ProvisioningState",
    "Recovered",
    "Settings",
    "SettingsActor",
    "SettingsEffective",
    "SettingsExplicit",
    "SettingsSources",
    "SettingsSourcesAdditionalProperty",
    "SettingsVersion",
    "SettingsVersionChanges",
    "Step",
    "StepError",
    "StepState",
    "Tenant",
    "TenantCount",
    "TenantMetadata",
    "TenantStatus",
    "Webhook",
    "WebhookDisabledReasonType0",
    "WebhookSecret",
    "WebhookSecretDisabledReasonType0",
    "WebhookSecretSigning",
    "WebhookSigning",
    "WorkerHealth",
    "WorkerHealthStatus",
)
