from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

if TYPE_CHECKING:
    from ..models.effective_settings import EffectiveSettings
    from ..models.explicit_settings import ExplicitSettings
    from ..models.settings_sources import SettingsSources


T = TypeVar("T", bound="Settings")


@_attrs_frozen(kw_only=True)
class Settings:
    """Settings: the effective values, the explicit ones and the source of each key. Secrets are shown as `********`.

    Attributes:
        version (int): The number of the current version; 0 until something is set. `ETag` has it in quotes.
        effective (EffectiveSettings): The values that apply to the tenant, wherever they come from, by namespace
            and key.
        explicit (ExplicitSettings): The values that were set here rather than inherited, by namespace and key.
        sources (SettingsSources): Where each effective value comes from, by namespace and key with a dot between
            them.
    """

    version: int
    effective: EffectiveSettings
    explicit: ExplicitSettings
    sources: SettingsSources
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        version = self.version
        effective = self.effective.to_dict()
        explicit = self.explicit.to_dict()
        sources = self.sources.to_dict()
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["version"] = version
        field_dict["effective"] = effective
        field_dict["explicit"] = explicit
        field_dict["sources"] = sources
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        from ..models.effective_settings import EffectiveSettings  # noqa: PLC0415
        from ..models.explicit_settings import ExplicitSettings  # noqa: PLC0415
        from ..models.settings_sources import SettingsSources  # noqa: PLC0415

        d = dict(src_dict)
        version = d.pop("version")
        effective = EffectiveSettings.from_dict(d.pop("effective"))

        explicit = ExplicitSettings.from_dict(d.pop("explicit"))

        sources = SettingsSources.from_dict(d.pop("sources"))

        additional_properties = d
        return cls(
            version=version,
            effective=effective,
            explicit=explicit,
            sources=sources,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
