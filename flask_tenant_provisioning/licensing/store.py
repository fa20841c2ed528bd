"""Where the text of the licence lies: a file that may be replaced while we run, or the configuration."""

from __future__ import annotations

import math
import os
import stat
from typing import NamedTuple

from .errors import LicenseError
from .jws import MAX_BYTES

#: Seconds for which a changed file is read again at each look: two writes within one tick of a coarse file system
#: clock leave the same times and, perhaps, the same size.
SETTLING = 2.0
ADVICE = "Check PROVISIONING_LICENSE_FILE, and that the file exists and this process may read it."


class Mark(NamedTuple):
    """What changes when a file does; `changed` also moves when only the file's permissions did."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


class Text:
    """A licence that stands in the configuration and cannot change."""

    def __init__(self, text: str | None) -> None:
        self._text = text
        self._fresh = True

    def read(self, now: float) -> str | None:
        """Return the text, or None where it has been returned before. Raises `LicenseError` where there is none."""
        if not self._text:
            raise LicenseError(
                "No licence is configured.",
                "Set PROVISIONING_LICENSE_FILE to the path of the vendor's licence file.",
            )
        fresh, self._fresh = self._fresh, False
        return self._text if fresh else None

    def distrust(self) -> None:
        """Return the text at the next read, whatever has been returned before."""
        self._fresh = True


class File:
    """A small file, read again only where it may have changed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._mark: Mark | None = None
        self._since = math.inf
        self._settled = False

    def read(self, now: float) -> bytes | None:
        """Return what the file holds, 64 KiB and one byte of it at most, or None where it surely has not changed.

        Costs one `stat` in the second case. Raises `LicenseError` where there is no file that can be read.
        """
        try:
            if self._settled and _mark_of(os.stat(self._path)) == self._mark:
                return None
            mark, content = self._content()
        except (OSError, ValueError) as error:
            self._mark, self._settled = None, False
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise LicenseError(f"The licence file {self._path!r} cannot be read: {why}.", ADVICE) from None
        if mark != self._mark or now < self._since:
            self._since = now
        self._mark, self._settled = mark, now - self._since >= SETTLING
        return content

    def distrust(self) -> None:
        """Read the file again at the next look even if it has not changed."""
        self._settled = False
        self._since = math.inf

    def _content(self) -> tuple[Mark, bytes]:
        _mark_of(os.stat(self._path))
        with open(self._path, "rb") as file:
            return _mark_of(os.fstat(file.fileno())), file.read(MAX_BYTES + 1)


def _mark_of(found: os.stat_result) -> Mark:
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a regular file")
    return Mark(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
