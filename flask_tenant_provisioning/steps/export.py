"""The export step of a deprovisioning: an NDJSON archive with a checksum, handed to the host's own storage."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from ..hooks import ARCHIVE_ARGUMENTS, STEP_ARGUMENTS, get_requested_arguments, require_result
from ..registry import Registry
from .context import StepContext, StepFailed

logger = logging.getLogger(__name__)
#: The name of the step, and the version of the format.
EXPORT_STEP, FORMAT_VERSION = "export", 1
_BUFFER_BYTES = 1 << 20


class ExportStep:
    """The first deprovisioning step: writes the records of the host's exports and passes them to its archive."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __call__(self, tenant: dict[str, Any], context: StepContext) -> None:
        """Export a tenant and save where the archive is. Raises `StepFailed`, and what exports and archive raise."""
        if self._registry.archive is None:
            raise StepFailed("The application has no archive for its exports.")
        with tempfile.SpooledTemporaryFile(max_size=_BUFFER_BYTES) as stream:
            lines, checksum = _write_archive(stream, self._iterate_records(tenant, context))
            stream.seek(0)
            name = f"{tenant['tenant']}.ndjson"
            arguments = {"name": name, "stream": stream, "sha256": checksum, "tenant": tenant, "context": context}
            location = self._registry.archive(**_select_arguments(self._registry.archive, arguments))
            require_result(location, "The archive")
        context.save({"archive": location if isinstance(location, str) else name, "sha256": checksum, "lines": lines})
        extra = {"tenant": tenant["tenant"], "partner": tenant["partner"], "sha256": checksum}
        logger.info(
            "tenant %s was exported to %s, sha256 %s", tenant["tenant"], location or name, checksum, extra=extra
        )

    def _iterate_records(self, tenant: dict[str, Any], context: StepContext) -> Iterator[dict[str, Any]]:
        exports = self._registry.exports
        yield {"kind": "archive", "version": FORMAT_VERSION, "tenant": tenant["tenant"], "exports": [*exports]}
        yield {"kind": "tenant", "data": tenant}
        for kind, function in exports.items():
            records: Iterable[Any] = function(**_select_arguments(function, {"tenant": tenant, "context": context}))
            for record in require_result(records, f"The export {kind!r}", may_yield=True) or ():
                yield {"kind": kind, "data": record}


def to_folder(folder: str | os.PathLike[str]) -> Callable[..., str]:
    """Return an archive that writes into a folder: one file per tenant, and its checksum in the ``sha256sum`` format.

    Files are written atomically and synced to disk.
    """
    path = Path(folder)

    def write_files(name: str, stream: IO[bytes], sha256: str) -> str:
        path.mkdir(parents=True, exist_ok=True)
        _write_atomically(path / name, lambda file: _copy_stream(stream, file))
        _write_atomically(path / f"{name}.sha256", lambda file: file.write(f"{sha256}  {name}\n".encode()))
        return str(path / name)

    return write_files


def _write_archive(stream: IO[bytes], records: Iterable[dict[str, Any]]) -> tuple[int, str]:
    """Write one line per record and an end line with the checksum of all lines before it.

    Returns the number of lines and the SHA-256 of the whole. Raises `TypeError` or `ValueError` if a record is no JSON.
    """
    count, digest = 0, hashlib.sha256()
    for record in records:
        count += 1
        _write_line(stream, digest, record)
    _write_line(stream, digest, {"kind": "end", "lines": count, "sha256": digest.hexdigest()})
    return count + 1, digest.hexdigest()


def _write_line(stream: IO[bytes], digest: Any, record: dict[str, Any]) -> None:
    line = (json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n").encode()
    digest.update(line)
    stream.write(line)


def _write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Call `write` with a temporary file in the same folder, sync it, and rename it to `path`."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _copy_stream(source: IO[bytes], target: IO[bytes]) -> None:
    for block in iter(partial(source.read, _BUFFER_BYTES), b""):
        target.write(block)


def _select_arguments(function: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    names = ARCHIVE_ARGUMENTS if "stream" in arguments else STEP_ARGUMENTS
    return {name: arguments[name] for name in get_requested_arguments(function, names, "export")}
