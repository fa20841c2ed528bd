from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.partner_status import PartnerStatus, check_partner_status

T = TypeVar("T", bound="Partner")


@_attrs_frozen(kw_only=True)
class Partner:
    """A partner. Null in `max_tenants` or `allowed_plans` means no limit.

    Attributes:
        partner (str): The id of the partner, as tokens name it.
        name (None | str): The name of the partner, for people; null if none is known. 1 to 255 characters.
        contact (None | str): How to reach the partner, such as an email address; null if it is not known. 1 to 255
            characters.
        status (PartnerStatus): `suspended` refuses all of the partner's requests.
        suspended_reason (None | str): The reason of the suspension; null if there is none. 1 to 500 characters.
        parent (None | str): The partner above this one, which sees its tenants; null if there is none.
        max_tenants (int | None): How many tenants the partner may have, without deleted ones; null for no limit.
        allowed_plans (list[str] | None): The plans that the partner may use for its tenants, up to 100; null for
            all.
        version (int): The number of the partner's current version, from 1, raised by each change. `ETag` has it in
            quotes.
        created_at (datetime.datetime): The time of the registration.
        updated_at (datetime.datetime): The time of the last change.
    """

    partner: str
    name: None | str
    contact: None | str
    status: PartnerStatus
    suspended_reason: None | str
    parent: None | str
    max_tenants: int | None
    allowed_plans: list[str] | None
    version: int
    created_at: datetime.datetime
    updated_at: datetime.datetime
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        partner = self.partner
        name: None | str
        name = self.name
        contact: None | str
        contact = self.contact
        status: str = self.status
        suspended_reason: None | str
        suspended_reason = self.suspended_reason
        parent: None | str
        parent = self.parent
        max_tenants: int | None
        max_tenants = self.max_tenants
        allowed_plans: list[str] | None
        if isinstance(self.allowed_plans, list):
            allowed_plans = self.allowed_plans

        else:
            allowed_plans = self.allowed_plans
        version = self.version
        created_at = self.created_at.isoformat()
        updated_at = self.updated_at.isoformat()
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["partner"] = partner
        field_dict["name"] = name
        field_dict["contact"] = contact
        field_dict["status"] = status
        field_dict["suspended_reason"] = suspended_reason
        field_dict["parent"] = parent
        field_dict["max_tenants"] = max_tenants
        field_dict["allowed_plans"] = allowed_plans
        field_dict["version"] = version
        field_dict["created_at"] = created_at
        field_dict["updated_at"] = updated_at
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        partner = d.pop("partner")

        def _parse_name(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        name = _parse_name(d.pop("name"))

        def _parse_contact(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        contact = _parse_contact(d.pop("contact"))

        status = check_partner_status(d.pop("status"))

        def _parse_suspended_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        suspended_reason = _parse_suspended_reason(d.pop("suspended_reason"))

        def _parse_parent(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        parent = _parse_parent(d.pop("parent"))

        def _parse_max_tenants(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        max_tenants = _parse_max_tenants(d.pop("max_tenants"))

        def _parse_allowed_plans(data: object) -> list[str] | None:
            if data is None:
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                allowed_plans_type_0 = cast(list[str], data)

                return allowed_plans_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None, data)

        allowed_plans = _parse_allowed_plans(d.pop("allowed_plans"))

        version = d.pop("version")
        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))

        additional_properties = d
        return cls(
            partner=partner,
            name=name,
            contact=contact,
            status=status,
            suspended_reason=suspended_reason,
            parent=parent,
            max_tenants=max_tenants,
            allowed_plans=allowed_plans,
            version=version,
            created_at=created_at,
            updated_at=updated_at,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
