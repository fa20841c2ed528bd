"""Bulk provisioning: how much may be uploaded, and how long it is remembered."""

from __future__ import annotations

from ..checks import number
from ..declaring import key


class BulkKeys:
    """The limits of one bulk job."""

    bulk_max_rows: int = key(1_000_000, "How many rows a bulk upload may have.", number(1, 100_000_000))
    bulk_max_bytes: int = key(
        1 << 30, "How many bytes a bulk upload may have, as it is sent and once unpacked.", number(1024, 1 << 40)
    )
    upload_seconds: int = key(
        1800, "How many seconds a bulk upload may take in all, however steadily it comes.", number(10, 86_400)
    )
    bulk_atomic_rows: int = key(10_000, "How many rows a bulk job with `mode=atomic` may have.", number(1, 1_000_000))
    bulk_atomic_bytes: int = key(
        5 << 20,
        "How many bytes a bulk job with `mode=atomic` may have, as it is sent, once unpacked, and as rows of JSON: one "
        "transaction does all of it, and a worker needs some six times as much memory.",
        number(1024, 1 << 30),
    )
    bulk_open_jobs: int = key(
        100, "How many bulk jobs of one partner may be under way at a time, uploads too.", number(1, 100_000)
    )
    bulk_retention_days: int = key(30, "For how many days a bulk job and its results are kept.", number(1, 3650))
    bulk_kept_bytes: int = key(
        1 << 30,
        "How many bytes the rows and results of one partner's ended bulk jobs may have, packed: those of the oldest "
        "are dropped first, some minutes after.",
        number(0, 1 << 50),
    )
