from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

if TYPE_CHECKING:
    from ..models.change import Change


T = TypeVar("T", bound="SettingsVersionChanges")


@_attrs_frozen(eq=False)
class SettingsVersionChanges(Mapping[str, "Change"]):
    """Each changed key, as namespace and key with a dot between them, with its values before and after."""

    additional_properties: Mapping[str, Change] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        field_dict: dict[str, Any] = {}
        for prop_name, prop in self.additional_properties.items():
            field_dict[prop_name] = prop.to_dict()
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        from ..models.change import Change  # noqa: PLC0415

        d = dict(src_dict)
        additional_properties = {}
        for prop_name, prop_dict in d.items():
            additional_property = Change.from_dict(prop_dict)

            additional_properties[prop_name] = additional_property
        return cls(
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Change:
        return self.additional_properties[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.additional_properties)

    def __len__(self) -> int:
        return len(self.additional_properties)
