from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.delivery_state import DeliveryState, check_delivery_state

T = TypeVar("T", bound="Delivery")


@_attrs_frozen(kw_only=True)
class Delivery:
    """The delivery of one event to one endpoint. `event` is sent as `webhook-id` with every attempt.

    Attributes:
        delivery (str): The id of the delivery.
        webhook (str): The id of the endpoint.
        partner (str): The partner to whom the endpoint belongs.
        event (str): The id of the event, sent as `webhook-id` with every attempt.
        tenant (None | str): The id of the tenant that the event is about; null for other events.
        state (DeliveryState): Whether the event is still to be sent, has arrived, or is given up.
        attempts (int): How often it was sent so far.
        resent (bool): Whether it was requested by hand and is attempted once.
        next_attempt_at (datetime.datetime | None): The time of the next attempt; null if none is planned.
        created_at (datetime.datetime): The time at which the delivery was created.
        finished_at (datetime.datetime | None): The time at which it succeeded or was given up; null before that.
    """

    delivery: str
    webhook: str
    partner: str
    event: str
    tenant: None | str
    state: DeliveryState
    attempts: int
    resent: bool
    next_attempt_at: datetime.datetime | None
    created_at: datetime.datetime
    finished_at: datetime.datetime | None
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        delivery = self.delivery
        webhook = self.webhook
        partner = self.partner
        event = self.event
        tenant: None | str
        tenant = self.tenant
        state: str = self.state
        attempts = self.attempts
        resent = self.resent
        next_attempt_at: None | str
        if isinstance(self.next_attempt_at, datetime.datetime):
            next_attempt_at = self.next_attempt_at.isoformat()
        else:
            next_attempt_at = self.next_attempt_at
        created_at = self.created_at.isoformat()
        finished_at: None | str
        if isinstance(self.finished_at, datetime.datetime):
            finished_at = self.finished_at.isoformat()
        else:
            finished_at = self.finished_at
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["delivery"] = delivery
        field_dict["webhook"] = webhook
        field_dict["partner"] = partner
        field_dict["event"] = event
        field_dict["tenant"] = tenant
        field_dict["state"] = state
        field_dict["attempts"] = attempts
        field_dict["resent"] = resent
        field_dict["next_attempt_at"] = next_attempt_at
        field_dict["created_at"] = created_at
        field_dict["finished_at"] = finished_at
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        delivery = d.pop("delivery")
        webhook = d.pop("webhook")
        partner = d.pop("partner")
        event = d.pop("event")

        def _parse_tenant(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        tenant = _parse_tenant(d.pop("tenant"))

        state = check_delivery_state(d.pop("state"))

        attempts = d.pop("attempts")
        resent = d.pop("resent")

        def _parse_next_attempt_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                next_attempt_at_type_0 = datetime.datetime.fromisoformat(data)

                return next_attempt_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        next_attempt_at = _parse_next_attempt_at(d.pop("next_attempt_at"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        def _parse_finished_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                finished_at_type_0 = datetime.datetime.fromisoformat(data)

                return finished_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        finished_at = _parse_finished_at(d.pop("finished_at"))

        additional_properties = d
        return cls(
            delivery=delivery,
            webhook=webhook,
            partner=partner,
            event=event,
            tenant=tenant,
            state=state,
            attempts=attempts,
            resent=resent,
            next_attempt_at=next_attempt_at,
            created_at=created_at,
            finished_at=finished_at,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
