"""What files of tenants hold, by their names."""

from __future__ import annotations

from pathlib import PurePath

GZIP = ".gz"
_FORMATS = {".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv"}
#: The formats that are read, each with its media type.
MEDIA_TYPES = {"json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv"}
#: The formats that are written.
WRITTEN = ("ndjson", "csv")


def format_of(name: str) -> str | None:
    """The format that the name's suffix tells, before ``.gz`` if it ends so; None where it tells none."""
    path = PurePath(name)
    return _FORMATS.get((path.with_suffix("") if is_gzip(name) else path).suffix.lower())


def is_gzip(name: str) -> bool:
    """Whether the name says that the file is packed."""
    return PurePath(name).suffix.lower() == GZIP
