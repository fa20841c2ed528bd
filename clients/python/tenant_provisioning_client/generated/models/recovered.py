from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

T = TypeVar("T", bound="Recovered")


@_attrs_frozen(kw_only=True)
class Recovered:
    """The number of `deliveries` created for events since that time.

    Attributes:
        webhook (str): The id of the endpoint.
        since (datetime.datetime): The time from which events are sent again.
        deliveries (int): The number of deliveries that were created.
    """

    webhook: str
    since: datetime.datetime
    deliveries: int
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        webhook = self.webhook
        since = self.since.isoformat()
        deliveries = self.deliveries
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["webhook"] = webhook
        field_dict["since"] = since
        field_dict["deliveries"] = deliveries
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        webhook = d.pop("webhook")
        since = datetime.datetime.fromisoformat(d.pop("since"))

        deliveries = d.pop("deliveries")
        additional_properties = d
        return cls(
            webhook=webhook,
            since=since,
            deliveries=deliveries,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
