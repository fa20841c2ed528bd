"""The source of a bulk upload: a file, or rows, which are written to a temporary file first.

A file can be read again when the upload is repeated, and it is never held in memory as a whole. Rows that take long to
make do not hold up an upload that has begun.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, TypeGuard

from .generated.models import BulkJob
from .operations import format_member

Format = Literal["csv", "json", "ndjson"]
Rows = Iterable[Mapping[str, Any]]
Source = str | os.PathLike[str] | IO[bytes] | Rows

MEDIA_TYPES: Mapping[Format, str] = {
    "csv": "text/csv",
    "json": "application/json",
    "ndjson": "application/x-ndjson",
}
_SUFFIXES: Mapping[str, Format] = {".csv": "csv", ".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_CHUNK_BYTES = 64 * 1024
#: Rows up to this size stay in memory.
_MEMORY_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Progress:
    """The progress of a bulk upload."""

    #: The bytes that were sent, and the size of the upload.
    sent: int
    size: int
    #: The job, once the upload is complete.
    job: BulkJob | None = None


class Upload:
    """An open source. Use it as a context manager."""

    def __init__(
        self, source: Source, format: Format | None = None, progress: Callable[[Progress], None] | None = None
    ) -> None:
        """Open a path, take an open binary file, or write rows to a temporary file.

        The `format` is that of the file's name unless it is given. A file whose name ends in ``.gz`` is sent as gzip.
        Raises `ValueError` if the format is unknown, `TypeError` for another source, and `OSError` if a file cannot be
        read.
        """
        self._progress = progress
        self._closing = ExitStack()
        name = get_name(source)
        if isinstance(source, str | os.PathLike):
            self.format = format or find_format(name)
            self._file: IO[bytes] = self._closing.enter_context(Path(source).open("rb"))  # noqa: SIM115
        elif isinstance(source, io.TextIOBase):
            raise TypeError("Open the file in binary mode: open(path, 'rb').")
        elif is_file(source):
            self.format = format or find_format(name)
            self._file = source if source.seekable() else self._spool(iter(partial(source.read, _CHUNK_BYTES), b""))
        elif isinstance(source, Iterable) and not isinstance(source, bytes | Mapping):
            self.format, name = "ndjson", ""
            self._file = self._spool(format_row(row) for row in source)
        else:
            raise TypeError(f"A bulk upload takes a path, a binary file or rows, not {type(source).__name__}.")
        self.is_gzip = name.endswith(".gz")
        self._start = self._file.tell()
        self.size = self._file.seek(0, os.SEEK_END) - self._start

    def build_headers(self) -> dict[str, str]:
        """Return the headers that describe the body."""
        headers = {"Content-Type": MEDIA_TYPES[self.format], "Content-Length": str(self.size)}
        return {**headers, "Content-Encoding": "gzip"} if self.is_gzip else headers

    def iter_chunks(self) -> Iterator[bytes]:
        """Yield the body from its beginning. Call `progress` after each chunk."""
        self._file.seek(self._start)
        sent = 0
        while chunk := self._file.read(min(_CHUNK_BYTES, self.size - sent)):
            yield chunk
            sent += len(chunk)
            self.report(Progress(sent, self.size))

    def report(self, progress: Progress) -> None:
        """Call the caller's `progress`, if there is one."""
        if self._progress is not None:
            self._progress(progress)

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.close()

    def _spool(self, chunks: Iterable[bytes]) -> IO[bytes]:
        file = self._closing.enter_context(tempfile.SpooledTemporaryFile(_MEMORY_BYTES))  # noqa: SIM115
        file.writelines(chunks)
        file.seek(0)
        return file


def is_file(source: object) -> TypeGuard[IO[bytes]]:
    """Return whether a source is an open file."""
    return hasattr(source, "read")


def get_name(source: object) -> str:
    """Return the name of a file in lower case; empty if it has none."""
    name = source if isinstance(source, str | os.PathLike) else getattr(source, "name", "")
    return os.fspath(name).lower() if isinstance(name, str | os.PathLike) else ""


def find_format(name: str) -> Format:
    """Return the format that a file's name tells."""
    for suffix, format in _SUFFIXES.items():
        if name.removesuffix(".gz").endswith(suffix):
            return format
    raise ValueError(
        f"The format of this upload is unknown: pass format='csv', 'json' or 'ndjson', or a file {name!r} "
        f"whose name ends in one of {', '.join(_SUFFIXES)}."
    )


def format_row(row: object) -> bytes:
    """Return a row as a line of NDJSON."""
    if not isinstance(row, Mapping):
        raise TypeError(f"A row is a mapping of fields to values, not {type(row).__name__}.")
    return json.dumps(dict(row), ensure_ascii=False, allow_nan=False, default=format_member).encode() + b"\n"
