"""Where an export goes."""

from __future__ import annotations

import contextlib
import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import click

from .files import is_gzip

_BUFFER = 1 << 20


@contextlib.contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """Standard output for ``-``, else the file, which takes its name once it is whole.

    Raises `click.FileError` where it cannot be written.
    """
    if name == "-":
        yield sys.stdout.buffer
        return
    try:
        with _whole(Path(name)) as file:
            if is_gzip(name):
                with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                    yield cast(BinaryIO, packed)
            else:
                yield file
    except OSError as error:
        raise click.FileError(name, error.strerror or str(error)) from error


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """The file at `path`, replaced at the end; what is there and is no file, such as a pipe, is written to."""
    if path.exists() and not path.is_file():
        with path.open("wb", _BUFFER) as file:
            yield file
        return
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb", _BUFFER) as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
