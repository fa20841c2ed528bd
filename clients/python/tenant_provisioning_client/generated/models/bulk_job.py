from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.bulk_job_mode import BulkJobMode, check_bulk_job_mode
from ..models.bulk_job_operation import BulkJobOperation, check_bulk_job_operation
from ..models.bulk_job_state import BulkJobState, check_bulk_job_state

T = TypeVar("T", bound="BulkJob")


@_attrs_frozen(kw_only=True)
class BulkJob:
    """A bulk job with the counts of its finished rows. `rate` is in rows per second.

    Attributes:
        job (str): The id of the job.
        partner (str): The partner to whom the job belongs.
        operation (BulkJobOperation): What is done with each row.
        mode (BulkJobMode): `partial`: an invalid row fails alone. `atomic`: no row takes effect if one fails.
        validate_only (bool): True for a dry run, which leaves nothing but its results.
        state (BulkJobState): The state of the job.
        total (int): The number of rows.
        processed (int): The number of rows that are done.
        succeeded (int): The number of rows that took effect.
        failed (int): The number of rows that failed.
        unchanged (int): The number of rows that found nothing to change.
        rate (float): The speed so far, in rows per second.
        created_at (datetime.datetime): The time of the upload.
        started_at (datetime.datetime | None): The time at which the first row was started; null before that.
        finished_at (datetime.datetime | None): The time at which the job ended; null before that.
    """

    job: str
    partner: str
    operation: BulkJobOperation
    mode: BulkJobMode
    validate_only: bool
    state: BulkJobState
    total: int
    processed: int
    succeeded: int
    failed: int
    unchanged: int
    rate: float
    created_at: datetime.datetime
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        job = self.job
        partner = self.partner
        operation: str = self.operation
        mode: str = self.mode
        validate_only = self.validate_only
        state: str = self.state
        total = self.total
        processed = self.processed
        succeeded = self.succeeded
        failed = self.failed
        unchanged = self.unchanged
        rate = self.rate
        created_at = self.created_at.isoformat()
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
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["job"] = job
        field_dict["partner"] = partner
        field_dict["operation"] = operation
        field_dict["mode"] = mode
        field_dict["validate_only"] = validate_only
        field_dict["state"] = state
        field_dict["total"] = total
        field_dict["processed"] = processed
        field_dict["succeeded"] = succeeded
        field_dict["failed"] = failed
        field_dict["unchanged"] = unchanged
        field_dict["rate"] = rate
        field_dict["created_at"] = created_at
        field_dict["started_at"] = started_at
        field_dict["finished_at"] = finished_at
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        job = d.pop("job")
        partner = d.pop("partner")
        operation = check_bulk_job_operation(d.pop("operation"))

        mode = check_bulk_job_mode(d.pop("mode"))

        validate_only = d.pop("validate_only")
        state = check_bulk_job_state(d.pop("state"))

        total = d.pop("total")
        processed = d.pop("processed")
        succeeded = d.pop("succeeded")
        failed = d.pop("failed")
        unchanged = d.pop("unchanged")
        rate = d.pop("rate")
        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

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

        additional_properties = d
        return cls(
            job=job,
            partner=partner,
            operation=operation,
            mode=mode,
            validate_only=validate_only,
            state=state,
            total=total,
            processed=processed,
            succeeded=succeeded,
            failed=failed,
            unchanged=unchanged,
            rate=rate,
            created_at=created_at,
            started_at=started_at,
            finished_at=finished_at,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
