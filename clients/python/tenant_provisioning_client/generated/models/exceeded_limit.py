from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

T = TypeVar("T", bound="ExceededLimit")


@_attrs_frozen(kw_only=True)
class ExceededLimit:
    """A limit of a plan that the tenant's usage exceeds.

    Attributes:
        limit (str): The name of the limit.
        used (int): How much the tenant uses at present.
        allowed (int): How much the plan allows.
    """

    limit: str
    used: int
    allowed: int
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        limit = self.limit
        used = self.used
        allowed = self.allowed
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["limit"] = limit
        field_dict["used"] = used
        field_dict["allowed"] = allowed
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        limit = d.pop("limit")
        used = d.pop("used")
        allowed = d.pop("allowed")
        additional_properties = d
        return cls(
            limit=limit,
            used=used,
            allowed=allowed,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
