from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.worker_health_status import WorkerHealthStatus, check_worker_health_status

T = TypeVar("T", bound="WorkerHealth")


@_attrs_frozen(kw_only=True)
class WorkerHealth:
    """The backlog of the workers, all kinds of work together (steps, deliveries, bulk jobs, events without a position
    in the feed): the number of due items, and the age of the oldest in seconds.

        Attributes:
            status (WorkerHealthStatus): `late` if the oldest due work has waited for more than 60 seconds.
            due (int): The number of due items of work of all kinds.
            lag_seconds (float): How long the oldest due work has waited, in seconds.
    """

    status: WorkerHealthStatus
    due: int
    lag_seconds: float
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        status: str = self.status
        due = self.due
        lag_seconds = self.lag_seconds
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["status"] = status
        field_dict["due"] = due
        field_dict["lag_seconds"] = lag_seconds
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        status = check_worker_health_status(d.pop("status"))

        due = d.pop("due")
        lag_seconds = d.pop("lag_seconds")
        additional_properties = d
        return cls(
            status=status,
            due=due,
            lag_seconds=lag_seconds,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
