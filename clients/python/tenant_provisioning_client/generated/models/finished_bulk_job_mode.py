from typing import Literal

FinishedBulkJobMode = Literal["atomic", "partial"] | str


def check_finished_bulk_job_mode(value: str) -> FinishedBulkJobMode:
    """Return `value`, also one that this version does not know."""
    return value
