"""Files of tenants: their format and compression by name, and the file that an export writes."""

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
#: The formats that are read, each with its media type.
MEDIA_TYPES = {"json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv"}
#: The formats that are written.
EXPORT_FORMATS = ("ndjson", "csv")


def guess_format(name: str) -> str | None:
    """The format that the name's suffix tells, before ``.gz`` if it ends so; None where it tells none."""
    path = PurePath(name)
    return _FORMATS.get((path.with_suffix("") if is_gzip(name) else path).suffix.lower())


def is_gzip(name: str) -> bool:
    """Whether the name says that the file is packed."""
    return PurePath(name).suffix.lower() == GZIP_SUFFIX


def get_file_name(file: BinaryIO) -> str:
    """The file's name, as it may be printed."""
    return escape_control_characters(str(getattr(file, "name", "<stdin>")))


def resolve_import_format(file: BinaryIO, told: str | None) -> str:
    """The format that is `told`, else that of the file's name. Raises `click.UsageError` where there is none."""
    if found := told or guess_format(get_file_name(file)):
        return found
    raise click.UsageError(f"Say with --format what {get_file_name(file)} holds: {', '.join(MEDIA_TYPES)}.")


_BUFFER_BYTES = 1 << 20


@contextlib.contextmanager
def open_output(name: str) -> Iterator[BinaryIO]:
    """Standard output for ``-``, else the file, which takes its name once it is whole.

    Raises `click.FileError` where it cannot be written.
    """
    if name == "-":
        yield sys.stdout.buffer
        return
    try:
        with _open_atomically(Path(name)) as file:
            if is_gzip(name):
                with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                    yield cast(BinaryIO, packed)
            else:
                yield file
    except OSError as error:
        raise click.FileError(name, error.strerror or str(error)) from error


@contextlib.contextmanager
def _open_atomically(path: Path) -> Iterator[BinaryIO]:
    """The file at `path`, replaced at the end; what is there and is no file, such as a pipe, is written to."""
    if path.exists() and not path.is_file():
        with path.open("wb", _BUFFER_BYTES) as file:
            yield file
        return
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb", _BUFFER_BYTES) as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
