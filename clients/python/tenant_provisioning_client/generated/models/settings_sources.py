from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.settings_sources_additional_property import (
    SettingsSourcesAdditionalProperty,
    check_settings_sources_additional_property,
)

T = TypeVar("T", bound="SettingsSources")


@_attrs_frozen(eq=False)
class SettingsSources(Mapping[str, "SettingsSourcesAdditionalProperty"]):
    """Where each effective value comes from, by namespace and key with a dot between them."""

    additional_properties: Mapping[str, SettingsSourcesAdditionalProperty] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        field_dict: dict[str, Any] = {}
        for prop_name, prop in self.additional_properties.items():
            field_dict[prop_name] = prop
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        additional_properties = {}
        for prop_name, prop_dict in d.items():
            additional_property = check_settings_sources_additional_property(prop_dict)

            additional_properties[prop_name] = additional_property
        return cls(
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> SettingsSourcesAdditionalProperty:
        return self.additional_properties[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.additional_properties)

    def __len__(self) -> int:
        return len(self.additional_properties)
