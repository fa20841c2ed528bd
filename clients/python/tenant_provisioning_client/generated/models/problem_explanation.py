from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

if TYPE_CHECKING:
    from ..models.authentication_required_problem import AuthenticationRequiredProblem
    from ..models.bad_request_problem import BadRequestProblem
    from ..models.body_too_large_problem import BodyTooLargeProblem
    from ..models.body_too_slow_problem import BodyTooSlowProblem
    from ..models.bulk_job_not_found_problem import BulkJobNotFoundProblem
    from ..models.conflict_problem import ConflictProblem
    from ..models.cursor_expired_problem import CursorExpiredProblem
    from ..models.delivery_not_found_problem import DeliveryNotFoundProblem
    from ..models.duplicate_row_problem import DuplicateRowProblem
    from ..models.idempotency_in_progress_problem import IdempotencyInProgressProblem
    from ..models.idempotency_key_reused_problem import IdempotencyKeyReusedProblem
    from ..models.insufficient_permission_problem import InsufficientPermissionProblem
    from ..models.internal_error_problem import InternalErrorProblem
    from ..models.invalid_cursor_problem import InvalidCursorProblem
    from ..models.invalid_idempotency_key_problem import InvalidIdempotencyKeyProblem
    from ..models.invalid_parameter_problem import InvalidParameterProblem
    from ..models.invalid_state_problem import InvalidStateProblem
    from ..models.invalid_token_problem import InvalidTokenProblem
    from ..models.license_expired_problem import LicenseExpiredProblem
    from ..models.malformed_json_problem import MalformedJsonProblem
    from ..models.malformed_upload_problem import MalformedUploadProblem
    from ..models.method_not_allowed_problem import MethodNotAllowedProblem
    from ..models.not_acceptable_problem import NotAcceptableProblem
    from ..models.not_found_problem import NotFoundProblem
    from ..models.other_problem import OtherProblem
    from ..models.partner_missing_problem import PartnerMissingProblem
    from ..models.partner_not_found_problem import PartnerNotFoundProblem
    from ..models.partner_not_registered_problem import PartnerNotRegisteredProblem
    from ..models.partner_suspended_problem import PartnerSuspendedProblem
    from ..models.plan_limit_exceeded_problem import PlanLimitExceededProblem
    from ..models.plan_not_allowed_problem import PlanNotAllowedProblem
    from ..models.precondition_failed_problem import PreconditionFailedProblem
    from ..models.precondition_required_problem import PreconditionRequiredProblem
    from ..models.quota_exceeded_problem import QuotaExceededProblem
    from ..models.rate_limited_problem import RateLimitedProblem
    from ..models.secret_unavailable_problem import SecretUnavailableProblem
    from ..models.server_busy_problem import ServerBusyProblem
    from ..models.settings_outdated_problem import SettingsOutdatedProblem
    from ..models.settings_version_not_found_problem import SettingsVersionNotFoundProblem
    from ..models.storage_unavailable_problem import StorageUnavailableProblem
    from ..models.tenant_exists_problem import TenantExistsProblem
    from ..models.tenant_not_found_problem import TenantNotFoundProblem
    from ..models.token_expired_problem import TokenExpiredProblem
    from ..models.too_many_long_requests_problem import TooManyLongRequestsProblem
    from ..models.unsupported_media_type_problem import UnsupportedMediaTypeProblem
    from ..models.upload_too_large_problem import UploadTooLargeProblem
    from ..models.upload_too_slow_problem import UploadTooSlowProblem
    from ..models.validation_error_problem import ValidationErrorProblem
    from ..models.webhook_disabled_problem import WebhookDisabledProblem
    from ..models.webhook_not_found_problem import WebhookNotFoundProblem


T = TypeVar("T", bound="ProblemExplanation")


@_attrs_frozen(kw_only=True)
class ProblemExplanation:
    """ProblemExplanation

    Attributes:
        type_ (str):
        code (str):
        title (str):
        status (int):
        meaning (str):
        remedy (str):
        example (AuthenticationRequiredProblem | BadRequestProblem | BodyTooLargeProblem | BodyTooSlowProblem |
            BulkJobNotFoundProblem | ConflictProblem | CursorExpiredProblem | DeliveryNotFoundProblem |
            DuplicateRowProblem | IdempotencyInProgressProblem | IdempotencyKeyReusedProblem |
            InsufficientPermissionProblem | InternalErrorProblem | InvalidCursorProblem | InvalidIdempotencyKeyProblem |
            InvalidParameterProblem | InvalidStateProblem | InvalidTokenProblem | LicenseExpiredProblem |
            MalformedJsonProblem | MalformedUploadProblem | MethodNotAllowedProblem | NotAcceptableProblem |
            NotFoundProblem | OtherProblem | PartnerMissingProblem | PartnerNotFoundProblem |
            PartnerNotRegisteredProblem | PartnerSuspendedProblem | PlanLimitExceededProblem | PlanNotAllowedProblem |
            PreconditionFailedProblem | PreconditionRequiredProblem | QuotaExceededProblem | RateLimitedProblem |
            SecretUnavailableProblem | ServerBusyProblem | SettingsOutdatedProblem | SettingsVersionNotFoundProblem |
            StorageUnavailableProblem | TenantExistsProblem | TenantNotFoundProblem | TokenExpiredProblem |
            TooManyLongRequestsProblem | UnsupportedMediaTypeProblem | UploadTooLargeProblem | UploadTooSlowProblem |
            ValidationErrorProblem | WebhookDisabledProblem | WebhookNotFoundProblem): A problem document of any code.
    """

    type_: str
    code: str
    title: str
    status: int
    meaning: str
    remedy: str
    example: (
        AuthenticationRequiredProblem
        | BadRequestProblem
        | BodyTooLargeProblem
        | BodyTooSlowProblem
        | BulkJobNotFoundProblem
        | ConflictProblem
        | CursorExpiredProblem
        | DeliveryNotFoundProblem
        | DuplicateRowProblem
        | IdempotencyInProgressProblem
        | IdempotencyKeyReusedProblem
        | InsufficientPermissionProblem
        | InternalErrorProblem
        | InvalidCursorProblem
        | InvalidIdempotencyKeyProblem
        | InvalidParameterProblem
        | InvalidStateProblem
        | InvalidTokenProblem
        | LicenseExpiredProblem
        | MalformedJsonProblem
        | MalformedUploadProblem
        | MethodNotAllowedProblem
        | NotAcceptableProblem
        | NotFoundProblem
        | OtherProblem
        | PartnerMissingProblem
        | PartnerNotFoundProblem
        | PartnerNotRegisteredProblem
        | PartnerSuspendedProblem
        | PlanLimitExceededProblem
        | PlanNotAllowedProblem
        | PreconditionFailedProblem
        | PreconditionRequiredProblem
        | QuotaExceededProblem
        | RateLimitedProblem
        | SecretUnavailableProblem
        | ServerBusyProblem
        | SettingsOutdatedProblem
        | SettingsVersionNotFoundProblem
        | StorageUnavailableProblem
        | TenantExistsProblem
        | TenantNotFoundProblem
        | TokenExpiredProblem
        | TooManyLongRequestsProblem
        | UnsupportedMediaTypeProblem
        | UploadTooLargeProblem
        | UploadTooSlowProblem
        | ValidationErrorProblem
        | WebhookDisabledProblem
        | WebhookNotFoundProblem
    )
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        from ..models.authentication_required_problem import AuthenticationRequiredProblem  # noqa: PLC0415
        from ..models.bad_request_problem import BadRequestProblem  # noqa: PLC0415
        from ..models.body_too_large_problem import BodyTooLargeProblem  # noqa: PLC0415
        from ..models.body_too_slow_problem import BodyTooSlowProblem  # noqa: PLC0415
        from ..models.bulk_job_not_found_problem import BulkJobNotFoundProblem  # noqa: PLC0415
        from ..models.conflict_problem import ConflictProblem  # noqa: PLC0415
        from ..models.cursor_expired_problem import CursorExpiredProblem  # noqa: PLC0415
        from ..models.delivery_not_found_problem import DeliveryNotFoundProblem  # noqa: PLC0415
        from ..models.duplicate_row_problem import DuplicateRowProblem  # noqa: PLC0415
        from ..models.idempotency_in_progress_problem import IdempotencyInProgressProblem  # noqa: PLC0415
        from ..models.idempotency_key_reused_problem import IdempotencyKeyReusedProblem  # noqa: PLC0415
        from ..models.insufficient_permission_problem import InsufficientPermissionProblem  # noqa: PLC0415
        from ..models.internal_error_problem import InternalErrorProblem  # noqa: PLC0415
        from ..models.invalid_cursor_problem import InvalidCursorProblem  # noqa: PLC0415
        from ..models.invalid_idempotency_key_problem import InvalidIdempotencyKeyProblem  # noqa: PLC0415
        from ..models.invalid_parameter_problem import InvalidParameterProblem  # noqa: PLC0415
        from ..models.invalid_state_problem import InvalidStateProblem  # noqa: PLC0415
        from ..models.invalid_token_problem import InvalidTokenProblem  # noqa: PLC0415
        from ..models.license_expired_problem import LicenseExpiredProblem  # noqa: PLC0415
        from ..models.malformed_json_problem import MalformedJsonProblem  # noqa: PLC0415
        from ..models.malformed_upload_problem import MalformedUploadProblem  # noqa: PLC0415
        from ..models.method_not_allowed_problem import MethodNotAllowedProblem  # noqa: PLC0415
        from ..models.not_acceptable_problem import NotAcceptableProblem  # noqa: PLC0415
        from ..models.not_found_problem import NotFoundProblem  # noqa: PLC0415
        from ..models.partner_missing_problem import PartnerMissingProblem  # noqa: PLC0415
        from ..models.partner_not_found_problem import PartnerNotFoundProblem  # noqa: PLC0415
        from ..models.partner_not_registered_problem import PartnerNotRegisteredProblem  # noqa: PLC0415
        from ..models.partner_suspended_problem import PartnerSuspendedProblem  # noqa: PLC0415
        from ..models.plan_limit_exceeded_problem import PlanLimitExceededProblem  # noqa: PLC0415
        from ..models.plan_not_allowed_problem import PlanNotAllowedProblem  # noqa: PLC0415
        from ..models.precondition_failed_problem import PreconditionFailedProblem  # noqa: PLC0415
        from ..models.precondition_required_problem import PreconditionRequiredProblem  # noqa: PLC0415
        from ..models.quota_exceeded_problem import QuotaExceededProblem  # noqa: PLC0415
        from ..models.rate_limited_problem import RateLimitedProblem  # noqa: PLC0415
        from ..models.secret_unavailable_problem import SecretUnavailableProblem  # noqa: PLC0415
        from ..models.server_busy_problem import ServerBusyProblem  # noqa: PLC0415
        from ..models.settings_outdated_problem import SettingsOutdatedProblem  # noqa: PLC0415
        from ..models.settings_version_not_found_problem import SettingsVersionNotFoundProblem  # noqa: PLC0415
        from ..models.storage_unavailable_problem import StorageUnavailableProblem  # noqa: PLC0415
        from ..models.tenant_exists_problem import TenantExistsProblem  # noqa: PLC0415
        from ..models.tenant_not_found_problem import TenantNotFoundProblem  # noqa: PLC0415
        from ..models.token_expired_problem import TokenExpiredProblem  # noqa: PLC0415
        from ..models.too_many_long_requests_problem import TooManyLongRequestsProblem  # noqa: PLC0415
        from ..models.unsupported_media_type_problem import UnsupportedMediaTypeProblem  # noqa: PLC0415
        from ..models.upload_too_large_problem import UploadTooLargeProblem  # noqa: PLC0415
        from ..models.upload_too_slow_problem import UploadTooSlowProblem  # noqa: PLC0415
        from ..models.validation_error_problem import ValidationErrorProblem  # noqa: PLC0415
        from ..models.webhook_disabled_problem import WebhookDisabledProblem  # noqa: PLC0415
        from ..models.webhook_not_found_problem import WebhookNotFoundProblem  # noqa: PLC0415

        type_ = self.type_
        code = self.code
        title = self.title
        status = self.status
        meaning = self.meaning
        remedy = self.remedy
        example: dict[str, Any]
        if isinstance(self.example, ValidationErrorProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, MalformedJsonProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, InvalidParameterProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, InvalidCursorProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, InvalidIdempotencyKeyProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, MalformedUploadProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, BadRequestProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, AuthenticationRequiredProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, InvalidTokenProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, TokenExpiredProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, InsufficientPermissionProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, PartnerMissingProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, PartnerSuspendedProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, PartnerNotRegisteredProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, QuotaExceededProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, PlanNotAllowedProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, LicenseExpiredProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, NotFoundProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, TenantNotFoundProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, PartnerNotFoundProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, WebhookNotFoundProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, DeliveryNotFoundProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, SettingsVersionNotFoundProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, BulkJobNotFoundProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, MethodNotAllowedProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, NotAcceptableProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, BodyTooSlowProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, UploadTooSlowProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, ConflictProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, TenantExistsProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, InvalidStateProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, PlanLimitExceededProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, WebhookDisabledProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, SettingsOutdatedProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, IdempotencyInProgressProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, DuplicateRowProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, CursorExpiredProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, PreconditionFailedProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, BodyTooLargeProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, UploadTooLargeProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, UnsupportedMediaTypeProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, IdempotencyKeyReusedProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, PreconditionRequiredProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, RateLimitedProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, TooManyLongRequestsProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, InternalErrorProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, SecretUnavailableProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, StorageUnavailableProblem):
            example = self.example.to_dict()
        elif isinstance(self.example, ServerBusyProblem):
            example = self.example.to_dict()
        else:
            example = self.example.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["type"] = type_
        field_dict["code"] = code
        field_dict["title"] = title
        field_dict["status"] = status
        field_dict["meaning"] = meaning
        field_dict["remedy"] = remedy
        field_dict["example"] = example
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        from ..models.authentication_required_problem import AuthenticationRequiredProblem  # noqa: PLC0415
        from ..models.bad_request_problem import BadRequestProblem  # noqa: PLC0415
        from ..models.body_too_large_problem import BodyTooLargeProblem  # noqa: PLC0415
        from ..models.body_too_slow_problem import BodyTooSlowProblem  # noqa: PLC0415
        from ..models.bulk_job_not_found_problem import BulkJobNotFoundProblem  # noqa: PLC0415
        from ..models.conflict_problem import ConflictProblem  # noqa: PLC0415
        from ..models.cursor_expired_problem import CursorExpiredProblem  # noqa: PLC0415
        from ..models.delivery_not_found_problem import DeliveryNotFoundProblem  # noqa: PLC0415
        from ..models.duplicate_row_problem import DuplicateRowProblem  # noqa: PLC0415
        from ..models.idempotency_in_progress_problem import IdempotencyInProgressProblem  # noqa: PLC0415
        from ..models.idempotency_key_reused_problem import IdempotencyKeyReusedProblem  # noqa: PLC0415
        from ..models.insufficient_permission_problem import InsufficientPermissionProblem  # noqa: PLC0415
        from ..models.internal_error_problem import InternalErrorProblem  # noqa: PLC0415
        from ..models.invalid_cursor_problem import InvalidCursorProblem  # noqa: PLC0415
        from ..models.invalid_idempotency_key_problem import InvalidIdempotencyKeyProblem  # noqa: PLC0415
        from ..models.invalid_parameter_problem import InvalidParameterProblem  # noqa: PLC0415
        from ..models.invalid_state_problem import InvalidStateProblem  # noqa: PLC0415
        from ..models.invalid_token_problem import InvalidTokenProblem  # noqa: PLC0415
        from ..models.license_expired_problem import LicenseExpiredProblem  # noqa: PLC0415
        from ..models.malformed_json_problem import MalformedJsonProblem  # noqa: PLC0415
        from ..models.malformed_upload_problem import MalformedUploadProblem  # noqa: PLC0415
        from ..models.method_not_allowed_problem import MethodNotAllowedProblem  # noqa: PLC0415
        from ..models.not_acceptable_problem import NotAcceptableProblem  # noqa: PLC0415
        from ..models.not_found_problem import NotFoundProblem  # noqa: PLC0415
        from ..models.other_problem import OtherProblem  # noqa: PLC0415
        from ..models.partner_missing_problem import PartnerMissingProblem  # noqa: PLC0415
        from ..models.partner_not_found_problem import PartnerNotFoundProblem  # noqa: PLC0415
        from ..models.partner_not_registered_problem import PartnerNotRegisteredProblem  # noqa: PLC0415
        from ..models.partner_suspended_problem import PartnerSuspendedProblem  # noqa: PLC0415
        from ..models.plan_limit_exceeded_problem import PlanLimitExceededProblem  # noqa: PLC0415
        from ..models.plan_not_allowed_problem import PlanNotAllowedProblem  # noqa: PLC0415
        from ..models.precondition_failed_problem import PreconditionFailedProblem  # noqa: PLC0415
        from ..models.precondition_required_problem import PreconditionRequiredProblem  # noqa: PLC0415
        from ..models.quota_exceeded_problem import QuotaExceededProblem  # noqa: PLC0415
        from ..models.rate_limited_problem import RateLimitedProblem  # noqa: PLC0415
        from ..models.secret_unavailable_problem import SecretUnavailableProblem  # noqa: PLC0415
        from ..models.server_busy_problem import ServerBusyProblem  # noqa: PLC0415
        from ..models.settings_outdated_problem import SettingsOutdatedProblem  # noqa: PLC0415
        from ..models.settings_version_not_found_problem import SettingsVersionNotFoundProblem  # noqa: PLC0415
        from ..models.storage_unavailable_problem import StorageUnavailableProblem  # noqa: PLC0415
        from ..models.tenant_exists_problem import TenantExistsProblem  # noqa: PLC0415
        from ..models.tenant_not_found_problem import TenantNotFoundProblem  # noqa: PLC0415
        from ..models.token_expired_problem import TokenExpiredProblem  # noqa: PLC0415
        from ..models.too_many_long_requests_problem import TooManyLongRequestsProblem  # noqa: PLC0415
        from ..models.unsupported_media_type_problem import UnsupportedMediaTypeProblem  # noqa: PLC0415
        from ..models.upload_too_large_problem import UploadTooLargeProblem  # noqa: PLC0415
        from ..models.upload_too_slow_problem import UploadTooSlowProblem  # noqa: PLC0415
        from ..models.validation_error_problem import ValidationErrorProblem  # noqa: PLC0415
        from ..models.webhook_disabled_problem import WebhookDisabledProblem  # noqa: PLC0415
        from ..models.webhook_not_found_problem import WebhookNotFoundProblem  # noqa: PLC0415

        d = dict(src_dict)
        type_ = d.pop("type")
        code = d.pop("code")
        title = d.pop("title")
        status = d.pop("status")
        meaning = d.pop("meaning")
        remedy = d.pop("remedy")

        def _parse_example(
            data: object,
        ) -> (
            AuthenticationRequiredProblem
            | BadRequestProblem
            | BodyTooLargeProblem
            | BodyTooSlowProblem
            | BulkJobNotFoundProblem
            | ConflictProblem
            | CursorExpiredProblem
            | DeliveryNotFoundProblem
            | DuplicateRowProblem
            | IdempotencyInProgressProblem
            | IdempotencyKeyReusedProblem
            | InsufficientPermissionProblem
            | InternalErrorProblem
            | InvalidCursorProblem
            | InvalidIdempotencyKeyProblem
            | InvalidParameterProblem
            | InvalidStateProblem
            | InvalidTokenProblem
            | LicenseExpiredProblem
            | MalformedJsonProblem
            | MalformedUploadProblem
            | MethodNotAllowedProblem
            | NotAcceptableProblem
            | NotFoundProblem
            | OtherProblem
            | PartnerMissingProblem
            | PartnerNotFoundProblem
            | PartnerNotRegisteredProblem
            | PartnerSuspendedProblem
            | PlanLimitExceededProblem
            | PlanNotAllowedProblem
            | PreconditionFailedProblem
            | PreconditionRequiredProblem
            | QuotaExceededProblem
            | RateLimitedProblem
            | SecretUnavailableProblem
            | ServerBusyProblem
            | SettingsOutdatedProblem
            | SettingsVersionNotFoundProblem
            | StorageUnavailableProblem
            | TenantExistsProblem
            | TenantNotFoundProblem
            | TokenExpiredProblem
            | TooManyLongRequestsProblem
            | UnsupportedMediaTypeProblem
            | UploadTooLargeProblem
            | UploadTooSlowProblem
            | ValidationErrorProblem
            | WebhookDisabledProblem
            | WebhookNotFoundProblem
        ):
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_0 = ValidationErrorProblem.from_dict(data)

                return componentsschemas_any_problem_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_1 = MalformedJsonProblem.from_dict(data)

                return componentsschemas_any_problem_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_2 = InvalidParameterProblem.from_dict(data)

                return componentsschemas_any_problem_type_2
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_3 = InvalidCursorProblem.from_dict(data)

                return componentsschemas_any_problem_type_3
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_4 = InvalidIdempotencyKeyProblem.from_dict(data)

                return componentsschemas_any_problem_type_4
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_5 = MalformedUploadProblem.from_dict(data)

                return componentsschemas_any_problem_type_5
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_6 = BadRequestProblem.from_dict(data)

                return componentsschemas_any_problem_type_6
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_7 = AuthenticationRequiredProblem.from_dict(data)

                return componentsschemas_any_problem_type_7
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_8 = InvalidTokenProblem.from_dict(data)

                return componentsschemas_any_problem_type_8
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_9 = TokenExpiredProblem.from_dict(data)

                return componentsschemas_any_problem_type_9
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_10 = InsufficientPermissionProblem.from_dict(data)

                return componentsschemas_any_problem_type_10
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_11 = PartnerMissingProblem.from_dict(data)

                return componentsschemas_any_problem_type_11
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_12 = PartnerSuspendedProblem.from_dict(data)

                return componentsschemas_any_problem_type_12
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_13 = PartnerNotRegisteredProblem.from_dict(data)

                return componentsschemas_any_problem_type_13
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_14 = QuotaExceededProblem.from_dict(data)

                return componentsschemas_any_problem_type_14
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_15 = PlanNotAllowedProblem.from_dict(data)

                return componentsschemas_any_problem_type_15
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_16 = LicenseExpiredProblem.from_dict(data)

                return componentsschemas_any_problem_type_16
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_17 = NotFoundProblem.from_dict(data)

                return componentsschemas_any_problem_type_17
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_18 = TenantNotFoundProblem.from_dict(data)

                return componentsschemas_any_problem_type_18
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_19 = PartnerNotFoundProblem.from_dict(data)

                return componentsschemas_any_problem_type_19
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_20 = WebhookNotFoundProblem.from_dict(data)

                return componentsschemas_any_problem_type_20
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_21 = DeliveryNotFoundProblem.from_dict(data)

                return componentsschemas_any_problem_type_21
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_22 = SettingsVersionNotFoundProblem.from_dict(data)

                return componentsschemas_any_problem_type_22
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_23 = BulkJobNotFoundProblem.from_dict(data)

                return componentsschemas_any_problem_type_23
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_24 = MethodNotAllowedProblem.from_dict(data)

                return componentsschemas_any_problem_type_24
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_25 = NotAcceptableProblem.from_dict(data)

                return componentsschemas_any_problem_type_25
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_26 = BodyTooSlowProblem.from_dict(data)

                return componentsschemas_any_problem_type_26
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_27 = UploadTooSlowProblem.from_dict(data)

                return componentsschemas_any_problem_type_27
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_28 = ConflictProblem.from_dict(data)

                return componentsschemas_any_problem_type_28
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_29 = TenantExistsProblem.from_dict(data)

                return componentsschemas_any_problem_type_29
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_30 = InvalidStateProblem.from_dict(data)

                return componentsschemas_any_problem_type_30
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_31 = PlanLimitExceededProblem.from_dict(data)

                return componentsschemas_any_problem_type_31
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_32 = WebhookDisabledProblem.from_dict(data)

                return componentsschemas_any_problem_type_32
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_33 = SettingsOutdatedProblem.from_dict(data)

                return componentsschemas_any_problem_type_33
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_34 = IdempotencyInProgressProblem.from_dict(data)

                return componentsschemas_any_problem_type_34
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_35 = DuplicateRowProblem.from_dict(data)

                return componentsschemas_any_problem_type_35
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_36 = CursorExpiredProblem.from_dict(data)

                return componentsschemas_any_problem_type_36
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_37 = PreconditionFailedProblem.from_dict(data)

                return componentsschemas_any_problem_type_37
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_38 = BodyTooLargeProblem.from_dict(data)

                return componentsschemas_any_problem_type_38
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_39 = UploadTooLargeProblem.from_dict(data)

                return componentsschemas_any_problem_type_39
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_40 = UnsupportedMediaTypeProblem.from_dict(data)

                return componentsschemas_any_problem_type_40
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_41 = IdempotencyKeyReusedProblem.from_dict(data)

                return componentsschemas_any_problem_type_41
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_42 = PreconditionRequiredProblem.from_dict(data)

                return componentsschemas_any_problem_type_42
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_43 = RateLimitedProblem.from_dict(data)

                return componentsschemas_any_problem_type_43
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_44 = TooManyLongRequestsProblem.from_dict(data)

                return componentsschemas_any_problem_type_44
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_45 = InternalErrorProblem.from_dict(data)

                return componentsschemas_any_problem_type_45
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_46 = SecretUnavailableProblem.from_dict(data)

                return componentsschemas_any_problem_type_46
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_47 = StorageUnavailableProblem.from_dict(data)

                return componentsschemas_any_problem_type_47
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_any_problem_type_48 = ServerBusyProblem.from_dict(data)

                return componentsschemas_any_problem_type_48
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            if not isinstance(data, dict):
                raise TypeError()
            componentsschemas_any_problem_type_49 = OtherProblem.from_dict(data)

            return componentsschemas_any_problem_type_49

        example = _parse_example(d.pop("example"))

        additional_properties = d
        return cls(
            type_=type_,
            code=code,
            title=title,
            status=status,
            meaning=meaning,
            remedy=remedy,
            example=example,
            additional_properties=additional_properties,
        )

    @property
    def type(self) -> str:
        """Return `type_`."""
        return self.type_

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
