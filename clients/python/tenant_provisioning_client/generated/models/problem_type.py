from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.problem_type_mended_by_item import ProblemTypeMendedByItem, check_problem_type_mended_by_item

T = TypeVar("T", bound="ProblemType")


@_attrs_frozen(kw_only=True)
class ProblemType:
    """The meaning of a problem code.

    Attributes:
        type_ (str): The address of the page that explains the code.
        code (str): The stable problem code.
        title (str): The problem in a few words.
        status (int): The HTTP status of the response.
        meaning (str): What has happened, in a sentence or two.
        remedy (str): What to do about it.
        mended_by (list[ProblemTypeMendedByItem]): Who can do it, the first choice first.
    """

    type_: str
    code: str
    title: str
    status: int
    meaning: str
    remedy: str
    mended_by: list[ProblemTypeMendedByItem]
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        type_ = self.type_
        code = self.code
        title = self.title
        status = self.status
        meaning = self.meaning
        remedy = self.remedy
        mended_by = []
        for mended_by_item_data in self.mended_by:
            mended_by_item: str = mended_by_item_data
            mended_by.append(mended_by_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["type"] = type_
        field_dict["code"] = code
        field_dict["title"] = title
        field_dict["status"] = status
        field_dict["meaning"] = meaning
        field_dict["remedy"] = remedy
        field_dict["mended_by"] = mended_by
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        type_ = d.pop("type")
        code = d.pop("code")
        title = d.pop("title")
        status = d.pop("status")
        meaning = d.pop("meaning")
        remedy = d.pop("remedy")
        mended_by = []
        _mended_by = d.pop("mended_by")
        for mended_by_item_data in _mended_by:
            mended_by_item = check_problem_type_mended_by_item(mended_by_item_data)

            mended_by.append(mended_by_item)

        additional_properties = d
        return cls(
            type_=type_,
            code=code,
            title=title,
            status=status,
            meaning=meaning,
            remedy=remedy,
            mended_by=mended_by,
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
