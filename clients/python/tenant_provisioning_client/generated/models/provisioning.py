from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.provisioning_phase import ProvisioningPhase, check_provisioning_phase
from ..models.provisioning_state import ProvisioningState, check_provisioning_state

if TYPE_CHECKING:
    from ..models.step import Step


T = TypeVar("T", bound="Provisioning")


@_attrs_frozen(kw_only=True)
class Provisioning:
    """The progress of a tenant's provisioning, or of its deprovisioning once that has begun.

    Attributes:
        tenant (str): The id of the tenant.
        phase (ProvisioningPhase): Whether the application sets the tenant up or cleans up after it.
        state (ProvisioningState): The state of the whole run.
        round_ (int): How often the run was started; it begins with 1, and each retry adds 1.
        created_at (datetime.datetime): The time at which the run was planned.
        finished_at (datetime.datetime | None): The time at which the run ended; null before that.
        steps (list[Step]): The steps in the order in which they were declared.
    """

    tenant: str
    phase: ProvisioningPhase
    state: ProvisioningState
    round_: int
    created_at: datetime.datetime
    finished_at: datetime.datetime | None
    steps: list[Step]
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        tenant = self.tenant
        phase: str = self.phase
        state: str = self.state
        round_ = self.round_
        created_at = self.created_at.isoformat()
        finished_at: None | str
        if isinstance(self.finished_at, datetime.datetime):
            finished_at = self.finished_at.isoformat()
        else:
            finished_at = self.finished_at
        steps = []
        for steps_item_data in self.steps:
            steps_item = steps_item_data.to_dict()
            steps.append(steps_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["tenant"] = tenant
        field_dict["phase"] = phase
        field_dict["state"] = state
        field_dict["round"] = round_
        field_dict["created_at"] = created_at
        field_dict["finished_at"] = finished_at
        field_dict["steps"] = steps
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        from ..models.step import Step  # noqa: PLC0415

        d = dict(src_dict)
        tenant = d.pop("tenant")
        phase = check_provisioning_phase(d.pop("phase"))

        state = check_provisioning_state(d.pop("state"))

        round_ = d.pop("round")
        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

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

        steps = []
        _steps = d.pop("steps")
        for steps_item_data in _steps:
            steps_item = Step.from_dict(steps_item_data)

            steps.append(steps_item)

        additional_properties = d
        return cls(
            tenant=tenant,
            phase=phase,
            state=state,
            round_=round_,
            created_at=created_at,
            finished_at=finished_at,
            steps=steps,
            additional_properties=additional_properties,
        )

    @property
    def round(self) -> int:
        """Return `round_`."""
        return self.round_

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
