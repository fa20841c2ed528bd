from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.worker_health_status import WorkerHealthStatus, check_worker_health_status

if TYPE_CHECKING:
    from ..models.queue_health import QueueHealth


T = TypeVar("T", bound="WorkerHealth")


@_attrs_frozen(kw_only=True)
class WorkerHealth:
    """The backlog of the workers, all kinds of work together and each by itself.

    Attributes:
        status (WorkerHealthStatus): `late` if an item has been due for more than 60 seconds.
        due (int): The number of due items of all kinds.
        lag_seconds (float): The age of the oldest due item, in seconds.
        queues (list[QueueHealth]): The backlog by kind of work: steps, webhook deliveries, bulk jobs, and events
            without a position in the feed.
    """

    status: WorkerHealthStatus
    due: int
    lag_seconds: float
    queues: list[QueueHealth]
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        status: str = self.status
        due = self.due
        lag_seconds = self.lag_seconds
        queues = []
        for queues_item_data in self.queues:
            queues_item = queues_item_data.to_dict()
            queues.append(queues_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["status"] = status
        field_dict["due"] = due
        field_dict["lag_seconds"] = lag_seconds
        field_dict["queues"] = queues
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        from ..models.queue_health import QueueHealth  # noqa: PLC0415

        d = dict(src_dict)
        status = check_worker_health_status(d.pop("status"))

        due = d.pop("due")
        lag_seconds = d.pop("lag_seconds")
        queues = []
        _queues = d.pop("queues")
        for queues_item_data in _queues:
            queues_item = QueueHealth.from_dict(queues_item_data)

            queues.append(queues_item)

        additional_properties = d
        return cls(
            status=status,
            due=due,
            lag_seconds=lag_seconds,
            queues=queues,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
