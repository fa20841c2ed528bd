from typing import Literal

BulkJobOperation = Literal["create", "delete", "reactivate", "suspend", "update", "upsert"] | str


def check_bulk_job_operation(value: str) -> BulkJobOperation:
    """Return `value`, also one that this version does not know."""
    return value
