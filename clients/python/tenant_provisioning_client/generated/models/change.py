from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

T = TypeVar("T", bound="Change")


@_attrs_frozen(kw_only=True)
class Change:
    """The previous and the new value of a field.

    Attributes:
        previous (Any): The value before the change: any JSON value; null if there was none.
        new (Any): The value after the change: any JSON value; null if it was removed.
    """

    previous: Any
    new: Any
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        previous = self.previous
        new = self.new
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["previous"] = previous
        field_dict["new"] = new
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        previous = d.pop("previous")
        new = d.pop("new")
        additional_properties = d
        return cls(
            previous=previous,
            new=new,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
