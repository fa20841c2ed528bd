from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

T = TypeVar("T", bound="TenantCount")


@_attrs_frozen(kw_only=True)
class TenantCount:
    """The number of tenants in each status.

    Attributes:
        active (int): The number of tenants that are `active`.
        suspended (int): The number of tenants that are `suspended`.
        provisioning (int): The number of tenants that are `provisioning`.
        failed (int): The number of tenants that are `failed`.
        deleted (int): The number of tenants that are `deleted` and can still be restored.
        total (int): The number of all tenants, deleted ones included.
    """

    active: int
    suspended: int
    provisioning: int
    failed: int
    deleted: int
    total: int
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        active = self.active
        suspended = self.suspended
        provisioning = self.provisioning
        failed = self.failed
        deleted = self.deleted
        total = self.total
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["active"] = active
        field_dict["suspended"] = suspended
        field_dict["provisioning"] = provisioning
        field_dict["failed"] = failed
        field_dict["deleted"] = deleted
        field_dict["total"] = total
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        active = d.pop("active")
        suspended = d.pop("suspended")
        provisioning = d.pop("provisioning")
        failed = d.pop("failed")
        deleted = d.pop("deleted")
        total = d.pop("total")
        additional_properties = d
        return cls(
            active=active,
            suspended=suspended,
            provisioning=provisioning,
            failed=failed,
            deleted=deleted,
            total=total,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
