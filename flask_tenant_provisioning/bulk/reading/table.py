"""CSV (RFC 4180) as a stream: the first row names the columns, and each further one becomes an object of texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from json.encoder import encode_basestring as quoted

from .errors import MalformedUpload
from .limits import Limits
from .records import Record, records

#: Columns whose names begin so are ignored: our files of results have them, and may be sent again.
RESULT_PREFIX = "result."

_DELIMITERS = ",;\t"
_QUOTED = re.compile(r'"(?:[^"]++|"")*+"?')
_UNREADABLE = re.compile("[\x00\udc80-\udcff]")
_STRAY = re.compile(r'"|[^\r\n]*[\r\n]')


def rows(blocks: Iterable[bytes], limits: Limits) -> Iterator[tuple[int, bytes]]:
    """Each record as JSON, with the line on which it begins: an object of its cells that are not empty.

    A record that has more or fewer cells than there are columns is an array of them, of one more than the limit at
    most. What is not UTF-8 is none in the JSON either. Raises `MalformedUpload`, `UploadTooLarge`.
    """
    found = records(blocks, limits)
    if header := next(found, None):
        columns = _Columns(header, limits.columns)
        for record in found:
            yield record[0], columns.row(record)


class _Columns:
    """What a table's first record says of the others."""

    def __init__(self, header: Record, limit: int) -> None:
        self._limit = limit
        self._delimiter = max(_DELIMITERS, key=_QUOTED.sub("", header[1]).count)
        self._cell = re.compile(rf'(?:"((?:[^"]++|"")*+)")?+([^{self._delimiter}]*+){self._delimiter}')
        names = self._cells(header)
        _require_names(names, header, limit)
        self._width = len(names)
        self._keys = [None if name.startswith(RESULT_PREFIX) else f"{quoted(name)}:" for name in names]

    def row(self, record: Record) -> bytes:
        """A record as JSON. Raises `MalformedUpload` if its quotes tell no end."""
        cells = self._cells(record)
        if len(cells) == self._width:
            pairs = [key + quoted(cell) for key, cell in zip(self._keys, cells, strict=True) if cell and key]
            text = f"{{{','.join(pairs)}}}"
        else:
            text = f"[{','.join(map(quoted, cells))}]"
        return text.encode(errors="surrogateescape")

    def _cells(self, record: Record) -> list[str]:
        text = record[1]
        if '"' not in text:
            return text.split(self._delimiter, self._limit + 1)[: self._limit + 1]
        parts = self._parts(text + self._delimiter)
        if any(_STRAY.match(rest) for _, rest in parts if rest):
            raise MalformedUpload("A quote stands inside of a cell without being doubled.", record[0])
        return [inside.replace('""', '"') + rest for inside, rest in parts]

    def _parts(self, text: str) -> list[tuple[str, str]]:
        """For each cell what is quoted of it, and what is not. Commas alone could make a million."""
        if text.count(self._delimiter) <= self._limit:
            return self._cell.findall(text)
        return [(found[1] or "", found[2]) for found in islice(self._cell.finditer(text), self._limit + 1)]


def _require_names(names: list[str], header: Record, limit: int) -> None:
    """Raises `MalformedUpload` for a header that does not name each column once."""
    line, text = header
    if len(names) > limit:
        raise MalformedUpload(f"The header has more than {limit} columns.", line)
    if _UNREADABLE.search(text):
        raise MalformedUpload("The header is not UTF-8, or holds a NUL character.", line)
    if "" in names:
        raise MalformedUpload(f"Column {names.index('') + 1} of the header has no name.", line)
    if twice := next((name for place, name in enumerate(names) if name in names[:place]), None):
        raise MalformedUpload(f"The header names the column {quoted(twice)} twice.", line)
