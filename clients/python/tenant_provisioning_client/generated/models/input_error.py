from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

T = TypeVar("T", bound="InputError")


@_attrs_frozen(kw_only=True)
class InputError:
    """One error in the input: where it is, and what is wrong.

    Attributes:
        pointer (str): The place of the error in the body, or the name of a parameter (RFC 6901 §6).
        code (str): The stable code of the error, for programs. New codes may be added.
        detail (str): An explanation for people, in English.
    """

    pointer: str
    code: str
    detail: str
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        pointer = self.pointer
        code = self.code
        detail = self.detail
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["pointer"] = pointer
        field_dict["code"] = code
        field_dict["detail"] = detail
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        pointer = d.pop("pointer")
        code = d.pop("code")
        detail = d.pop("detail")
        additional_properties = d
        return cls(
            pointer=pointer,
            code=code,
            detail=detail,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
