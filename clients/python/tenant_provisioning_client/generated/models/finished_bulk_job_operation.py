from typing import Literal

FinishedBulkJobOperation = Literal["create", "delete", "reactivate", "suspend", "update", "upsert"] | str


def check_finished_bulk_job_operation(value: str) -> FinishedBulkJobOperation:
    """Return `value`, also one that this version does not know."""
    return value
