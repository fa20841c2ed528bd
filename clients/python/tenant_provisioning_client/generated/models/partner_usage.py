from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

if TYPE_CHECKING:
    from ..models.tenant_count import TenantCount


T = TypeVar("T", bound="PartnerUsage")


@_attrs_frozen(kw_only=True)
class PartnerUsage:
    """A partner's tenants, and how many more it may have; deleted tenants do not count against the limit.

    Attributes:
        partner (str): The id of the partner.
        name (None | str): The name of the partner; null if none is known.
        status (str): The status of the partner: `active` or `suspended`.
        tenants (TenantCount): The number of tenants in each status.
        max_tenants (int | None): How many tenants the partner may have, without deleted ones; null for no limit.
        remaining (int | None): How many more tenants the partner may create; null for no limit.
    """

    partner: str
    name: None | str
    status: str
    tenants: TenantCount
    max_tenants: int | None
    remaining: int | None
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        partner = self.partner
        name: None | str
        name = self.name
        status = self.status
        tenants = self.tenants.to_dict()
        max_tenants: int | None
        max_tenants = self.max_tenants
        remaining: int | None
        remaining = self.remaining
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["partner"] = partner
        field_dict["name"] = name
        field_dict["status"] = status
        field_dict["tenants"] = tenants
        field_dict["max_tenants"] = max_tenants
        field_dict["remaining"] = remaining
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        from ..models.tenant_count import TenantCount  # noqa: PLC0415

        d = dict(src_dict)
        partner = d.pop("partner")

        def _parse_name(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        name = _parse_name(d.pop("name"))

        status = d.pop("status")
        tenants = TenantCount.from_dict(d.pop("tenants"))

        def _parse_max_tenants(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        max_tenants = _parse_max_tenants(d.pop("max_tenants"))

        def _parse_remaining(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        remaining = _parse_remaining(d.pop("remaining"))

        additional_properties = d
        return cls(
            partner=partner,
            name=name,
            status=status,
            tenants=tenants,
            max_tenants=max_tenants,
            remaining=remaining,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
