from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.invitation_state import InvitationState, check_invitation_state

if TYPE_CHECKING:
    from ..models.admin import Admin
    from ..models.invitation_error import InvitationError


T = TypeVar("T", bound="Invitation")


@_attrs_frozen(kw_only=True)
class Invitation:
    """An invitation of a person to administer a tenant. Only that person learns its one-time token.

    Attributes:
        invitation (str): The id of the invitation.
        tenant (str): The id of the tenant.
        partner (str): The partner to which the tenant belongs.
        admin (Admin): A person who administers a tenant, and is invited to do so.
        state (InvitationState): `waiting` until the tenant is active, `sending` until it was sent, then `sent`, or
            `failed` if no further attempt follows. At last `accepted`, `revoked` or `expired`.
        attempts (int): How often sending it was attempted, since it was last asked for.
        error (InvitationError | None): The error of the last attempt; null if there is none.
        next_attempt_at (datetime.datetime | None): The time of the next attempt; null if none is planned.
        sent_at (datetime.datetime | None): The time at which it was sent; null before that.
        expires_at (datetime.datetime | None): The time until which it can be accepted; null while it is `waiting`.
        ended_at (datetime.datetime | None): The time at which it was accepted or revoked, or expired; null before
            that.
        version (int): The number of the invitation's current version, from 1, raised by each change. `ETag` has it
            in quotes.
        created_at (datetime.datetime): The time of the creation.
        updated_at (datetime.datetime): The time of the last change.
    """

    invitation: str
    tenant: str
    partner: str
    admin: Admin
    state: InvitationState
    attempts: int
    error: InvitationError | None
    next_attempt_at: datetime.datetime | None
    sent_at: datetime.datetime | None
    expires_at: datetime.datetime | None
    ended_at: datetime.datetime | None
    version: int
    created_at: datetime.datetime
    updated_at: datetime.datetime
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        from ..models.invitation_error import InvitationError  # noqa: PLC0415

        invitation = self.invitation
        tenant = self.tenant
        partner = self.partner
        admin = self.admin.to_dict()
        state: str = self.state
        attempts = self.attempts
        error: dict[str, Any] | None
        if isinstance(self.error, InvitationError):
            error = self.error.to_dict()
        else:
            error = self.error
        next_attempt_at: None | str
        if isinstance(self.next_attempt_at, datetime.datetime):
            next_attempt_at = self.next_attempt_at.isoformat()
        else:
            next_attempt_at = self.next_attempt_at
        sent_at: None | str
        if isinstance(self.sent_at, datetime.datetime):
            sent_at = self.sent_at.isoformat()
        else:
            sent_at = self.sent_at
        expires_at: None | str
        if isinstance(self.expires_at, datetime.datetime):
            expires_at = self.expires_at.isoformat()
        else:
            expires_at = self.expires_at
        ended_at: None | str
        if isinstance(self.ended_at, datetime.datetime):
            ended_at = self.ended_at.isoformat()
        else:
            ended_at = self.ended_at
        version = self.version
        created_at = self.created_at.isoformat()
        updated_at = self.updated_at.isoformat()
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["invitation"] = invitation
        field_dict["tenant"] = tenant
        field_dict["partner"] = partner
        field_dict["admin"] = admin
        field_dict["state"] = state
        field_dict["attempts"] = attempts
        field_dict["error"] = error
        field_dict["next_attempt_at"] = next_attempt_at
        field_dict["sent_at"] = sent_at
        field_dict["expires_at"] = expires_at
        field_dict["ended_at"] = ended_at
        field_dict["version"] = version
        field_dict["created_at"] = created_at
        field_dict["updated_at"] = updated_at
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        from ..models.admin import Admin  # noqa: PLC0415
        from ..models.invitation_error import InvitationError  # noqa: PLC0415

        d = dict(src_dict)
        invitation = d.pop("invitation")
        tenant = d.pop("tenant")
        partner = d.pop("partner")
        admin = Admin.from_dict(d.pop("admin"))

        state = check_invitation_state(d.pop("state"))

        attempts = d.pop("attempts")

        def _parse_error(data: object) -> InvitationError | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                error_type_0 = InvitationError.from_dict(data)

                return error_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(InvitationError | None, data)

        error = _parse_error(d.pop("error"))

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

        def _parse_sent_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                sent_at_type_0 = datetime.datetime.fromisoformat(data)

                return sent_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        sent_at = _parse_sent_at(d.pop("sent_at"))

        def _parse_expires_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                expires_at_type_0 = datetime.datetime.fromisoformat(data)

                return expires_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        expires_at = _parse_expires_at(d.pop("expires_at"))

        def _parse_ended_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                ended_at_type_0 = datetime.datetime.fromisoformat(data)

                return ended_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        ended_at = _parse_ended_at(d.pop("ended_at"))

        version = d.pop("version")
        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))

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
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
