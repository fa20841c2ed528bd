from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

T = TypeVar("T", bound="Attempt")


@_attrs_frozen(kw_only=True)
class Attempt:
    """One attempt of a delivery: the `status` and the beginning of the response (`answer`), or an `error`.

    `answer` holds up to 8 KiB of a response, 1 KiB of a successful one. It is null if there was no response, if the
    tenant has been purged, and for non-administrators if a server in an internal network sent it.

        Attributes:
            number (int): The number of the attempt, counted from 1.
            at (datetime.datetime): The time of the attempt.
            status (int | None): The HTTP status of the response; null if there was none.
            latency_ms (int): The duration of the attempt, in milliseconds.
            error (None | str): Why there was no response, in a few words; null if there was one.
            answer (None | str): The beginning of the response: up to 8 KiB, or 1 KiB of a successful one. Null if there
                was none, the tenant has been purged, or a server in an internal network sent it and you are no
                administrator.
    """

    number: int
    at: datetime.datetime
    status: int | None
    latency_ms: int
    error: None | str
    answer: None | str
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        number = self.number
        at = self.at.isoformat()
        status: int | None
        status = self.status
        latency_ms = self.latency_ms
        error: None | str
        error = self.error
        answer: None | str
        answer = self.answer
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["number"] = number
        field_dict["at"] = at
        field_dict["status"] = status
        field_dict["latency_ms"] = latency_ms
        field_dict["error"] = error
        field_dict["answer"] = answer
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        number = d.pop("number")
        at = datetime.datetime.fromisoformat(d.pop("at"))

        def _parse_status(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        status = _parse_status(d.pop("status"))

        latency_ms = d.pop("latency_ms")

        def _parse_error(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        error = _parse_error(d.pop("error"))

        def _parse_answer(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        answer = _parse_answer(d.pop("answer"))

        additional_properties = d
        return cls(
            number=number,
            at=at,
            status=status,
            latency_ms=latency_ms,
            error=error,
            answer=answer,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
