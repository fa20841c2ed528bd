from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

T = TypeVar("T", bound="PartnerClientSecretJwksType0")


@_attrs_frozen(eq=False)
class PartnerClientSecretJwksType0(Mapping[str, "Any"]):
    """The public keys of a client that authenticates by `private_key_jwt`, as a JSON Web Key Set (RFC 7517), up to 10
    keys; null if they are at `jwks_url`, and for other clients.

    """

    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        additional_properties = d
        return cls(
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.additional_properties)

    def __len__(self) -> int:
        return len(self.additional_properties)
