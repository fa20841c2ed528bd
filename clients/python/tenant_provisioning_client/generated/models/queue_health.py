from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.queue_health_kind import QueueHealthKind, check_queue_health_kind

T = TypeVar("T", bound="QueueHealth")


@_attrs_frozen(kw_only=True)
class QueueHealth:
    """The work of one kind that is due and that no worker has.

    Attributes:
        kind (QueueHealthKind): The kind of work.
        due (int): The number of due items; at most 10,000 are counted.
        lag_seconds (float): The age of the oldest due item, in seconds.
    """

    kind: QueueHealthKind
    due: int
    lag_seconds: float
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        kind: str = self.kind
        due = self.due
        lag_seconds = self.lag_seconds
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["kind"] = kind
        field_dict["due"] = due
        field_dict["lag_seconds"] = lag_seconds
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        kind = check_queue_health_kind(d.pop("kind"))

        due = d.pop("due")
        lag_seconds = d.pop("lag_seconds")
        additional_properties = d
        return cls(
            kind=kind,
            due=due,
            lag_seconds=lag_seconds,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
