"""A file as the upload of a bulk job."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, NamedTuple

import click

from ...bulk import receiving
from ...bulk.models import Job
from ...bulk.reading import UploadRefused
from ...bulk.reading.blocks import BLOCK
from ...bulk.receiving import Upload
from ...web.mount import Mount
from ...web.sheets import restored
from ..operator import operator
from ..progress import Progress
from ..text import printable
from .files import MEDIA_TYPES, format_of, is_gzip

_GZIP = b"\x1f\x8b"


class Unusable(click.ClickException):
    """The upload is refused; the exit status is 2."""

    exit_code = 2


class Wanted(NamedTuple):
    """What is to be done with the rows of a file."""

    partner: str
    operation: str
    is_atomic: bool
    is_rehearsal: bool


def name_of(file: BinaryIO) -> str:
    """The file's name, as it may be printed."""
    return printable(str(getattr(file, "name", "<stdin>")))


def format_told(file: BinaryIO, told: str | None) -> str:
    """The format that is `told`, else that of the file's name. Raises `click.UsageError` where there is none."""
    if found := told or format_of(name_of(file)):
        return found
    raise click.UsageError(f"Say with --format what {name_of(file)} holds: {', '.join(MEDIA_TYPES)}.")


def received(mount: Mount, file: BinaryIO, format: str, wanted: Wanted, progress: Progress) -> Job:
    """The job of a whole file, for workers to find. Raises `Unusable`; then nothing of it is kept."""
    mode = "atomic" if wanted.is_atomic else "partial"
    limits = receiving.limits(mount.settings, mode)
    try:
        encoding, stream = _unpacked(file, progress)
        upload = Upload(wanted.operation, mode, wanted.is_rehearsal, MEDIA_TYPES[format], encoding, stream, restored)
        job = receiving.receive(mount.storage, operator(wanted.partner), wanted.partner, upload, limits)
        return mount.storage.transaction(lambda session: receiving.queue(session, job))
    except (UploadRefused, OSError) as error:
        raise Unusable(f"{name_of(file)}: {_told(error)} Nothing of it is kept.") from error
    finally:
        progress.clear()


def _unpacked(file: BinaryIO, progress: Progress) -> tuple[str | None, Iterator[bytes]]:
    """The encoding and the bytes of a file; gzip tells itself by its first two, or by the file's name."""
    first = file.read(BLOCK)
    is_packed = is_gzip(name_of(file)) or first.startswith(_GZIP)
    return "gzip" if is_packed else None, _blocks(first, file, progress)


def _blocks(first: bytes, file: BinaryIO, progress: Progress) -> Iterator[bytes]:
    total = 0
    for block in chain([first], iter(lambda: file.read(BLOCK), b"")):
        total += len(block)
        if progress.is_due():
            progress.show(f"{total / (1 << 20):,.1f} MiB read")
        yield block


def _told(error: UploadRefused | OSError) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}."
    return error.detail if error.line is None else f"{error.detail.removesuffix('.')}, on line {error.line}."
