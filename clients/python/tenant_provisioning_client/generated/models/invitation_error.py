from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

T = TypeVar("T", bound="InvitationError")


@_attrs_frozen(kw_only=True)
class InvitationError:
    """The error of the last attempt to send an invitation.

    Attributes:
        class_ (str): The class of the application's exception.
        message (str): A text of the application's for partners.
    """

    class_: str
    message: str
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        class_ = self.class_
        message = self.message
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["class"] = class_
        field_dict["message"] = message
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        class_ = d.pop("class")
        message = d.pop("message")
        additional_properties = d
        return cls(
            class_=class_,
            message=message,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
