"""Marshmallow schemas and fields that report all invalid fields at once, each with a code and a pointer (RFC 6901)."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import quote, unquote

from marshmallow import RAISE, Schema, ValidationError, fields

from .access.principal import MAX_NAME_LENGTH, PARTNER_ID_RULE, is_partner_id
from .errors import Fault, InvalidInput, InvalidParameter

T = TypeVar("T")
REQUIRED = Fault("required", "This field is required.")
NULL = Fault("null", "This field may not be null.")
UNKNOWN = Fault("unknown-field", "There is no such field.")
READ_ONLY = Fault("read-only", "This field is set by the server.")
NOT_AN_OBJECT = Fault("invalid-type", "Must be an object.")
NOT_TEXT = Fault("invalid-type", "Must be a text.")
DUPLICATE = Fault("duplicate", "Send this parameter once.")
UNSTORABLE = Fault("invalid-text", "Must hold no NUL character.")
BLANK = Fault("invalid-text", "Must hold a character that can be seen.")
INVALID_PARTNER_ID = Fault("invalid-partner-id", f"{PARTNER_ID_RULE[0].upper()}{PARTNER_ID_RULE[1:]}")
#: Maximum number of entries in a problem's `errors`; `errors_omitted` counts the others.
MAX_ERRORS = 100
#: Maximum length of an entry's `pointer`, and of its `detail`, in characters.
MAX_POINTER_LENGTH, MAX_DETAIL_LENGTH = 512, 1000
_MAX_QUOTE_LENGTH = 40
#: Invisible characters: spaces, control characters, default-ignorable ones (UAX #44), the Braille blank and the
#: interlinear annotation marks.
INVISIBLE = (
    "\\u0000-\\u0020\\u007f-\\u00a0\\u00ad\\u034f\\u061c\\u115f\\u1160\\u1680\\u17b4\\u17b5\\u180b-\\u180f\\u2000-\\u200f"
    "\\u2028-\\u202f\\u205f-\\u206f\\u2800\\u3000\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb"
)
_VISIBLE = re.compile(f"[^{INVISIBLE}\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff]")


def has_visible_character(text: str) -> bool:
    """Return True if at least one character of the text is visible."""
    return _VISIBLE.search(text) is not None


class FieldFault(NamedTuple):
    """One fault, and the member names that lead to its place in the JSON document."""

    fault: Fault
    path: tuple[str, ...] = ()


class ErrorList:
    """All errors of one input: the first `MAX_ERRORS` as entries, the others as a count."""

    def __init__(self) -> None:
        self.entries: list[dict[str, str]] = []
        self.omitted = 0

    def __bool__(self) -> bool:
        return bool(self.entries)

    def add(self, fault: Fault, *path: str) -> None:
        """Add a fault at `path`."""
        if len(self.entries) < MAX_ERRORS:
            self.entries.append(make_entry(fault, *path))
        else:
            self.omitted += 1

    def collect(self, faults: Iterable[FieldFault]) -> None:
        """Add all faults. Of a lazy iterable, those beyond `MAX_ERRORS` are counted and not stored."""
        for fault, path in faults:
            self.add(fault, *path)

    def merge(self, error: InvalidInput) -> None:
        """Add the errors of another problem."""
        free = MAX_ERRORS - len(self.entries)
        self.entries += [dict(entry) for entry in error.errors[:free]]
        self.omitted += len(error.errors[free:]) + error.members.get("errors_omitted", 0)

    def problem(self, kind: type[InvalidInput] = InvalidInput, noun: str = "field") -> InvalidInput:
        """Return a problem of this `kind` with the errors sorted by pointer; its detail counts the invalid `noun`s."""
        count = len(self.entries) + self.omitted
        detail = f"1 {noun} is invalid." if count == 1 else f"{count} {noun}s are invalid."
        members: dict[str, Any] = {"errors_omitted": self.omitted} if self.omitted else {}
        return kind(detail, errors=sorted(self.entries, key=itemgetter("pointer")), **members)


class StrictSchema(Schema):
    """Base schema that rejects unknown fields and reports each of them."""

    class Meta:
        unknown = RAISE

    error_messages = {"unknown": UNKNOWN, "type": [NOT_AN_OBJECT]}  # type: ignore[dict-item]  # noqa: RUF012

    @classmethod
    def for_api(cls, api: Any) -> Self:
        """Return the schema for one host, whose `mount.Api` this is. Call `Api.schema`, which caches it."""
        return cls()

    @functools.cached_property
    def input_names(self) -> frozenset[str]:
        """Names of the fields that a client may send."""
        return frozenset(field.data_key or key for key, field in self.load_fields.items())

    @functools.cached_property
    def output_names(self) -> frozenset[str]:
        """Names of the fields in a response."""
        return frozenset(field.data_key or key for key, field in self.dump_fields.items())

    def get_fault(self, name: str) -> Fault:
        """Return the fault for a field that the client may not send: read-only or unknown."""
        return READ_ONLY if name in self.output_names else UNKNOWN


def describe(description: str, *examples: Any) -> dict[str, Any]:
    """Return the metadata of a field for the OpenAPI document: a description for its users, and examples."""
    return {"description": description, **({"examples": list(examples)} if examples else {})}


#: The key in a field's metadata that marks it as one which no merge patch takes.
CREATION_ONLY = "creation_only"


class InputErrorSchema(StrictSchema):
    """One error in the input: where it is, and what is wrong."""

    pointer = fields.String(
        metadata={
            **describe("The place of the error in the body, or the name of a parameter (RFC 6901 §6).", "#/email"),
            "maxLength": MAX_POINTER_LENGTH,
            "pattern": "^#(/|$)",
        }
    )
    code = fields.String(
        metadata=describe("The stable code of the error, for programs. New codes may be added.", "invalid-email")
    )
    detail = fields.String(metadata=describe("An explanation for people, in English.", "Invalid email address."))


class TextField(fields.Field):  # type: ignore[type-arg]
    """A text of `min_length` to `max_length` characters.

    With `trim`, white space around it is removed first. With `visible`, it must have a visible character or be empty.
    """

    default_error_messages = {"required": [REQUIRED], "null": [NULL]}  # noqa: RUF012

    def __init__(
        self, *, min_length: int = 0, max_length: int, trim: bool = False, visible: bool = False, **options: Any
    ) -> None:
        super().__init__(**options)
        self.min_length, self.max_length, self.trim, self.visible = min_length, max_length, trim, visible

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        if type(value) is not str:
            raise make_field_error(NOT_TEXT)
        if "\0" in value:
            raise make_field_error(UNSTORABLE)
        if self.trim:
            value = value.strip()
        if not self.min_length <= len(value) <= self.max_length:
            raise make_field_error(self._make_length_fault())
        if self.visible and value and not has_visible_character(value):
            raise make_field_error(BLANK)
        return self.validate_text(value)

    def validate_text(self, value: str) -> str:
        """Validate and convert the value; subclasses override it. Raises the result of `make_field_error`."""
        return value

    def _make_length_fault(self) -> Fault:
        return Fault("invalid-length", f"Must have {self.min_length} to {self.max_length} characters.")


class PartnerIdField(TextField):
    """The id of a partner."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=1, max_length=MAX_NAME_LENGTH, **options)

    def validate_text(self, value: str) -> str:
        if not is_partner_id(value):
            raise make_field_error(INVALID_PARTNER_ID)
        return value


class WholeNumberField(fields.Field):  # type: ignore[type-arg]
    """A whole number from 0 to `most`. 1.0 counts as one, as in JSON Schema (Validation §6.1.1)."""

    default_error_messages = {"required": [REQUIRED], "null": [NULL]}  # noqa: RUF012

    def __init__(self, *, most: int, **options: Any) -> None:
        super().__init__(**options)
        self.most = most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> int:
        is_whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
        if not is_whole or not 0 <= value <= self.most:
            raise make_field_error(Fault("invalid-number", f"Must be a whole number from 0 to {self.most}."))
        return int(value)


def make_field_error(*faults: Fault | dict[str, Fault]) -> ValidationError:
    """Return an error with the faults of one field, or with dictionaries of the faults of its members by name."""
    return ValidationError(list(faults))


def load(schema: StrictSchema, data: Any, *, partial: bool = False, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Validate and deserialise `data`, which stands at `path` in the body. Raises `InvalidInput` with all errors."""
    values, errors = _load(schema, data, partial=partial, path=path)
    if errors:
        raise errors.problem()
    return values


def run_all(*loads: Callable[[], T]) -> list[T]:
    """Call each of `loads` and return their results. Raises one `InvalidInput` with the errors of all of them."""
    results, errors = list[T](), ErrorList()
    for load_part in loads:
        try:
            results.append(load_part())
        except InvalidInput as error:
            errors.merge(error)
    if errors:
        raise errors.problem()
    return results


def load_parameters(schema: StrictSchema, parameters: Mapping[str, list[str]]) -> dict[str, Any]:
    """Validate and deserialise query parameters. Raises `InvalidParameter` with all errors."""
    faults = {name: UNSTORABLE for name, values in parameters.items() if "\0" in values[0]}
    faults |= {name: DUPLICATE for name, values in parameters.items() if values[1:]}
    data = {name: values[0] for name, values in parameters.items() if name not in faults}
    values, errors = _load(schema, data, faults)
    if errors:
        raise errors.problem(InvalidParameter, "query parameter")
    return values


def make_invalid_input(errors: list[dict[str, str]]) -> InvalidInput:
    """Return a problem with these `errors`."""
    detail = "1 field is invalid." if len(errors) == 1 else f"{len(errors)} fields are invalid."
    return InvalidInput(detail, errors=errors)


def make_entry(fault: Fault, *path: str) -> dict[str, str]:
    """Return one entry of a problem's `errors`, with `path` as a JSON pointer in URI fragment form (RFC 6901 §6).

    A pointer that would exceed 512 characters ends at the parent, and `detail` quotes the step that does not fit.
    """
    pointer, detail = "#", fault.detail
    for step in path:
        extended = f"{pointer}/{_escape_step(step)}"
        if len(extended) > MAX_POINTER_LENGTH:
            detail = f"{_shorten(detail, MAX_DETAIL_LENGTH // 2)} In: {_shorten(step, _MAX_QUOTE_LENGTH)}"
            break
        pointer = extended
    return {"pointer": pointer, "code": fault.code, "detail": _shorten(detail, MAX_DETAIL_LENGTH)}


def _escape_step(name: str) -> str:
    """Escape one step of a pointer, truncated to one character more than a pointer may have."""
    return quote(name[: MAX_POINTER_LENGTH + 1].replace("~", "~0").replace("/", "~1"), safe="~!$&'()*+,;=:@")


def _shorten(text: str, max_length: int) -> str:
    return text if len(text) <= max_length else f"{text[:max_length]}…"


def get_field_path(error: Mapping[str, Any]) -> str:
    """Return the path of the field that an entry's pointer refers to, with dots between the steps."""
    steps = error["pointer"].removeprefix("#").removeprefix("/").split("/")
    return ".".join(unquote(step).replace("~1", "/").replace("~0", "~") for step in steps)


def _load(
    schema: StrictSchema,
    data: Any,
    faults: Mapping[str, Fault] | None = None,
    *,
    partial: bool = False,
    path: tuple[str, ...] = (),
) -> tuple[dict[str, Any], ErrorList]:
    """Return the valid values and the errors of `data`. For names in `faults`, that fault replaces the schema's own.

    Unknown names are handled here, since marshmallow reports them in no fixed order and some of its releases need
    quadratic time for them.
    """
    faults, errors, values, known_data = faults or {}, ErrorList(), {}, data
    if isinstance(data, Mapping) and not data.keys() <= schema.input_names:
        known_data = {name: value for name, value in data.items() if name in schema.input_names}
    try:
        values = schema.load(known_data, partial=partial)
    except ValidationError as error:
        own_faults = _flatten_messages(error.messages, known_data)
        own_faults = (fault for fault in own_faults if not fault.path or fault.path[0] not in faults)
        errors.collect(FieldFault(fault, (*path, *place)) for fault, place in own_faults)
    if faults:
        errors.collect(FieldFault(fault, (*path, name)) for name, fault in faults.items())
    if known_data is not data:
        unknown_names = (name for name in data if name not in known_data and name not in faults)
        errors.collect(FieldFault(schema.get_fault(name), (*path, name)) for name in unknown_names)
    return values, errors


def _flatten_messages(messages: Any, data: Any, *path: str) -> Iterator[FieldFault]:
    """Flatten marshmallow's tree of messages; the key ``_schema`` is the object itself, unless `data` has that key."""
    if isinstance(messages, Fault):
        yield FieldFault(messages, path)
    elif isinstance(messages, str):
        yield FieldFault(Fault("invalid-field", messages), path)
    elif isinstance(messages, dict):
        for key, nested in messages.items():
            if isinstance(data, Mapping) and key in data:
                yield from _flatten_messages(nested, data[key], *path, key)
            elif key == "_schema":
                yield from _flatten_messages(nested, None, *path)
            else:
                yield from _flatten_messages(nested, None, *path, str(key))
    else:
        for message in messages:
            yield from _flatten_messages(message, data, *path)
