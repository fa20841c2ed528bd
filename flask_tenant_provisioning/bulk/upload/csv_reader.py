"""CSV (RFC 4180) with any delimiter as a stream of rows, each record a JSON object named by the header.

A record ends at the end of a line, unless it has an odd number of quotes so far: then a quote is open. That holds for
every file whose quotes stand where RFC 4180 §2 allows them; `read_csv` refuses any other. Two habits of spreadsheets
are accepted: a first line such as ``sep=;`` names the delimiter, and a record of delimiters only is blank. Python's csv
module is not used: its one size limit is global to the process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from json.encoder import encode_basestring as quote

from .limits import UploadFormatError, UploadLimitError, UploadLimits

#: The line on which a record begins, from 1, and its text. Bytes that are not UTF-8 are lone surrogates (PEP 383).
CsvRecord = tuple[int, str]
_LINE_ENDS = b"\r\n"


def read_records(blocks: Iterable[bytes], limits: UploadLimits) -> Iterator[CsvRecord]:
    """Yield each record that is not an empty line; the last may have an open quote. Raises `UploadLimitError`."""
    lines = enumerate(_split_lines(blocks, limits), 1)
    for number, line in lines:
        if line.count(b'"') & 1:
            line = _join_quoted_lines(number, line, lines, limits)
        if record := line.rstrip(_LINE_ENDS):
            yield number, record.decode(errors="surrogateescape")


def _join_quoted_lines(number: int, line: bytes, lines: Iterator[tuple[int, bytes]], limits: UploadLimits) -> bytes:
    """Return a record whose first line has an open quote, joined with the lines up to the one that closes it."""
    record = bytearray(line)
    for _, line in lines:
        record += line
        if len(record) > limits.max_row_bytes:
            detail = f"A row is larger than {limits.max_row_bytes} bytes; perhaps a quote is not closed."
            raise UploadLimitError(detail, number)
        if line.count(b'"') & 1:
            break
    return bytes(record)


def _split_lines(blocks: Iterable[bytes], limits: UploadLimits) -> Iterator[bytes]:
    r"""Yield lines with their ends: ``\n``, ``\r\n`` or ``\r``. The last line of a block waits for the next block."""
    last_line, number = b"", 1
    for block in blocks:
        *lines, last_line = (last_line + block).splitlines(keepends=True) or [b""]
        yield from lines
        number += len(lines)
        limits.require_lines(number)
        limits.require_row(len(last_line.rstrip(_LINE_ENDS)), number)
    if last_line:
        yield last_line


#: The prefix of columns that an upload ignores, so that a file of results can be corrected and sent again.
RESULT_PREFIX = "result."
#: Returns whether rows may have a column of this name.
IsColumn = Callable[[str], bool]
#: Maps a cell to the text that it stands for.
RestoreCell = Callable[[str], str]
_DELIMITERS = ",;\t|"
#: Delimiters detected in a header without a ``sep=`` line; `|` is not, since it may be part of a name.
_DETECTED_DELIMITERS = ",;\t"
_SEPARATOR = re.compile(r'"?sep=(.)"?', re.IGNORECASE | re.DOTALL)
_BLANK = f'{_DELIMITERS} "'
_QUOTED = re.compile(r'"(?:[^"]++|"")*+"')
_UNREADABLE = re.compile("[\x00\udc80-\udcff]")
_LINE_END = re.compile(r"\r\n?|\n")
#: How many names an error message lists, and how many characters of each.
_NAMES_SHOWN, _NAME_SHOWN = 5, 64


def read_csv(
    blocks: Iterable[bytes], limits: UploadLimits, is_column: IsColumn | None = None, restore: RestoreCell | None = None
) -> Iterator[tuple[int, bytes]]:
    """Yield each record as JSON, with the line on which it begins: an object of its cells that are not empty.

    A record with more or fewer cells than columns becomes an array, cut at one cell more than the limit. Bytes that are
    not UTF-8 are kept in the JSON. Raises `UploadLimitError`, and `UploadFormatError` for quotes that violate RFC 4180
    §2 and for a header with a name that is empty, repeated, or not a column.
    """
    records = read_records(blocks, limits)
    header = _next_filled_record(records)
    delimiter = None
    separator = _SEPARATOR.fullmatch(header[1]) if header else None
    if header and separator:
        delimiter = _validate_delimiter(separator[1], header[0])
        header = _next_filled_record(records)
    if not header:
        return
    parser = _RecordParser(header, delimiter, limits.max_columns, is_column, restore)
    for record in records:
        if row := parser.parse_record(record):
            yield record[0], row


def _next_filled_record(records: Iterator[CsvRecord]) -> CsvRecord | None:
    """Return the next record that is not made of delimiters only; spreadsheets write such records above a table."""
    return next((record for record in records if record[1].strip(_BLANK)), None)


def _validate_delimiter(delimiter: str, line: int) -> str:
    """Return the delimiter that a first line names. Raises `UploadFormatError` if it is not supported."""
    if delimiter not in _DELIMITERS:
        raise UploadFormatError("The first line names a delimiter that is none of , ; | and tab.", line)
    return delimiter


class _RecordParser:
    """A parser for the records below a header."""

    def __init__(
        self,
        header: CsvRecord,
        delimiter: str | None,
        limit: int,
        is_column: IsColumn | None,
        restore: RestoreCell | None,
    ) -> None:
        self._limit, self._restore = limit, restore
        self._delimiter = delimiter or max(_DETECTED_DELIMITERS, key=_QUOTED.sub("", header[1]).count)
        delimiter = re.escape(self._delimiter)
        plain = rf'[^"{delimiter}]*+'
        # Quoted and plain text begin differently, so each is scanned once. The last branch matches malformed text.
        self._cell = re.compile(rf'(?:"((?:[^"]++|"")*+)"|({plain})){delimiter}|({plain}".*)', re.DOTALL)
        names = self._parse_cells(header)
        _validate_header(names, header, limit, is_column)
        self._width = len(names)
        self._keys = [None if name.startswith(RESULT_PREFIX) else f"{quote(name)}:" for name in names]

    def parse_record(self, record: CsvRecord) -> bytes | None:
        """Return a record as JSON, or None if all its cells are empty. Raises `UploadFormatError` for wrong quotes."""
        cells = self._parse_cells(record)
        if len(cells) == self._width:
            pairs = [key + quote(cell) for key, cell in zip(self._keys, cells, strict=True) if cell and key]
            if not pairs and not any(cells):
                return None
            text = f"{{{','.join(pairs)}}}"
        elif not any(cells):
            return None
        else:
            text = f"[{','.join(map(quote, cells))}]"
        return text.encode(errors="surrogateescape")

    def _parse_cells(self, record: CsvRecord) -> list[str]:
        cells = self._split_cells(record)
        return cells if self._restore is None else [*map(self._restore, cells)]

    def _split_cells(self, record: CsvRecord) -> list[str]:
        text = record[1]
        if '"' not in text:
            return text.split(self._delimiter, self._limit + 1)[: self._limit + 1]
        parts = self._match_cells(text + self._delimiter)
        malformed = parts[-1][2]
        if malformed:
            raise _make_quote_error(record, len(text) + len(self._delimiter) - len(malformed))
        return [quoted.replace('""', '"') + plain for quoted, plain, _ in parts]

    def _match_cells(self, text: str) -> list[tuple[str, str, str]]:
        """Return for each cell its quoted text, its plain text, and the remaining record if the cell is neither.

        Matching is lazy for records with many delimiters, since a row of commas could make a million cells.
        """
        if text.count(self._delimiter) <= self._limit:
            return self._cell.findall(text)
        cells = islice(self._cell.finditer(text), self._limit + 1)
        return [(cell[1] or "", cell[2] or "", cell[3] or "") for cell in cells]


def _make_quote_error(record: CsvRecord, start: int) -> UploadFormatError:
    """Return the error for a record in which the cell at `start` violates RFC 4180 §2."""
    line, text = record
    quoted = _QUOTED.match(text, start)
    if text[start] != '"':
        position, detail = text.index('"', start), "A quote inside of a cell is not doubled."
    elif quoted:
        position = quoted.end()
        detail = "A cell continues after its closing quote. Write a quote inside of a cell twice."
    else:
        position, detail = start, "A quote is not closed."
    return UploadFormatError(detail, line + len(_LINE_END.findall(text, 0, position)))


def _validate_header(names: list[str], header: CsvRecord, limit: int, is_column: IsColumn | None) -> None:
    """Raise `UploadFormatError` for a header with too many, unnamed, repeated or unknown columns."""
    line, text = header
    if len(names) > limit:
        raise UploadFormatError(f"The header has more than {limit} columns.", line)
    if _UNREADABLE.search(text):
        raise UploadFormatError("The header is not UTF-8, or holds a NUL character.", line)
    if "" in names:
        raise UploadFormatError(f"Column {names.index('') + 1} of the header has no name.", line)
    if repeated := next((name for index, name in enumerate(names) if name in names[:index]), None):
        raise UploadFormatError(f"The header names the column {_format_names([repeated])} twice.", line)
    unknown = [name for name in names if is_column and not name.startswith(RESULT_PREFIX) and not is_column(name)]
    if unknown:
        columns = "a column that rows" if len(unknown) == 1 else "columns that rows"
        raise UploadFormatError(
            f"The header names {columns} of this operation do not have: {_format_names(unknown)}.", line
        )


def _format_names(names: list[str]) -> str:
    """Return the first few names for an error message, long ones cut."""
    shown = [name if len(name) <= _NAME_SHOWN else f"{name[:_NAME_SHOWN]}…" for name in names[:_NAMES_SHOWN]]
    suffix = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(map(quote, shown)) + suffix
