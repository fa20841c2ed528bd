from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.input_error import InputError


T = TypeVar("T", bound="RowProblem")


@_attrs_frozen(kw_only=True)
class RowProblem:
    """The problem (RFC 9457) of a failed row: the members of the single call's problem, without `instance` and
    `request_id`.

        Attributes:
            type_ (str): The address of a page that explains the code.
            title (str): The problem in a few words.
            status (int): The HTTP status of the equivalent single call.
            code (str): The stable problem code, for programs. New codes may be added.
            detail (str): An explanation of this occurrence for people, in English.
            line (int): The row's line in the upload, counted from 1.
            errors (list[InputError] | Unset): The errors in the row; absent if its input is not the problem.
            errors_omitted (int | Unset): The number of errors that `errors` leaves out; absent if it lists all.
            field (str | Unset): Of `tenant-exists`: the field whose value is taken.
            conflicting_tenant (str | Unset): Of `tenant-exists`: the id of the tenant that has the value.
            first_row (int | Unset): Of `duplicate-row`: the number of the earlier row, counted from 1.
    """

    type_: str
    title: str
    status: int
    code: str
    detail: str
    line: int
    errors: list[InputError] | Unset = UNSET
    errors_omitted: int | Unset = UNSET
    field: str | Unset = UNSET
    conflicting_tenant: str | Unset = UNSET
    first_row: int | Unset = UNSET
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        type_ = self.type_
        title = self.title
        status = self.status
        code = self.code
        detail = self.detail
        line = self.line
        errors: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.errors, Unset):
            errors = []
            for errors_item_data in self.errors:
                errors_item = errors_item_data.to_dict()
                errors.append(errors_item)

        errors_omitted = self.errors_omitted
        field = self.field
        conflicting_tenant = self.conflicting_tenant
        first_row = self.first_row
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["type"] = type_
        field_dict["title"] = title
        field_dict["status"] = status
        field_dict["code"] = code
        field_dict["detail"] = detail
        field_dict["line"] = line
        if errors is not UNSET:
            field_dict["errors"] = errors
        if errors_omitted is not UNSET:
            field_dict["errors_omitted"] = errors_omitted
        if field is not UNSET:
            field_dict["field"] = field
        if conflicting_tenant is not UNSET:
            field_dict["conflicting_tenant"] = conflicting_tenant
        if first_row is not UNSET:
            field_dict["first_row"] = first_row
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        from ..models.input_error import InputError  # noqa: PLC0415

        d = dict(src_dict)
        type_ = d.pop("type")
        title = d.pop("title")
        status = d.pop("status")
        code = d.pop("code")
        detail = d.pop("detail")
        line = d.pop("line")
        _errors = d.pop("errors", UNSET)
        errors: list[InputError] | Unset = UNSET
        if _errors is not UNSET:
            errors = []
            for errors_item_data in _errors:
                errors_item = InputError.from_dict(errors_item_data)

                errors.append(errors_item)

        errors_omitted = d.pop("errors_omitted", UNSET)
        field = d.pop("field", UNSET)
        conflicting_tenant = d.pop("conflicting_tenant", UNSET)
        first_row = d.pop("first_row", UNSET)
        additional_properties = d
        return cls(
            type_=type_,
            title=title,
            status=status,
            code=code,
            detail=detail,
            line=line,
            errors=errors,
            errors_omitted=errors_omitted,
            field=field,
            conflicting_tenant=conflicting_tenant,
            first_row=first_row,
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
