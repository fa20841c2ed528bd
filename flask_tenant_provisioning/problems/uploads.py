"""An upload cannot be taken in; nothing of it is kept."""

from __future__ import annotations

from .inputs import InvalidInput
from .refusals import BodyTooLarge, BodyTooSlow


class MalformedUpload(InvalidInput):
    """What are the upload's rows cannot be told (400): it breaks off, or a JSON array, a table or a gzip is broken."""

    code = "malformed-upload"
    title = "Malformed upload"
    remedy = "Correct the file, at `line` where that is named, and send it again: nothing of it was kept."


class UploadTooLarge(BodyTooLarge):
    """The upload, or a row of it, passes a limit (413)."""

    code = "upload-too-large"
    title = "Upload too large"
    remedy = "Send several smaller uploads; `detail` states the limit. Nothing of this one was kept."


class UploadTooSlow(BodyTooSlow):
    """The upload comes too slowly, pauses for too long, or takes too long in all (408)."""

    code = "upload-too-slow"
    title = "Upload too slow"
    remedy = "Send the upload again, packed with gzip or in smaller parts: nothing of it was kept."
