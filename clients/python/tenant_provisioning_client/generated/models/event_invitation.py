from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.event_invitation_state import EventInvitationState, check_event_invitation_state
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.admin import Admin
    from ..models.invitation_error import InvitationError


T = TypeVar("T", bound="EventInvitation")


@_attrs_frozen(kw_only=True)
class EventInvitation:
    """An invitation after the event. Callers without `invitation:read` see only its id. Some days after its tenant was
    purged, only the ids, the version and the times of creation and of the last change are left.

        Attributes:
            invitation (str): The id of the invitation.
            tenant (str | Unset): The id of the tenant.
            partner (str | Unset): The partner to which the tenant belongs.
            admin (Admin | Unset): A person who administers a tenant, and is invited to do so.
            state (EventInvitationState | Unset): `waiting` until the tenant is active, `sending` until it was sent,
                then `sent`, or `failed` if no further attempt follows. At last `accepted`, `revoked` or `expired`.
            attempts (int | Unset): How often sending it was attempted, since it was last asked for.
            error (InvitationError | None | Unset): The error of the last attempt; null if there is none.
            next_attempt_at (datetime.datetime | None | Unset): The time of the next attempt; null if none is planned.
            sent_at (datetime.datetime | None | Unset): The time at which it was sent; null before that.
            expires_at (datetime.datetime | None | Unset): The time until which it can be accepted; null while it is
                `waiting`.
            ended_at (datetime.datetime | None | Unset): The time at which it was accepted or revoked, or expired; null
                before that.
            version (int | Unset): The number of the invitation's current version, from 1, raised by each change. `ETag`
                has it in quotes.
            created_at (datetime.datetime | Unset): The time of the creation.
            updated_at (datetime.datetime | Unset): The time of the last change.
            erased (bool | Unset): True once the identifying data of a purged tenant was removed from the event; else
                absent.
    """

    invitation: str
    tenant: str | Unset = UNSET
    partner: str | Unset = UNSET
    admin: Admin | Unset = UNSET
    state: EventInvitationState | Unset = UNSET
    attempts: int | Unset = UNSET
    error: InvitationError | None | Unset = UNSET
    next_attempt_at: datetime.datetime | None | Unset = UNSET
    sent_at: datetime.datetime | None | Unset = UNSET
    expires_at: datetime.datetime | None | Unset = UNSET
    ended_at: datetime.datetime | None | Unset = UNSET
    version: int | Unset = UNSET
    created_at: datetime.datetime | Unset = UNSET
    updated_at: datetime.datetime | Unset = UNSET
    erased: bool | Unset = UNSET
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        from ..models.invitation_error import InvitationError  # noqa: PLC0415

        invitation = self.invitation
        tenant = self.tenant
        partner = self.partner
        admin: dict[str, Any] | Unset = UNSET
        if not isinstance(self.admin, Unset):
            admin = self.admin.to_dict()
        state: str | Unset = UNSET
        if not isinstance(self.state, Unset):
            state = self.state

        attempts = self.attempts
        error: dict[str, Any] | None | Unset
        if isinstance(self.error, Unset):
            error = UNSET
        elif isinstance(self.error, InvitationError):
            error = self.error.to_dict()
        else:
            error = self.error
        next_attempt_at: None | str | Unset
        if isinstance(self.next_attempt_at, Unset):
            next_attempt_at = UNSET
        elif isinstance(self.next_attempt_at, datetime.datetime):
            next_attempt_at = self.next_attempt_at.isoformat()
        else:
            next_attempt_at = self.next_attempt_at
        sent_at: None | str | Unset
        if isinstance(self.sent_at, Unset):
            sent_at = UNSET
        elif isinstance(self.sent_at, datetime.datetime):
            sent_at = self.sent_at.isoformat()
        else:
            sent_at = self.sent_at
        expires_at: None | str | Unset
        if isinstance(self.expires_at, Unset):
            expires_at = UNSET
        elif isinstance(self.expires_at, datetime.datetime):
            expires_at = self.expires_at.isoformat()
        else:
            expires_at = self.expires_at
        ended_at: None | str | Unset
        if isinstance(self.ended_at, Unset):
            ended_at = UNSET
        elif isinstance(self.ended_at, datetime.datetime):
            ended_at = self.ended_at.isoformat()
        else:
            ended_at = self.ended_at
        version = self.version
        created_at: str | Unset = UNSET
        if not isinstance(self.created_at, Unset):
            created_at = self.created_at.isoformat()
        updated_at: str | Unset = UNSET
        if not isinstance(self.updated_at, Unset):
            updated_at = self.updated_at.isoformat()
        erased = self.erased
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["invitation"] = invitation
        if tenant is not UNSET:
            field_dict["tenant"] = tenant
        if partner is not UNSET:
            field_dict["partner"] = partner
        if admin is not UNSET:
            field_dict["admin"] = admin
        if state is not UNSET:
            field_dict["state"] = state
        if attempts is not UNSET:
            field_dict["attempts"] = attempts
        if error is not UNSET:
            field_dict["error"] = error
        if next_attempt_at is not UNSET:
            field_dict["next_attempt_at"] = next_attempt_at
        if sent_at is not UNSET:
            field_dict["sent_at"] = sent_at
        if expires_at is not UNSET:
            field_dict["expires_at"] = expires_at
        if ended_at is not UNSET:
            field_dict["ended_at"] = ended_at
        if version is not UNSET:
            field_dict["version"] = version
        if created_at is not UNSET:
            field_dict["created_at"] = created_at
        if updated_at is not UNSET:
            field_dict["updated_at"] = updated_at
        if erased is not UNSET:
            field_dict["erased"] = erased
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        from ..models.admin import Admin  # noqa: PLC0415
        from ..models.invitation_error import InvitationError  # noqa: PLC0415

        d = dict(src_dict)
        invitation = d.pop("invitation")
        tenant = d.pop("tenant", UNSET)
        partner = d.pop("partner", UNSET)
        _admin = d.pop("admin", UNSET)
        admin: Admin | Unset
        if isinstance(_admin, Unset):
            admin = UNSET
        else:
            admin = Admin.from_dict(_admin)

        _state = d.pop("state", UNSET)
        state: EventInvitationState | Unset
        if isinstance(_state, Unset):
            state = UNSET
        else:
            state = check_event_invitation_state(_state)

        attempts = d.pop("attempts", UNSET)

        def _parse_error(data: object) -> InvitationError | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                error_type_0 = InvitationError.from_dict(data)

                return error_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(InvitationError | None | Unset, data)

        error = _parse_error(d.pop("error", UNSET))

        def _parse_next_attempt_at(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                next_attempt_at_type_0 = datetime.datetime.fromisoformat(data)

                return next_attempt_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        next_attempt_at = _parse_next_attempt_at(d.pop("next_attempt_at", UNSET))

        def _parse_sent_at(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                sent_at_type_0 = datetime.datetime.fromisoformat(data)

                return sent_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        sent_at = _parse_sent_at(d.pop("sent_at", UNSET))

        def _parse_expires_at(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                expires_at_type_0 = datetime.datetime.fromisoformat(data)

                return expires_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        expires_at = _parse_expires_at(d.pop("expires_at", UNSET))

        def _parse_ended_at(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                ended_at_type_0 = datetime.datetime.fromisoformat(data)

                return ended_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        ended_at = _parse_ended_at(d.pop("ended_at", UNSET))

        version = d.pop("version", UNSET)
        _created_at = d.pop("created_at", UNSET)
        created_at: datetime.datetime | Unset
        if isinstance(_created_at, Unset):
            created_at = UNSET
        else:
            created_at = datetime.datetime.fromisoformat(_created_at)

        _updated_at = d.pop("updated_at", UNSET)
        updated_at: datetime.datetime | Unset
        if isinstance(_updated_at, Unset):
            updated_at = UNSET
        else:
            updated_at = datetime.datetime.fromisoformat(_updated_at)

        erased = d.pop("erased", UNSET)
        additional_properties = d
        return cls(
            invitation=invitation,
            tenant=tenant,
            partner=partner,
            admin=admin,
            state=state,
            attempts=attempts,
            error=error,
            next_attempt_at=next_attempt_at,
            sent_at=sent_at,
            expires_at=expires_at,
            ended_at=ended_at,
            version=version,
            created_at=created_at,
            updated_at=updated_at,
            erased=erased,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
