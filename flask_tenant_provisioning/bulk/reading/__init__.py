"""From the bytes of an upload to chunks of rows: no Flask, no database, and no more memory than a chunk takes.

What cannot be told apart into rows raises `MalformedUpload`, what is beyond a limit `UploadTooLarge`; both end the
upload. A row that is wrong in itself stays a row, for whoever reads it to refuse together with its line.
"""

from .chunks import ENCODINGS, Chunk, chunks, media_types
from .errors import MalformedUpload, UploadRefused, UploadTooLarge
from .limits import Limits
from .table import RESULT_PREFIX, IsColumn

__all__ = [
    "ENCODINGS",
    "RESULT_PREFIX",
    "Chunk",
    "IsColumn",
    "Limits",
    "MalformedUpload",
    "UploadRefused",
    "UploadTooLarge",
    "chunks",
    "media_types",
]
