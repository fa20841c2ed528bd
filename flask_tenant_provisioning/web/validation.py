"""Marshmallow schemas whose errors carry a stable code and an RFC 6901 pointer, all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from marshmallow import RAISE, Schema, ValidationError, fields

from ..problems import Fault, InvalidInput, InvalidParameter

T = TypeVar("T")

REQUIRED = Fault("required", "This field is required.")
NULL = Fault("null", "This field may not be null.")
UNKNOWN = Fault("unknown-field", "There is no such field.")
READ_ONLY = Fault("read-only", "This field is set by the server.")
NOT_AN_OBJECT = Fault("invalid-type", "Must be an object.")
NOT_TEXT = Fault("invalid-type", "Must be a text.")
DUPLICATE = Fault("duplicate", "Send this parameter once.")
UNSTORABLE = Fault("invalid-text", "Must hold no NUL character.")


class StrictSchema(Schema):
    """A schema that names every field it does not know."""

    class Meta:
        unknown = RAISE

    error_messages = {"unknown": UNKNOWN, "type": [NOT_AN_OBJECT]}  # type: ignore[dict-item]  # noqa: RUF012

    def refusal_of(self, name: str) -> Fault:
        """Why the client may not send the field `name`."""
        shown = {field.data_key or key for key, field in self.dump_fields.items()}
        return READ_ONLY if name in shown else UNKNOWN


class TextField(fields.Field):  # type: ignore[type-arg]
    """A text of `shortest` to `longest` characters, after trimming where `trim`."""

    default_error_messages = {"required": [REQUIRED], "null": [NULL]}  # noqa: RUF012

    def __init__(self, *, shortest: int = 0, longest: int, trim: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.shortest, self.longest, self.trim = shortest, longest, trim

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        if type(value) is not str:
            raise refused(NOT_TEXT)
        if "\0" in value:
            raise refused(UNSTORABLE)
        if self.trim:
            value = value.strip()
        if not self.shortest <= len(value) <= self.longest:
            raise refused(self._wrong_length())
        return self.accept(value)

    def accept(self, value: str) -> str:
        """The value as it is kept; where it is no good, raise `refused(...)`."""
        return value

    def _wrong_length(self) -> Fault:
        return Fault("invalid-length", f"Must have {self.shortest} to {self.longest} characters.")


class WholeNumberField(fields.Field):  # type: ignore[type-arg]
    """A whole number from 0 to `most`; 1.0 is one (JSON Schema, validation §6.1.1)."""

    default_error_messages = {"required": [REQUIRED], "null": [NULL]}  # noqa: RUF012

    def __init__(self, *, most: int, **options: Any) -> None:
        super().__init__(**options)
        self.most = most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> int:
        whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
        if not whole or not 0 <= value <= self.most:
            raise refused(Fault("invalid-number", f"Must be a whole number from 0 to {self.most}."))
        return int(value)


def refused(*faults: Fault | dict[str, Fault]) -> ValidationError:
    """The error that says these faults of one field, or of what the field holds, by name."""
    return ValidationError(list(faults))


def load(schema: StrictSchema, data: Any, *, partial: bool = False) -> dict[str, Any]:
    """The valid input. Raises `InvalidInput` that lists everything wrong with it."""
    try:
        found: dict[str, Any] = schema.load(data, partial=partial)
    except ValidationError as error:
        raise invalid(_entries(error.messages, schema, data)) from error
    return found


def together(*loads: Callable[[], T]) -> list[T]:
    """What each of `loads` returns. Raises `InvalidInput` that lists everything wrong with any of them."""
    found, errors = list[T](), []
    for one in loads:
        try:
            found.append(one())
        except InvalidInput as error:
            errors += [dict(wrong) for wrong in error.errors]
    if errors:
        raise invalid(sorted(errors, key=itemgetter("pointer")))
    return found


def load_parameters(schema: StrictSchema, sent: Mapping[str, list[str]]) -> dict[str, Any]:
    """The valid query parameters. Raises `InvalidParameter` that names every wrong one."""
    first = {name: values[0] for name, values in sent.items()}
    wrong: dict[Any, Any] = {name: UNSTORABLE for name, value in first.items() if "\0" in value}
    wrong |= {name: DUPLICATE for name, values in sent.items() if values[1:]}
    found: dict[str, Any] = {}
    try:
        found = schema.load(first)
    except ValidationError as error:
        wrong = {**error.messages, **wrong}  # type: ignore[dict-item]
    if wrong:
        errors = _entries(wrong, schema, first)
        raise InvalidParameter(_counted(errors, "query parameter"), errors=errors)
    return found


def invalid(errors: list[dict[str, str]]) -> InvalidInput:
    """The problem that lists `errors`."""
    return InvalidInput(_counted(errors, "field"), errors=errors)


def entry(fault: Fault, *path: str) -> dict[str, str]:
    """One entry of a problem's `errors`: `path` as a JSON pointer in URI fragment form (RFC 6901 §6)."""
    steps = (quote(step.replace("~", "~0").replace("/", "~1"), safe="~!$&'()*+,;=:@") for step in path)
    return {"pointer": "".join(("#", *(f"/{step}" for step in steps))), "code": fault.code, "detail": fault.detail}


def field_of(error: Mapping[str, Any]) -> str:
    """The field that an entry's pointer leads to, with dots between the steps."""
    steps = error["pointer"].removeprefix("#").removeprefix("/").split("/")
    return ".".join(unquote(step).replace("~1", "/").replace("~0", "~") for step in steps)


def _counted(errors: list[dict[str, str]], what: str) -> str:
    return f"1 {what} is invalid." if len(errors) == 1 else f"{len(errors)} {what}s are invalid."


def _entries(messages: Any, schema: StrictSchema, sent: Any) -> list[dict[str, str]]:
    """The entries for marshmallow's tree of messages, by pointer: it names unknown fields in no fixed order."""
    return sorted(_listed(messages, schema, sent), key=itemgetter("pointer"))


def _listed(messages: Any, schema: StrictSchema, sent: Any, *path: str) -> Iterator[dict[str, str]]:
    """Flatten the tree; ``_schema`` stands for the object itself, unless the object that was sent has such a key."""
    if isinstance(messages, Fault):
        fault = schema.refusal_of(path[0]) if messages is UNKNOWN and len(path) == 1 else messages
        yield entry(fault, *path)
    elif isinstance(messages, str):
        yield entry(Fault("invalid-field", messages), *path)
    elif isinstance(messages, dict):
        for key, below in messages.items():
            if isinstance(sent, Mapping) and key in sent:
                yield from _listed(below, schema, sent[key], *path, key)
            else:
                yield from _listed(below, schema, None, *(path if key == "_schema" else (*path, str(key))))
    else:
        for message in messages:
            yield from _listed(message, schema, sent, *path)
