from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.step_state import StepState, check_step_state

if TYPE_CHECKING:
    from ..models.step_error import StepError


T = TypeVar("T", bound="Step")


@_attrs_frozen(kw_only=True)
class Step:
    """One step of the application. `attempts` counts those so far; `after` names the steps that it waits for.

    Attributes:
        name (str): The name of the step.
        after (list[str]): The steps that must succeed before this one starts.
        state (StepState): The state of the step.
        attempts (int): How often the step was attempted so far.
        undo_attempts (int): How often undoing the step was attempted so far.
        started_at (datetime.datetime | None): The time of the first attempt; null before it.
        finished_at (datetime.datetime | None): The time at which the step ended; null before that.
        next_attempt_at (datetime.datetime | None): The time of the next attempt; null if none is planned.
        error (None | StepError): The error of the last attempt; null if it succeeded.
    """

    name: str
    after: list[str]
    state: StepState
    attempts: int
    undo_attempts: int
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    next_attempt_at: datetime.datetime | None
    error: None | StepError
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        from ..models.step_error import StepError  # noqa: PLC0415

        name = self.name
        after = self.after

        state: str = self.state
        attempts = self.attempts
        undo_attempts = self.undo_attempts
        started_at: None | str
        if isinstance(self.started_at, datetime.datetime):
            started_at = self.started_at.isoformat()
        else:
            started_at = self.started_at
        finished_at: None | str
        if isinstance(self.finished_at, datetime.datetime):
            finished_at = self.finished_at.isoformat()
        else:
            finished_at = self.finished_at
        next_attempt_at: None | str
        if isinstance(self.next_attempt_at, datetime.datetime):
            next_attempt_at = self.next_attempt_at.isoformat()
        else:
            next_attempt_at = self.next_attempt_at
        error: dict[str, Any] | None
        if isinstance(self.error, StepError):
            error = self.error.to_dict()
        else:
            error = self.error
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["name"] = name
        field_dict["after"] = after
        field_dict["state"] = state
        field_dict["attempts"] = attempts
        field_dict["undo_attempts"] = undo_attempts
        field_dict["started_at"] = started_at
        field_dict["finished_at"] = finished_at
        field_dict["next_attempt_at"] = next_attempt_at
        field_dict["error"] = error
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        from ..models.step_error import StepError  # noqa: PLC0415

        d = dict(src_dict)
        name = d.pop("name")
        after = cast(list[str], d.pop("after"))

        state = check_step_state(d.pop("state"))

        attempts = d.pop("attempts")
        undo_attempts = d.pop("undo_attempts")

        def _parse_started_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                started_at_type_0 = datetime.datetime.fromisoformat(data)

                return started_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        started_at = _parse_started_at(d.pop("started_at"))

        def _parse_finished_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                finished_at_type_0 = datetime.datetime.fromisoformat(data)

                return finished_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        finished_at = _parse_finished_at(d.pop("finished_at"))

        def _parse_next_attempt_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                next_attempt_at_type_0 = datetime.datetime.fromisoformat(data)

                return next_attempt_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        next_attempt_at = _parse_next_attempt_at(d.pop("next_attempt_at"))

        def _parse_error(data: object) -> None | StepError:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                error_type_0 = StepError.from_dict(data)

                return error_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | StepError, data)

        error = _parse_error(d.pop("error"))

        additional_properties = d
        return cls(
            name=name,
            after=after,
            state=state,
            attempts=attempts,
            undo_attempts=undo_attempts,
            started_at=started_at,
            finished_at=finished_at,
            next_attempt_at=next_attempt_at,
            error=error,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
