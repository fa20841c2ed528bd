from typing import Literal

SettingsSourcesAdditionalProperty = Literal["default", "partner", "plan", "tenant"] | str


def check_settings_sources_additional_property(value: str) -> SettingsSourcesAdditionalProperty:
    """Return `value`, also one that this version does not know."""
    return value
