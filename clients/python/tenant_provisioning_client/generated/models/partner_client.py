from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.partner_client_authentication import PartnerClientAuthentication, check_partner_client_authentication
from ..models.partner_client_status import PartnerClientStatus, check_partner_client_status

if TYPE_CHECKING:
    from ..models.partner_client_jwks_type_0 import PartnerClientJwksType0


T = TypeVar("T", bound="PartnerClient")


@_attrs_frozen(kw_only=True)
class PartnerClient:
    """An API client: credentials with which a program of the partner gets access tokens.

    Attributes:
        client (str): The id of the client: its `client_id` at the token endpoint.
        partner (str): The partner to whom the client belongs.
        name (str): What the client is for, in your own words. 1 to 255 characters.
        permissions (list[str]): What its tokens may do: permissions that you have yourself. A token may ask for
            fewer.
        status (PartnerClientStatus): `disabled` refuses the client and ends all its tokens. By default `enabled`.
        expires_at (datetime.datetime | None): The time from which the client and its tokens are refused, RFC 3339
            with an offset; null for none. By default null.
        networks (list[str]): The only networks in which its tokens may be used, in CIDR notation, up to 50; an
            empty list allows every address. By default empty.
        authentication (PartnerClientAuthentication): How the client authenticates at the token endpoint: by a
            secret (`client_secret`), or by an assertion that it signs with a key of its own (`private_key_jwt`, RFC
            7523). By default `client_secret`.
        jwks (None | PartnerClientJwksType0): The public keys of a client that authenticates by `private_key_jwt`,
            as a JSON Web Key Set (RFC 7517), up to 10 keys; null if they are at `jwks_url`, and for other clients.
        jwks_url (None | str): The URL of these keys instead; null if they are in `jwks`, and for other clients.
        previous_secret_expires_at (datetime.datetime | None): The time until which the replaced secret is valid
            too; null if none is.
        generation (int): How often all tokens of the client were ended, plus one. Tokens of an earlier generation
            are refused.
        last_used_at (datetime.datetime | None): The minute in which a token of the client was last accepted; null
            if none ever was. It changes neither `version` nor `ETag`.
        created_by (str): The subject that created the client.
        version (int): The number of the client's current version, from 1, raised by each change. `ETag` has it in
            quotes.
        created_at (datetime.datetime): The time of the creation.
        updated_at (datetime.datetime): The time of the last change.
    """

    client: str
    partner: str
    name: str
    permissions: list[str]
    status: PartnerClientStatus
    expires_at: datetime.datetime | None
    networks: list[str]
    authentication: PartnerClientAuthentication
    jwks: None | PartnerClientJwksType0
    jwks_url: None | str
    previous_secret_expires_at: datetime.datetime | None
    generation: int
    last_used_at: datetime.datetime | None
    created_by: str
    version: int
    created_at: datetime.datetime
    updated_at: datetime.datetime
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        from ..models.partner_client_jwks_type_0 import PartnerClientJwksType0  # noqa: PLC0415

        client = self.client
        partner = self.partner
        name = self.name
        permissions = self.permissions

        status: str = self.status
        expires_at: None | str
        if isinstance(self.expires_at, datetime.datetime):
            expires_at = self.expires_at.isoformat()
        else:
            expires_at = self.expires_at
        networks = self.networks

        authentication: str = self.authentication
        jwks: dict[str, Any] | None
        if isinstance(self.jwks, PartnerClientJwksType0):
            jwks = self.jwks.to_dict()
        else:
            jwks = self.jwks
        jwks_url: None | str
        jwks_url = self.jwks_url
        previous_secret_expires_at: None | str
        if isinstance(self.previous_secret_expires_at, datetime.datetime):
            previous_secret_expires_at = self.previous_secret_expires_at.isoformat()
        else:
            previous_secret_expires_at = self.previous_secret_expires_at
        generation = self.generation
        last_used_at: None | str
        if isinstance(self.last_used_at, datetime.datetime):
            last_used_at = self.last_used_at.isoformat()
        else:
            last_used_at = self.last_used_at
        created_by = self.created_by
        version = self.version
        created_at = self.created_at.isoformat()
        updated_at = self.updated_at.isoformat()
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["client"] = client
        field_dict["partner"] = partner
        field_dict["name"] = name
        field_dict["permissions"] = permissions
        field_dict["status"] = status
        field_dict["expires_at"] = expires_at
        field_dict["networks"] = networks
        field_dict["authentication"] = authentication
        field_dict["jwks"] = jwks
        field_dict["jwks_url"] = jwks_url
        field_dict["previous_secret_expires_at"] = previous_secret_expires_at
        field_dict["generation"] = generation
        field_dict["last_used_at"] = last_used_at
        field_dict["created_by"] = created_by
        field_dict["version"] = version
        field_dict["created_at"] = created_at
        field_dict["updated_at"] = updated_at
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        from ..models.partner_client_jwks_type_0 import PartnerClientJwksType0  # noqa: PLC0415

        d = dict(src_dict)
        client = d.pop("client")
        partner = d.pop("partner")
        name = d.pop("name")
        permissions = cast(list[str], d.pop("permissions"))

        status = check_partner_client_status(d.pop("status"))

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

        networks = cast(list[str], d.pop("networks"))

        authentication = check_partner_client_authentication(d.pop("authentication"))

        def _parse_jwks(data: object) -> None | PartnerClientJwksType0:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                jwks_type_0 = PartnerClientJwksType0.from_dict(data)

                return jwks_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | PartnerClientJwksType0, data)

        jwks = _parse_jwks(d.pop("jwks"))

        def _parse_jwks_url(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        jwks_url = _parse_jwks_url(d.pop("jwks_url"))

        def _parse_previous_secret_expires_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                previous_secret_expires_at_type_0 = datetime.datetime.fromisoformat(data)

                return previous_secret_expires_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        previous_secret_expires_at = _parse_previous_secret_expires_at(d.pop("previous_secret_expires_at"))

        generation = d.pop("generation")

        def _parse_last_used_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                last_used_at_type_0 = datetime.datetime.fromisoformat(data)

                return last_used_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        last_used_at = _parse_last_used_at(d.pop("last_used_at"))

        created_by = d.pop("created_by")
        version = d.pop("version")
        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))

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
