from typing import Literal

BulkJobState = Literal["cancelled", "failed", "partial", "queued", "running", "succeeded"] | str


def check_bulk_job_state(value: str) -> BulkJobState:
    """Return `value`, also one that this version does not know."""
    return value
