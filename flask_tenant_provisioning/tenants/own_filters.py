"""Lists filtered by the host's own fields."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields

from ..events import compact
from ..web.validation import refused
from .own_faults import faults
from .own_fields import NOT_COMPARABLE, from_text, is_comparable

#: What the name of a filter begins with inside, where a client says the field's own.
OWN = "own_"


class OwnFilterField(fields.Field):  # type: ignore[type-arg]
    """A value of one of the host's own fields, as the JSON text that is stored for it."""

    def __init__(self, own: fields.Field[Any], **options: Any) -> None:
        super().__init__(**options)
        self.own = own

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        try:
            loaded = self.own.deserialize(from_text(self.own, value))
        except ValidationError as error:
            raise refused(*(one.fault for one in faults(error.messages, self.own))) from error
        dumped = self.own._serialize(loaded, self.own.name or "", None)
        if not is_comparable(dumped):
            raise refused(NOT_COMPARABLE)
        return compact(dumped)
