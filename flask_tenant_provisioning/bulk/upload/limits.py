"""Upload limits, and the errors that refuse an upload as a whole.

UploadError
├── UploadFormatError   the upload cannot be split into rows
└── UploadLimitError    the upload exceeds a limit
"""

from __future__ import annotations

from typing import NamedTuple


class UploadError(Exception):
    """The upload is refused as a whole.

    `detail` is a sentence for the partner; `line` counts from 1, or is None if unknown.
    """

    def __init__(self, detail: str, line: int | None = None) -> None:
        super().__init__(detail if line is None else f"{detail} (line {line})")
        self.detail = detail
        self.line = line


class UploadFormatError(UploadError):
    """The upload cannot be split into rows."""


class UploadLimitError(UploadError):
    """The upload exceeds a limit, which `detail` names."""


#: Rows of a CSV may be this many times larger as JSON than the upload's limit, since each repeats the column names.
_JSON_GROWTH = 4
#: Average lines per row, at most: a gzip of blank lines costs its sender nothing.
_LINES_PER_ROW = 16
_SPARE_LINES = 100_000


class UploadLimits(NamedTuple):
    """Upper limits of an upload; sizes in bytes."""

    #: Rows, blank lines not counted.
    max_rows: int
    #: The upload as sent, and also after decompression.
    max_bytes: int
    #: One row, as sent and as JSON, in which a row of a CSV repeats the column names.
    max_row_bytes: int = 256 * 1024
    #: Columns of a CSV.
    max_columns: int = 1000
    #: All rows as JSON; by default `_JSON_GROWTH` times `max_bytes`.
    max_rows_bytes: int | None = None

    def require_row(self, size: int, line: int) -> None:
        """Raise `UploadLimitError` for a row of `size` bytes that is too large."""
        if size > self.max_row_bytes:
            raise UploadLimitError(f"A row is larger than {self.max_row_bytes} bytes.", line)

    def require_lines(self, count: int) -> None:
        """Raise `UploadLimitError` for too many lines, blank lines and those within quotes included."""
        longest = _SPARE_LINES + _LINES_PER_ROW * self.max_rows
        if count > longest:
            raise UploadLimitError(f"The upload has more than {longest} lines.")

    def require_rows(self, count: int, size: int) -> None:
        """Raise `UploadLimitError` for too many rows, or for rows that are too large in total."""
        if count > self.max_rows:
            raise UploadLimitError(f"The upload has more than {self.max_rows} rows.")
        largest = self.max_bytes * _JSON_GROWTH if self.max_rows_bytes is None else self.max_rows_bytes
        if size > largest:
            raise UploadLimitError(f"The rows are larger than {largest} bytes as JSON.")
