from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.event_client_authentication import EventClientAuthentication, check_event_client_authentication
from ..models.event_client_status import EventClientStatus, check_event_client_status
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.event_client_jwks_type_0 import EventClientJwksType0


T = TypeVar("T", bound="EventClient")


@_attrs_frozen(kw_only=True)
class EventClient:
    """An API client after the event, without its secret. Callers without `client:read` see only its id.

    Attributes:
        client (str): The id of the client: its `client_id` at the token endpoint.
        partner (str | Unset): The partner to whom the client belongs.
        name (str | Unset): What the client is for, in your own words. 1 to 255 characters.
        permissions (list[str] | Unset): What its tokens may do: permissions that you have yourself. A token may ask
            for fewer.
        status (EventClientStatus | Unset): `disabled` refuses the client and ends all its tokens. By default
            `enabled`.
        expires_at (datetime.datetime | None | Unset): The time from which the client and its tokens are refused,
            RFC 3339 with an offset; null for none. By default null.
        networks (list[str] | Unset): The only networks in which its tokens may be used, in CIDR notation, up to 50;
            an empty list allows every address. By default empty.
        authentication (EventClientAuthentication | Unset): How the client authenticates at the token endpoint: by a
            secret (`client_secret`), or by an assertion that it signs with a key of its own (`private_key_jwt`, RFC
            7523). By default `client_secret`.
        jwks (EventClientJwksType0 | None | Unset): The public keys of a client that authenticates by
            `private_key_jwt`, as a JSON Web Key Set (RFC 7517), up to 10 keys; null if they are at `jwks_url`, and for
            other clients.
        jwks_url (None | str | Unset): The URL of these keys instead; null if they are in `jwks`, and for other
            clients.
        previous_secret_expires_at (datetime.datetime | None | Unset): The time until which the replaced secret is
            valid too; null if none is.
        generation (int | Unset): How often all tokens of the client were ended, plus one. Tokens of an earlier
            generation are refused.
        last_used_at (datetime.datetime | None | Unset): The minute in which a token of the client was last
            accepted; null if none ever was. It changes neither `version` nor `ETag`.
        created_by (str | Unset): The subject that created the client.
        version (int | Unset): The number of the client's current version, from 1, raised by each change. `ETag` has
            it in quotes.
        created_at (datetime.datetime | Unset): The time of the creation.
        updated_at (datetime.datetime | Unset): The time of the last change.
    """

    client: str
    partner: str | Unset = UNSET
    name: str | Unset = UNSET
    permissions: list[str] | Unset = UNSET
    status: EventClientStatus | Unset = UNSET
    expires_at: datetime.datetime | None | Unset = UNSET
    networks: list[str] | Unset = UNSET
    authentication: EventClientAuthentication | Unset = UNSET
    jwks: EventClientJwksType0 | None | Unset = UNSET
    jwks_url: None | str | Unset = UNSET
    previous_secret_expires_at: datetime.datetime | None | Unset = UNSET
    generation: int | Unset = UNSET
    last_used_at: datetime.datetime | None | Unset = UNSET
    created_by: str | Unset = UNSET
    version: int | Unset = UNSET
    created_at: datetime.datetime | Unset = UNSET
    updated_at: datetime.datetime | Unset = UNSET
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        from ..models.event_client_jwks_type_0 import EventClientJwksType0  # noqa: PLC0415

        client = self.client
        partner = self.partner
        name = self.name
        permissions: list[str] | Unset = UNSET
        if not isinstance(self.permissions, Unset):
            permissions = self.permissions

        status: str | Unset = UNSET
        if not isinstance(self.status, Unset):
            status = self.status

        expires_at: None | str | Unset
        if isinstance(self.expires_at, Unset):
            expires_at = UNSET
        elif isinstance(self.expires_at, datetime.datetime):
            expires_at = self.expires_at.isoformat()
        else:
            expires_at = self.expires_at
        networks: list[str] | Unset = UNSET
        if not isinstance(self.networks, Unset):
            networks = self.networks

        authentication: str | Unset = UNSET
        if not isinstance(self.authentication, Unset):
            authentication = self.authentication

        jwks: dict[str, Any] | None | Unset
        if isinstance(self.jwks, Unset):
            jwks = UNSET
        elif isinstance(self.jwks, EventClientJwksType0):
            jwks = self.jwks.to_dict()
        else:
            jwks = self.jwks
        jwks_url: None | str | Unset
        if isinstance(self.jwks_url, Unset):
            jwks_url = UNSET
        else:
            jwks_url = self.jwks_url
        previous_secret_expires_at: None | str | Unset
        if isinstance(self.previous_secret_expires_at, Unset):
            previous_secret_expires_at = UNSET
        elif isinstance(self.previous_secret_expires_at, datetime.datetime):
            previous_secret_expires_at = self.previous_secret_expires_at.isoformat()
        else:
            previous_secret_expires_at = self.previous_secret_expires_at
        generation = self.generation
        last_used_at: None | str | Unset
        if isinstance(self.last_used_at, Unset):
            last_used_at = UNSET
        elif isinstance(self.last_used_at, datetime.datetime):
            last_used_at = self.last_used_at.isoformat()
        else:
            last_used_at = self.last_used_at
        created_by = self.created_by
        version = self.version
        created_at: str | Unset = UNSET
        if not isinstance(self.created_at, Unset):
            created_at = self.created_at.isoformat()
        updated_at: str | Unset = UNSET
        if not isinstance(self.updated_at, Unset):
            updated_at = self.updated_at.isoformat()
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["client"] = client
        if partner is not UNSET:
            field_dict["partner"] = partner
        if name is not UNSET:
            field_dict["name"] = name
        if permissions is not UNSET:
            field_dict["permissions"] = permissions
        if status is not UNSET:
            field_dict["status"] = status
        if expires_at is not UNSET:
            field_dict["expires_at"] = expires_at
        if networks is not UNSET:
            field_dict["networks"] = networks
        if authentication is not UNSET:
            field_dict["authentication"] = authentication
        if jwks is not UNSET:
            field_dict["jwks"] = jwks
        if jwks_url is not UNSET:
            field_dict["jwks_url"] = jwks_url
        if previous_secret_expires_at is not UNSET:
            field_dict["previous_secret_expires_at"] = previous_secret_expires_at
        if generation is not UNSET:
            field_dict["generation"] = generation
        if last_used_at is not UNSET:
            field_dict["last_used_at"] = last_used_at
        if created_by is not UNSET:
            field_dict["created_by"] = created_by
        if version is not UNSET:
            field_dict["version"] = version
        if created_at is not UNSET:
            field_dict["created_at"] = created_at
        if updated_at is not UNSET:
            field_dict["updated_at"] = updated_at
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        from ..models.event_client_jwks_type_0 import EventClientJwksType0  # noqa: PLC0415

        d = dict(src_dict)
        client = d.pop("client")
        partner = d.pop("partner", UNSET)
        name = d.pop("name", UNSET)
        permissions = cast(list[str], d.pop("permissions", UNSET))

        _status = d.pop("status", UNSET)
        status: EventClientStatus | Unset
        if isinstance(_status, Unset):
            status = UNSET
        else:
            status = check_event_client_status(_status)

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

        networks = cast(list[str], d.pop("networks", UNSET))

        _authentication = d.pop("authentication", UNSET)
        authentication: EventClientAuthentication | Unset
        if isinstance(_authentication, Unset):
            authentication = UNSET
        else:
            authentication = check_event_client_authentication(_authentication)

        def _parse_jwks(data: object) -> EventClientJwksType0 | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                jwks_type_0 = EventClientJwksType0.from_dict(data)

                return jwks_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(EventClientJwksType0 | None | Unset, data)

        jwks = _parse_jwks(d.pop("jwks", UNSET))

        def _parse_jwks_url(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        jwks_url = _parse_jwks_url(d.pop("jwks_url", UNSET))

        def _parse_previous_secret_expires_at(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                previous_secret_expires_at_type_0 = datetime.datetime.fromisoformat(data)

                return previous_secret_expires_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        previous_secret_expires_at = _parse_previous_secret_expires_at(d.pop("previous_secret_expires_at", UNSET))

        generation = d.pop("generation", UNSET)

        def _parse_last_used_at(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                last_used_at_type_0 = datetime.datetime.fromisoformat(data)

                return last_used_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        last_used_at = _parse_last_used_at(d.pop("last_used_at", UNSET))

        created_by = d.pop("created_by", UNSET)
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

        additional_properties = d
        return cls(
            client=client,
            partner=partner,
            name=name,
            permissions=permissions,
            status=status,
            expires_at=expires_at,
            networks=networks,
            authentication=authentication,
            jwks=jwks,
            jwks_url=jwks_url,
            previous_secret_expires_at=previous_secret_expires_at,
            generation=generation,
            last_used_at=last_used_at,
            created_by=created_by,
            version=version,
            created_at=created_at,
            updated_at=updated_at,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
