from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..types import UNSET, Unset

T = TypeVar("T", bound="Actor")


@_attrs_frozen(kw_only=True)
class Actor:
    """The actor of an event. `address` and `user_agent` are shown to callers with `audit:read`.

    Attributes:
        sub (None | str): The subject of the token; null if it is not known.
        partner (None | str): The partner of the token; null if it names none.
        address (None | str | Unset): The IP address of the request. Only callers with `audit:read` see it.
        user_agent (None | str | Unset): The `User-Agent` of the request. Only callers with `audit:read` see it.
    """

    sub: None | str
    partner: None | str
    address: None | str | Unset = UNSET
    user_agent: None | str | Unset = UNSET
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        sub: None | str
        sub = self.sub
        partner: None | str
        partner = self.partner
        address: None | str | Unset
        if isinstance(self.address, Unset):
            address = UNSET
        else:
            address = self.address
        user_agent: None | str | Unset
        if isinstance(self.user_agent, Unset):
            user_agent = UNSET
        else:
            user_agent = self.user_agent
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["sub"] = sub
        field_dict["partner"] = partner
        if address is not UNSET:
            field_dict["address"] = address
        if user_agent is not UNSET:
            field_dict["user_agent"] = user_agent
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)

        def _parse_sub(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        sub = _parse_sub(d.pop("sub"))

        def _parse_partner(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        partner = _parse_partner(d.pop("partner"))

        def _parse_address(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        address = _parse_address(d.pop("address", UNSET))

        def _parse_user_agent(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        user_agent = _parse_user_agent(d.pop("user_agent", UNSET))

        additional_properties = d
        return cls(
            sub=sub,
            partner=partner,
            address=address,
            user_agent=user_agent,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
