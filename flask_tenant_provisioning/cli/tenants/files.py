"""Files of tenants: format and compression by file name, and the file that an export writes."""

from __future__ import annotations

import contextlib
import gzip
import sys
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import BinaryIO, cast

import click

from ...encoding import escape_control_characters

GZIP_SUFFIX = ".gz"
_FORMATS = {".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv"}
#: Media types of the formats that an import reads.
MEDIA_TYPES = {"json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv"}
#: The formats that an export writes.
EXPORT_FORMATS = ("ndjson", "csv")
_BUFFER_BYTES = 1 << 20


def guess_format(name: str) -> str | None:
    """Return the format of the name's suffix, after removing ``.gz``; None if the suffix is unknown."""
    path = PurePath(name)
    return _FORMATS.get((path.with_suffix("") if is_gzip(name) else path).suffix.lower())


def is_gzip(name: str) -> bool:
    """Return True if the name ends with ``.gz``."""
    return PurePath(name).suffix.lower() == GZIP_SUFFIX


def get_file_name(file: BinaryIO) -> str:
    """Return the file's name with control characters escaped, ``<stdin>`` if it has none."""
    return escape_control_characters(str(getattr(file, "name", "<stdin>")))


def resolve_import_format(file: BinaryIO, option: str | None) -> str:
    """Return the format of --format, else of the file's name. Raises `click.UsageError` if neither names one."""
    name = get_file_name(file)
    format = option or guess_format(name)
    if format is None:
        raise click.UsageError(f"The format of {name} is unknown. Use --format: {', '.join(MEDIA_TYPES)}.")
    return format


@contextlib.contextmanager
def open_output(name: str) -> Iterator[BinaryIO]:
    """Open standard output for ``-``, else a file that takes its name once it is complete, compressed for ``.gz``.

    Raises `click.FileError` if it cannot be written.
    """
    if name == "-":
        yield sys.stdout.buffer
        return
    try:
        with _open_atomically(Path(name)) as file:
            if is_gzip(name):
                with gzip.GzipFile("", "wb", 6, file, mtime=0) as compressed:
                    yield cast(BinaryIO, compressed)
            else:
                yield file
    except OSError as error:
        raise click.FileError(name, error.strerror or str(error)) from error


@contextlib.contextmanager
def _open_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` at the end; a `path` that is no regular file is written directly."""
    if path.exists() and not path.is_file():
        with path.open("wb", _BUFFER_BYTES) as file:
            yield file
        return
    partial_path = path.with_name(f"{path.name}.part")
    try:
        with partial_path.open("wb", _BUFFER_BYTES) as file:
            yield file
        partial_path.replace(path)
    finally:
        partial_path.unlink(missing_ok=True)
