"""Why an upload is refused as a whole.

UploadRefused
├── MalformedUpload   what are its rows cannot be told
└── UploadTooLarge    a limit is passed
"""

from __future__ import annotations


class UploadRefused(Exception):
    """Nothing of the upload is kept. `detail` is a sentence for the partner, `line` where it is, from 1, if known."""

    def __init__(self, detail: str, line: int | None = None) -> None:
        super().__init__(detail if line is None else f"{detail} (line {line})")
        self.detail = detail
        self.line = line


class MalformedUpload(UploadRefused):
    """What are the upload's rows cannot be told."""


class UploadTooLarge(UploadRefused):
    """The upload passes a limit, which `detail` states."""
