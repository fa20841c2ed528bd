from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.input_error import InputError


T = TypeVar("T", bound="WebhookNotFoundProblem")


@_attrs_frozen(kw_only=True)
class WebhookNotFoundProblem:
    """The webhook does not exist: the id is unknown, was deleted, or belongs to another partner.

    Attributes:
        type_ (str): The address of a page that explains the code.
        title (str): The problem in a few words, the same for each occurrence.
        status (int): The HTTP status of the response.
        code (str): `webhook-not-found`: Webhook not found.
        detail (str): An explanation of this occurrence for people, in English.
        instance (str): The path of the request.
        request_id (str): The request's id, to quote to the operator.
        errors (list[InputError] | Unset): The errors in the input: all of them, or the first 100. Absent if the
            input is not the problem.
        errors_omitted (int | Unset): The number of errors that `errors` leaves out; absent if it lists all.
    """

    type_: str
    title: str
    status: int
    code: str
    detail: str
    instance: str
    request_id: str
    errors: list[InputError] | Unset = UNSET
    errors_omitted: int | Unset = UNSET
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        type_ = self.type_
        title = self.title
        status = self.status
        code = self.code
        detail = self.detail
        instance = self.instance
        request_id = self.request_id
        errors: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.errors, Unset):
            errors = []
            for errors_item_data in self.errors:
                errors_item = errors_item_data.to_dict()
                errors.append(errors_item)

        errors_omitted = self.errors_omitted
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["type"] = type_
        field_dict["title"] = title
        field_dict["status"] = status
        field_dict["code"] = code
        field_dict["detail"] = detail
        field_dict["instance"] = instance
        field_dict["request_id"] = request_id
        if errors is not UNSET:
            field_dict["errors"] = errors
        if errors_omitted is not UNSET:
            field_dict["errors_omitted"] = errors_omitted
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
        instance = d.pop("instance")
        request_id = d.pop("request_id")
        _errors = d.pop("errors", UNSET)
        errors: list[InputError] | Unset = UNSET
        if _errors is not UNSET:
            errors = []
            for errors_item_data in _errors:
                errors_item = InputError.from_dict(errors_item_data)

                errors.append(errors_item)

        errors_omitted = d.pop("errors_omitted", UNSET)
        additional_properties = d
        return cls(
            type_=type_,
            title=title,
            status=status,
            code=code,
            detail=detail,
            instance=instance,
            request_id=request_id,
            errors=errors,
            errors_omitted=errors_omitted,
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
