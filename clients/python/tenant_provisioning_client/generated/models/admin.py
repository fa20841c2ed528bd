from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

T = TypeVar("T", bound="Admin")


@_attrs_frozen(kw_only=True)
class Admin:
    """A person who administers a tenant, and is invited to do so.

    Attributes:
        email (str): The email address to which the invitation is sent. 254 characters at most.
        name (None | str): The name of the person, in one line; null or absent if it is not known. 1 to 255
            characters.
        locale (None | str): The language that the person reads, as a tag of BCP 47; null or absent if it is not
            known. 2 to 35 characters.
    """

    email: str
    name: None | str
    locale: None | str
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        email = self.email
        name: None | str
        name = self.name
        locale: None | str
        locale = self.locale
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["email"] = email
        field_dict["name"] = name
        field_dict["locale"] = locale
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        email = d.pop("email")

        def _parse_name(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        name = _parse_name(d.pop("name"))

        def _parse_locale(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        locale = _parse_locale(d.pop("locale"))

        additional_properties = d
        return cls(
            email=email,
            name=name,
            locale=locale,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
