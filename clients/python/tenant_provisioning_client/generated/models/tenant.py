from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.tenant_status import TenantStatus, check_tenant_status

if TYPE_CHECKING:
    from ..models.tenant_metadata import TenantMetadata


T = TypeVar("T", bound="Tenant")


@_attrs_frozen(kw_only=True)
class Tenant:
    """Tenant

    Attributes:
        tenant (str):
        partner (str):
        external_id (None | str):
        client_name (str):
        email (str): An email address with valid syntax (no DNS lookup); stored as sent.
        phone_number (None | str): A telephone number: digits and the usual signs.
        industry (None | str):
        plan (None | str): The name of a plan; one of the host's `plans` if it declares any.
        metadata (TenantMetadata): Up to 50 strings by key.
        status (TenantStatus):
        suspended_reason (None | str):
        version (int):
        created_at (datetime.datetime):
        updated_at (datetime.datetime):
        deleted_at (datetime.datetime | None):
        purge_at (datetime.datetime | None):
    """

    tenant: str
    partner: str
    external_id: None | str
    client_name: str
    email: str
    phone_number: None | str
    industry: None | str
    plan: None | str
    metadata: TenantMetadata
    status: TenantStatus
    suspended_reason: None | str
    version: int
    created_at: datetime.datetime
    updated_at: datetime.datetime
    deleted_at: datetime.datetime | None
    purge_at: datetime.datetime | None
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        tenant = self.tenant
        partner = self.partner
        external_id: None | str
        external_id = self.external_id
        client_name = self.client_name
        email = self.email
        phone_number: None | str
        phone_number = self.phone_number
        industry: None | str
        industry = self.industry
        plan: None | str
        plan = self.plan
        metadata = self.metadata.to_dict()
        status: str = self.status
        suspended_reason: None | str
        suspended_reason = self.suspended_reason
        version = self.version
        created_at = self.created_at.isoformat()
        updated_at = self.updated_at.isoformat()
        deleted_at: None | str
        if isinstance(self.deleted_at, datetime.datetime):
            deleted_at = self.deleted_at.isoformat()
        else:
            deleted_at = self.deleted_at
        purge_at: None | str
        if isinstance(self.purge_at, datetime.datetime):
            purge_at = self.purge_at.isoformat()
        else:
            purge_at = self.purge_at
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["tenant"] = tenant
        field_dict["partner"] = partner
        field_dict["external_id"] = external_id
        field_dict["client_name"] = client_name
        field_dict["email"] = email
        field_dict["phone_number"] = phone_number
        field_dict["industry"] = industry
        field_dict["plan"] = plan
        field_dict["metadata"] = metadata
        field_dict["status"] = status
        field_dict["suspended_reason"] = suspended_reason
        field_dict["version"] = version
        field_dict["created_at"] = created_at
        field_dict["updated_at"] = updated_at
        field_dict["deleted_at"] = deleted_at
        field_dict["purge_at"] = purge_at
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        from ..models.tenant_metadata import TenantMetadata  # noqa: PLC0415

        d = dict(src_dict)
        tenant = d.pop("tenant")
        partner = d.pop("partner")

        def _parse_external_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        external_id = _parse_external_id(d.pop("external_id"))

        client_name = d.pop("client_name")
        email = d.pop("email")

        def _parse_phone_number(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        phone_number = _parse_phone_number(d.pop("phone_number"))

        def _parse_industry(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        industry = _parse_industry(d.pop("industry"))

        def _parse_plan(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        plan = _parse_plan(d.pop("plan"))

        metadata = TenantMetadata.from_dict(d.pop("metadata"))

        status = check_tenant_status(d.pop("status"))

        def _parse_suspended_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        suspended_reason = _parse_suspended_reason(d.pop("suspended_reason"))

        version = d.pop("version")
        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))

        def _parse_deleted_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                deleted_at_type_0 = datetime.datetime.fromisoformat(data)

                return deleted_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        deleted_at = _parse_deleted_at(d.pop("deleted_at"))

        def _parse_purge_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                purge_at_type_0 = datetime.datetime.fromisoformat(data)

                return purge_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        purge_at = _parse_purge_at(d.pop("purge_at"))

        additional_properties = d
        return cls(
            tenant=tenant,
            partner=partner,
            external_id=external_id,
            client_name=client_name,
            email=email,
            phone_number=phone_number,
            industry=industry,
            plan=plan,
            metadata=metadata,
            status=status,
            suspended_reason=suspended_reason,
            version=version,
            created_at=created_at,
            updated_at=updated_at,
            deleted_at=deleted_at,
            purge_at=purge_at,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
