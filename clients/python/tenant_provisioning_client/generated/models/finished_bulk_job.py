from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.finished_bulk_job_mode import FinishedBulkJobMode, check_finished_bulk_job_mode
from ..models.finished_bulk_job_operation import FinishedBulkJobOperation, check_finished_bulk_job_operation
from ..models.finished_bulk_job_state import FinishedBulkJobState, check_finished_bulk_job_state

T = TypeVar("T", bound="FinishedBulkJob")


@_attrs_frozen(kw_only=True)
class FinishedBulkJob:
    """A bulk job that has finished, with the counts of its rows.

    Attributes:
        job (str): The id of the job.
        operation (FinishedBulkJobOperation): What is done with each row.
        mode (FinishedBulkJobMode): `partial`: an invalid row fails alone. `atomic`: no row takes effect if one
            fails.
        state (FinishedBulkJobState): The state of the job.
        total (int): The number of rows.
        succeeded (int): The number of rows that took effect.
        failed (int): The number of rows that failed.
        unchanged (int): The number of rows that found nothing to change.
    """

    job: str
    operation: FinishedBulkJobOperation
    mode: FinishedBulkJobMode
    state: FinishedBulkJobState
    total: int
    succeeded: int
    failed: int
    unchanged: int
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        job = self.job
        operation: str = self.operation
        mode: str = self.mode
        state: str = self.state
        total = self.total
        succeeded = self.succeeded
        failed = self.failed
        unchanged = self.unchanged
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["job"] = job
        field_dict["operation"] = operation
        field_dict["mode"] = mode
        field_dict["state"] = state
        field_dict["total"] = total
        field_dict["succeeded"] = succeeded
        field_dict["failed"] = failed
        field_dict["unchanged"] = unchanged
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        job = d.pop("job")
        operation = check_finished_bulk_job_operation(d.pop("operation"))

        mode = check_finished_bulk_job_mode(d.pop("mode"))

        state = check_finished_bulk_job_state(d.pop("state"))

        total = d.pop("total")
        succeeded = d.pop("succeeded")
        failed = d.pop("failed")
        unchanged = d.pop("unchanged")
        additional_properties = d
        return cls(
            job=job,
            operation=operation,
            mode=mode,
            state=state,
            total=total,
            succeeded=succeeded,
            failed=failed,
            unchanged=unchanged,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
