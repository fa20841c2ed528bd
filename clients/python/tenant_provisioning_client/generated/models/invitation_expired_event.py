from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

if TYPE_CHECKING:
    from ..models.actor import Actor
    from ..models.event_envelope_changes import EventEnvelopeChanges
    from ..models.event_invitation import EventInvitation


T = TypeVar("T", bound="InvitationExpiredEvent")


@_attrs_frozen(kw_only=True)
class InvitationExpiredEvent:
    """An invitation was not accepted in time.

    Attributes:
        id (str): The id of the event; the same in the feed and in every delivery.
        type_ (str): `invitation.expired`.
        timestamp (datetime.datetime): The time of the change.
        partner (str): The partner in whose feed the event is.
        tenant (None | str): The id of the tenant that the event is about; null for other events.
        request_id (None | str): The id of the request that caused the event; null if none did.
        actor (Actor): The actor of an event. `address` and `user_agent` are shown to callers with `audit:read`.
        changes (EventEnvelopeChanges): Each field that changed, with its values before and after; empty for a
            creation.
        data (EventInvitation): An invitation after the event. Callers without `invitation:read` see only its id.
            Some days after its tenant was purged, only the ids, the version and the times of creation and of the last
            change are left.
    """

    id: str
    type_: str
    timestamp: datetime.datetime
    partner: str
    tenant: None | str
    request_id: None | str
    actor: Actor
    changes: EventEnvelopeChanges
    data: EventInvitation
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        id = self.id
        type_ = self.type_
        timestamp = self.timestamp.isoformat()
        partner = self.partner
        tenant: None | str
        tenant = self.tenant
        request_id: None | str
        request_id = self.request_id
        actor = self.actor.to_dict()
        changes = self.changes.to_dict()
        data = self.data.to_dict()
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["id"] = id
        field_dict["type"] = type_
        field_dict["timestamp"] = timestamp
        field_dict["partner"] = partner
        field_dict["tenant"] = tenant
        field_dict["request_id"] = request_id
        field_dict["actor"] = actor
        field_dict["changes"] = changes
        field_dict["data"] = data
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        from ..models.actor import Actor  # noqa: PLC0415
        from ..models.event_envelope_changes import EventEnvelopeChanges  # noqa: PLC0415
        from ..models.event_invitation import EventInvitation  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id")
        type_ = d.pop("type")
        timestamp = datetime.datetime.fromisoformat(d.pop("timestamp"))

        partner = d.pop("partner")

        def _parse_tenant(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        tenant = _parse_tenant(d.pop("tenant"))

        def _parse_request_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        request_id = _parse_request_id(d.pop("request_id"))

        actor = Actor.from_dict(d.pop("actor"))

        changes = EventEnvelopeChanges.from_dict(d.pop("changes"))

        data = EventInvitation.from_dict(d.pop("data"))

        additional_properties = d
        return cls(
            id=id,
            type_=type_,
            timestamp=timestamp,
            partner=partner,
            tenant=tenant,
            request_id=request_id,
            actor=actor,
            changes=changes,
            data=data,
            additional_properties=additional_properties,
        )

    @property
    def type(self) -> str:
        """Return `type_`."""
        return self.type_

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
