from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import frozen as _attrs_frozen

T = TypeVar("T", bound="SettingsExplicit")


@_attrs_frozen(kw_only=True)
class SettingsExplicit:
    """SettingsExplicit"""

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        field_dict: dict[str, Any] = {}
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        return cls()
