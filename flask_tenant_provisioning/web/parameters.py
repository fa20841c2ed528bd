"""Schema classes and fields for query parameters, and fields that bodies have in common with them."""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime
from typing import Any

from marshmallow import fields

from ..errors import Fault
from ..validation import NULL, REQUIRED, StrictSchema, TextField, describe, make_field_error


class QuerySchema(StrictSchema):
    """Base schema for the query parameters of one operation."""

    @classmethod
    @functools.cache
    def defaults(cls) -> dict[str, Any]:
        """Return the values of the parameters for an empty query string; those that a host adds have none."""
        values: dict[str, Any] = cls().load({})
        return values


_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class InstantField(fields.Field):  # type: ignore[type-arg]
    """A point in time in RFC 3339 with an offset, converted to UTC with microseconds."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        try:
            if not _RFC3339.fullmatch(value):
                raise ValueError("another of the many forms of ISO 8601")
            moment = datetime.fromisoformat(value.upper())
            return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
        except (ValueError, OverflowError) as error:
            raise make_field_error(
                Fault("invalid-time", "Must be RFC 3339 with an offset: 2025-02-10T16:30:00Z.")
            ) from error


class MomentField(TextField):
    """A point in time in RFC 3339 form with a UTC offset, in a body."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=64, **options)

    def validate_text(self, value: str) -> str:
        instant: str = InstantField().deserialize(value)
        return instant


class ChoiceField(fields.Field):  # type: ignore[type-arg]
    """One of the words `choices`."""

    default_error_messages = {"required": [REQUIRED], "null": [NULL]}  # noqa: RUF012

    def __init__(self, *choices: str, **options: Any) -> None:
        super().__init__(**options)
        self.choices = choices

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        if value not in self.choices:
            raise make_field_error(Fault("invalid-choice", f"Must be one of: {', '.join(self.choices)}."))
        return str(value)


class FlagField(fields.Field):  # type: ignore[type-arg]
    """``true`` or ``false``."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> bool:
        if value not in ("true", "false"):
            raise make_field_error(Fault("invalid-flag", "Must be true or false."))
        return bool(value == "true")


class NoQuery(QuerySchema):
    """The query parameters of an operation that has none."""


class WriteQuery(QuerySchema):
    """Query parameters of every write: `validate_only` runs all checks and rolls back."""

    validate_only = FlagField(
        load_default=False, metadata=describe("`true` runs all checks and writes nothing. By default false.", False)
    )
