"""Upload limits, and the errors that refuse an upload as a whole.

UploadError
├── UploadFormatError   the upload cannot be split into rows
└── UploadLimitError    the upload exceeds a limit
"""

from __future__ import annotations

from typing import NamedTuple


class UploadError(Exception):
    """Nothing of the upload is kept. `detail` is a sentence for the partner, `line` where it is, from 1, if known."""

    def __init__(self, detail: str, line: int | None = None) -> None:
        super().__init__(detail if line is None else f"{detail} (line {line})")
        self.detail = detail
        self.line = line


class UploadFormatError(UploadError):
    """What are the upload's rows cannot be told."""


class UploadLimitError(UploadError):
    """The upload passes a limit, which `detail` states."""


#: How many times larger than the upload's limit the rows of a table may be as JSON, where each names its columns.
_JSON_GROWTH = 4
#: How many lines a row may take, on the average: a gzip of blank lines alone costs its sender nothing.
_LINES_PER_ROW = 16
_SPARE_LINES = 100_000


class UploadLimits(NamedTuple):
    """What an upload may have at most; sizes in bytes."""

    #: Rows, blank lines not counted.
    rows: int
    #: The upload as it is sent, and the same once it is unpacked.
    bytes: int
    #: One row, as it is sent and as JSON, in which a table's row names its columns.
    row_bytes: int = 256 * 1024
    #: Columns of a table.
    columns: int = 1000
    #: All rows as JSON; by default some times the `bytes`.
    rows_bytes: int | None = None

    def require_row(self, size: int, line: int) -> None:
        """Raises `UploadTooLarge` for a row of this size."""
        if size > self.row_bytes:
            raise UploadLimitError(f"A row is larger than {self.row_bytes} bytes.", line)

    def require_lines(self, count: int) -> None:
        """Raises `UploadTooLarge` for so many lines, blank ones and those within quotes too."""
        longest = _SPARE_LINES + _LINES_PER_ROW * self.rows
        if count > longest:
            raise UploadLimitError(f"The upload has more than {longest} lines.")

    def require_rows(self, count: int, size: int) -> None:
        """Raises `UploadTooLarge` for so many rows, of this size together."""
        if count > self.rows:
            raise UploadLimitError(f"The upload has more than {self.rows} rows.")
        largest = self.bytes * _JSON_GROWTH if self.rows_bytes is None else self.rows_bytes
        if size > largest:
            raise UploadLimitError(f"The rows are larger than {largest} bytes as JSON.")
