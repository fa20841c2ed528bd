from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.event_tenant_status import EventTenantStatus, check_event_tenant_status
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.event_tenant_metadata import EventTenantMetadata


T = TypeVar("T", bound="EventTenant")


@_attrs_frozen(kw_only=True)
class EventTenant:
    """A tenant after the event. Some days after it was purged, only its ids, status, version and times are left.

    Attributes:
        tenant (str): The id of the tenant, which the server chooses. It never changes.
        partner (str): The partner to which the tenant belongs.
        status (EventTenantStatus): The state of the tenant. `provisioning` until the application has set it up,
            `failed` if it could not.
        version (int): The number of the tenant's current version, from 1, raised by each change. `ETag` has it in
            quotes.
        created_at (datetime.datetime): The time of the creation.
        updated_at (datetime.datetime): The time of the last change.
        deleted_at (datetime.datetime | None): The time of the deletion; null unless the tenant is deleted.
        purge_at (datetime.datetime | None): The time from which a deleted tenant is removed for good; until then it
            can be restored. Null unless it is deleted.
        external_id (None | str | Unset): Your own id of the tenant, unique among your tenants; null or absent if
            you have none. 1 to 128 characters.
        client_name (str | Unset): The name of the customer. 1 to 255 characters after white space around it is
            removed; one must be visible.
        email (str | Unset): The email address of the customer's first administrator, unique among your tenants
            without regard to case. It is stored as it was sent. 254 characters at most.
        phone_number (None | str | Unset): A telephone number; null or absent if there is none.
        industry (None | str | Unset): The industry of the customer, in your own words; null or absent if it is not
            known. 100 characters at most.
        plan (None | str | Unset): The name of the commercial plan; null or absent for a tenant without one. 100
            characters at most.
        metadata (EventTenantMetadata | Unset): Your own data about the tenant, by key; null means none. Up to 50
            keys of 1 to 40 characters, with texts of up to 500 characters.
        suspended_reason (None | str | Unset): The reason that was given for the suspension; null if there is none
            or the tenant is not suspended.
        erased (bool | Unset): True once the identifying data of a purged tenant was removed from the event; else
            absent.
    """

    tenant: str
    partner: str
    status: EventTenantStatus
    version: int
    created_at: datetime.datetime
    updated_at: datetime.datetime
    deleted_at: datetime.datetime | None
    purge_at: datetime.datetime | None
    external_id: None | str | Unset = UNSET
    client_name: str | Unset = UNSET
    email: str | Unset = UNSET
    phone_number: None | str | Unset = UNSET
    industry: None | str | Unset = UNSET
    plan: None | str | Unset = UNSET
    metadata: EventTenantMetadata | Unset = UNSET
    suspended_reason: None | str | Unset = UNSET
    erased: bool | Unset = UNSET
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        tenant = self.tenant
        partner = self.partner
        status: str = self.status
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
        external_id: None | str | Unset
        if isinstance(self.external_id, Unset):
            external_id = UNSET
        else:
            external_id = self.external_id
        client_name = self.client_name
        email = self.email
        phone_number: None | str | Unset
        if isinstance(self.phone_number, Unset):
            phone_number = UNSET
        else:
            phone_number = self.phone_number
        industry: None | str | Unset
        if isinstance(self.industry, Unset):
            industry = UNSET
        else:
            industry = self.industry
        plan: None | str | Unset
        if isinstance(self.plan, Unset):
            plan = UNSET
        else:
            plan = self.plan
        metadata: dict[str, Any] | Unset = UNSET
        if not isinstance(self.metadata, Unset):
            metadata = self.metadata.to_dict()
        suspended_reason: None | str | Unset
        if isinstance(self.suspended_reason, Unset):
            suspended_reason = UNSET
        else:
            suspended_reason = self.suspended_reason
        erased = self.erased
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["tenant"] = tenant
        field_dict["partner"] = partner
        field_dict["status"] = status
        field_dict["version"] = version
        field_dict["created_at"] = created_at
        field_dict["updated_at"] = updated_at
        field_dict["deleted_at"] = deleted_at
        field_dict["purge_at"] = purge_at
        if external_id is not UNSET:
            field_dict["external_id"] = external_id
        if client_name is not UNSET:
            field_dict["client_name"] = client_name
        if email is not UNSET:
            field_dict["email"] = email
        if phone_number is not UNSET:
            field_dict["phone_number"] = phone_number
        if industry is not UNSET:
            field_dict["industry"] = industry
        if plan is not UNSET:
            field_dict["plan"] = plan
        if metadata is not UNSET:
            field_dict["metadata"] = metadata
        if suspended_reason is not UNSET:
            field_dict["suspended_reason"] = suspended_reason
        if erased is not UNSET:
            field_dict["erased"] = erased
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        from ..models.event_tenant_metadata import EventTenantMetadata  # noqa: PLC0415

        d = dict(src_dict)
        tenant = d.pop("tenant")
        partner = d.pop("partner")
        status = check_event_tenant_status(d.pop("status"))

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

        def _parse_external_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        external_id = _parse_external_id(d.pop("external_id", UNSET))

        client_name = d.pop("client_name", UNSET)
        email = d.pop("email", UNSET)

        def _parse_phone_number(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        phone_number = _parse_phone_number(d.pop("phone_number", UNSET))

        def _parse_industry(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        industry = _parse_industry(d.pop("industry", UNSET))

        def _parse_plan(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        plan = _parse_plan(d.pop("plan", UNSET))

        _metadata = d.pop("metadata", UNSET)
        metadata: EventTenantMetadata | Unset
        if isinstance(_metadata, Unset):
            metadata = UNSET
        else:
            metadata = EventTenantMetadata.from_dict(_metadata)

        def _parse_suspended_reason(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        suspended_reason = _parse_suspended_reason(d.pop("suspended_reason", UNSET))

        erased = d.pop("erased", UNSET)
        additional_properties = d
        return cls(
            tenant=tenant,
            partner=partner,
            status=status,
            version=version,
            created_at=created_at,
            updated_at=updated_at,
            deleted_at=deleted_at,
            purge_at=purge_at,
            external_id=external_id,
            client_name=client_name,
            email=email,
            phone_number=phone_number,
            industry=industry,
            plan=plan,
            metadata=metadata,
            suspended_reason=suspended_reason,
            erased=erased,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
