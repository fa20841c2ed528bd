"""How much an upload may be."""

from __future__ import annotations

from typing import NamedTuple

from .errors import UploadTooLarge

#: How many times larger than the upload's limit the rows of a table may be as JSON, where each names its columns.
_SWELLING = 4

#: How many lines a row may take, on the average: a gzip of blank lines alone costs its sender nothing.
_LINES_A_ROW = 16
_SPARE_LINES = 100_000


class Limits(NamedTuple):
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
            raise UploadTooLarge(f"A row is larger than {self.row_bytes} bytes.", line)

    def require_lines(self, count: int) -> None:
        """Raises `UploadTooLarge` for so many lines, blank ones and those within quotes too."""
        longest = _SPARE_LINES + _LINES_A_ROW * self.rows
        if count > longest:
            raise UploadTooLarge(f"The upload has more than {longest} lines.")

    def require_rows(self, count: int, size: int) -> None:
        """Raises `UploadTooLarge` for so many rows, of this size together."""
        if count > self.rows:
            raise UploadTooLarge(f"The upload has more than {self.rows} rows.")
        largest = self.bytes * _SWELLING if self.rows_bytes is None else self.rows_bytes
        if size > largest:
            raise UploadTooLarge(f"The rows are larger than {largest} bytes as JSON.")
