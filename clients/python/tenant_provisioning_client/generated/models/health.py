from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.health_status import HealthStatus, check_health_status

if TYPE_CHECKING:
    from ..models.database_health import DatabaseHealth
    from ..models.worker_health import WorkerHealth


T = TypeVar("T", bound="Health")


@_attrs_frozen(kw_only=True)
class Health:
    """`degraded` if the workers are late or the database is read-only. An unreachable database is a problem document
    (503).

        Attributes:
            status (HealthStatus): `degraded` if workers are late or the database is read-only.
            database (DatabaseHealth): The database: the time of its response in milliseconds, and `read-only` while it
                refuses writes.
            worker (WorkerHealth): The backlog of the workers, all kinds of work together and each by itself.
    """

    status: HealthStatus
    database: DatabaseHealth
    worker: WorkerHealth
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        status: str = self.status
        database = self.database.to_dict()
        worker = self.worker.to_dict()
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["status"] = status
        field_dict["database"] = database
        field_dict["worker"] = worker
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        from ..models.database_health import DatabaseHealth  # noqa: PLC0415
        from ..models.worker_health import WorkerHealth  # noqa: PLC0415

        d = dict(src_dict)
        status = check_health_status(d.pop("status"))

        database = DatabaseHealth.from_dict(d.pop("database"))

        worker = WorkerHealth.from_dict(d.pop("worker"))

        additional_properties = d
        return cls(
            status=status,
            database=database,
            worker=worker,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
