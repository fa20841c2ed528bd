from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.database_health_status import DatabaseHealthStatus, check_database_health_status

T = TypeVar("T", bound="DatabaseHealth")


@_attrs_frozen(kw_only=True)
class DatabaseHealth:
    """The database: the time of its response in milliseconds, and `read-only` while it refuses writes.

    Attributes:
        status (DatabaseHealthStatus): `read-only` while the database refuses writes.
        latency_ms (float): How long the database took to respond, in milliseconds.
    """

    status: DatabaseHealthStatus
    latency_ms: float
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        status: str = self.status
        latency_ms = self.latency_ms
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["status"] = status
        field_dict["latency_ms"] = latency_ms
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        status = check_database_health_status(d.pop("status"))

        latency_ms = d.pop("latency_ms")
        additional_properties = d
        return cls(
            status=status,
            latency_ms=latency_ms,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
