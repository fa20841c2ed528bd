from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

T = TypeVar("T", bound="EventTenantMetadata")


@_attrs_frozen(eq=False)
class EventTenantMetadata(Mapping[str, "str"]):
    """Your own data about the tenant, by key; null means none. Up to 50 keys of 1 to 40 characters, with texts of up
    to 500 characters.

    """

    additional_properties: Mapping[str, str] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        additional_properties = d
        return cls(
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> str:
        return self.additional_properties[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.additional_properties)

    def __len__(self) -> int:
        return len(self.additional_properties)
