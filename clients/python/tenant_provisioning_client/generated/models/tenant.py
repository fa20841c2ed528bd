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
    """A tenant: a customer of yours, or a part of one, with data of its own in this application.

    Attributes:
        tenant (str): The id of the tenant, which the server chooses. It never changes.
        partner (str): The partner to which the tenant belongs.
        external_id (None | str): Your own id of the tenant, unique among your tenants; null or absent if you have
            none. 1 to 128 characters.
        client_name (str): The name of the customer. 1 to 255 characters after white space around it is removed; one
            must be visible.
        email (str): The email address of the customer's first administrator, unique among your tenants without
            regard to case. It is stored as it was sent. 254 characters at most.
        phone_number (None | str): A telephone number; null or absent if there is none.
        industry (None | str): The industry of the customer, in your own words; null or absent if it is not known.
            100 characters at most.
        plan (None | str): The name of the commercial plan; null or absent for a tenant without one. 100 characters
            at most.
        metadata (TenantMetadata): Your own data about the tenant, by key; null means none. Up to 50 keys of 1 to 40
            characters, with texts of up to 500 characters.
        status (TenantStatus): The state of the tenant. `provisioning` until the application has set it up, `failed`
            if it could not.
        suspended_reason (None | str): The reason that was given for the suspension; null if there is none or the
            tenant is not suspended.
        version (int): The number of the tenant's current version, from 1, raised by each change. `ETag` has it in
            quotes.
        created_at (datetime.datetime): The time of the creation.
        updated_at (datetime.datetime): The time of the last change.
        deleted_at (datetime.datetime | None): The time of the deletion; null unless the tenant is deleted.
        purge_at (datetime.datetime | None): The time from which a deleted tenant is removed for good; until then it
            can be restored. Null unless it is deleted.
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
