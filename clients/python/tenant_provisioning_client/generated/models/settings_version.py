from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

if TYPE_CHECKING:
    from ..models.settings_actor import SettingsActor
    from ..models.settings_version_changes import SettingsVersionChanges


T = TypeVar("T", bound="SettingsVersion")


@_attrs_frozen(kw_only=True)
class SettingsVersion:
    """One version of settings: its author, its time, and each changed key. Secrets are shown as `********`.

    Attributes:
        version (int): The number of the version.
        timestamp (datetime.datetime): The time of the version.
        actor (SettingsActor): The author of a version.
        request_id (None | str): The id of the request that made the version; null if there was none.
        changes (SettingsVersionChanges): Each changed key, as namespace and key with a dot between them, with its
            values before and after.
    """

    version: int
    timestamp: datetime.datetime
    actor: SettingsActor
    request_id: None | str
    changes: SettingsVersionChanges
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        version = self.version
        timestamp = self.timestamp.isoformat()
        actor = self.actor.to_dict()
        request_id: None | str
        request_id = self.request_id
        changes = self.changes.to_dict()
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["version"] = version
        field_dict["timestamp"] = timestamp
        field_dict["actor"] = actor
        field_dict["request_id"] = request_id
        field_dict["changes"] = changes
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        from ..models.settings_actor import SettingsActor  # noqa: PLC0415
        from ..models.settings_version_changes import SettingsVersionChanges  # noqa: PLC0415

        d = dict(src_dict)
        version = d.pop("version")
        timestamp = datetime.datetime.fromisoformat(d.pop("timestamp"))

        actor = SettingsActor.from_dict(d.pop("actor"))

        def _parse_request_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        request_id = _parse_request_id(d.pop("request_id"))

        changes = SettingsVersionChanges.from_dict(d.pop("changes"))

        additional_properties = d
        return cls(
            version=version,
            timestamp=timestamp,
            actor=actor,
            request_id=request_id,
            changes=changes,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
