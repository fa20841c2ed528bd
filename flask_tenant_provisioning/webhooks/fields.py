"""The fields of endpoints."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from ..problems import Fault
from ..web.parameters import InstantField
from ..web.validation import NOT_TEXT, NULL, REQUIRED, TextField, WholeNumberField, refused
from .globs import TYPES, is_glob, is_in_vain

LONGEST_URL = 2048
MOST_GLOBS = 50
SCHEMES = ("v1", "v1a")
_FAULTS = {"required": [REQUIRED], "null": [NULL]}


class UrlField(TextField):
    """Where webhooks are sent. Whether they may be sent there is the guard's business."""

    def __init__(self, **options: Any) -> None:
        super().__init__(shortest=1, longest=LONGEST_URL, **options)


class GlobsField(fields.Field):  # type: ignore[type-arg]
    """Globs over types of events, each once: `*`, `tenant.*`, `tenant.created`, `*.deleted`."""

    default_error_messages = _FAULTS  # type: ignore[assignment]

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> list[str]:
        if not isinstance(value, list) or not 1 <= len(value) <= MOST_GLOBS:
            raise refused(Fault("invalid-type", f"Must be a list of 1 to {MOST_GLOBS} texts."))
        wrong = [{str(place): fault} for place, glob in enumerate(value) if (fault := _wrong_glob(glob))]
        if wrong:
            raise refused(*wrong)
        return list(dict.fromkeys(value))


class SigningField(TextField):
    """How webhooks are signed: `v1` is HMAC-SHA256, `v1a` Ed25519."""

    def __init__(self, **options: Any) -> None:
        super().__init__(longest=10, **options)

    def accept(self, value: str) -> str:
        if value not in SCHEMES:
            raise refused(Fault("invalid-choice", f"Must be one of: {', '.join(SCHEMES)}."))
        return value


class SwitchField(fields.Field):  # type: ignore[type-arg]
    """True or false."""

    default_error_messages = _FAULTS  # type: ignore[assignment]

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> bool:
        if not isinstance(value, bool):
            raise refused(Fault("invalid-type", "Must be true or false."))
        return value


class HoursField(WholeNumberField):
    """A whole number of hours, `most` at most."""


class SinceField(TextField):
    """A point in time, RFC 3339 with an offset."""

    def __init__(self, **options: Any) -> None:
        super().__init__(longest=64, **options)

    def accept(self, value: str) -> str:
        found: str = InstantField().deserialize(value)
        return found


def _wrong_glob(glob: Any) -> Fault | None:
    if not isinstance(glob, str):
        return NOT_TEXT
    if not is_glob(glob):
        return Fault("invalid-glob", "Must be a type of events such as tenant.created, with * for any part of it.")
    if is_in_vain(glob):
        return Fault("invalid-choice", f"{glob} matches none of: {', '.join(TYPES)}.")
    return None
