"""The field types of a tenant, the comparison keys of emails and names, and a fast path for plain values.

The fast path validates a whole tenant of plain values at a tenth of the schema's cost; a test holds both equal. Input
that it does not accept, valid or not, goes to the schema.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from marshmallow import fields, missing

from ..config import Config
from ..errors import Fault
from ..validation import NOT_AN_OBJECT, NOT_TEXT, NULL, REQUIRED, TextField, has_visible_character, make_field_error

MAX_NAME_LENGTH = 255
#: The most octets of an address before its @ (RFC 5321 §4.5.3.1.1).
MAX_LOCAL_PART_BYTES = 64
#: The most keys of `metadata`, and the longest key and value in characters.
MAX_METADATA_KEYS, MAX_METADATA_KEY_LENGTH, MAX_METADATA_VALUE_LENGTH = 50, 40, 500
#: The longest language tag (RFC 5646 §4.4.1), in characters.
MAX_LOCALE_LENGTH = 35
LOCALE_PATTERN = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
PHONE_PATTERN = re.compile(r"(?=.*[0-9])[+0-9 ()\-.]{3,32}")


class EmailField(TextField):
    """An email address with valid syntax (no DNS lookup); stored as sent."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=1, max_length=254, **options)

    def validate_text(self, value: str) -> str:
        make_email_key(value)
        return value

    def _make_length_fault(self) -> Fault:
        return _INVALID_EMAIL


_INVALID_EMAIL = Fault("invalid-email", "Invalid email address.")


def make_email_key(address: str) -> str:
    """Return the key by which addresses are compared: case-insensitive, the domain as IDNA. Raises `ValidationError`.

    Case folding maps one character to one (Unicode §3.13, simple folding): straße@ and strasse@ are two mailboxes
    (RFC 6531).
    """
    return address.lower() if is_plain_address(address) else _make_any_email_key(address)


def is_plain_address(address: str) -> bool:
    """Return whether the address is plain ASCII that email-validator certainly accepts unchanged."""
    return _PLAIN_ADDRESS.fullmatch(address) is not None and not address.lower().endswith(_load_reserved_suffixes())


#: Addresses that email-validator accepts unchanged, so that it need not be called; a test compares the two.
_PLAIN_ADDRESS = re.compile(
    r"(?=[^@]{1,64}@)[a-z0-9_+-]+(\.[a-z0-9_+-]+)*@((?=[^.]{1,63}\.)[a-z0-9]+(-[a-z0-9]+)*\.)+[a-z]{2,63}",
    re.ASCII | re.IGNORECASE,
)


@functools.cache
def _load_reserved_suffixes() -> tuple[str, ...]:
    """Return the endings of addresses in special-use domains (RFC 6761)."""
    from email_validator import SPECIAL_USE_DOMAIN_NAMES

    return tuple(f"{before}{name}" for name in SPECIAL_USE_DOMAIN_NAMES for before in ".@")


def _make_any_email_key(address: str) -> str:
    from email_validator import EmailNotValidError, validate_email

    try:
        parts = validate_email(address, check_deliverability=False)
    except EmailNotValidError as error:
        raise make_field_error(_INVALID_EMAIL) from error
    if len(parts.local_part.encode()) > MAX_LOCAL_PART_BYTES:
        raise make_field_error(_INVALID_EMAIL)
    local_part = unicodedata.normalize("NFC", "".join(map(_fold_case, parts.local_part)))
    return f"{local_part}@{(parts.ascii_domain or parts.domain).lower()}"


def _fold_case(char: str) -> str:
    full = char.casefold()
    return full if len(full) == 1 else char.lower()


def make_name_key(name: str) -> str:
    """Return the key by which names are sorted and searched: NFKC, case folded (UAX #15, Unicode §3.13).

    It is cut to `MAX_NAME_LENGTH`: one character folds into up to 18, and an index entry holds at most 2,704 bytes.
    """
    if name.isascii():
        return name.lower()[:MAX_NAME_LENGTH]
    return unicodedata.normalize("NFKC", name).casefold()[:MAX_NAME_LENGTH]


class PhoneField(TextField):
    """A phone number of digits, spaces and ``+ ( ) - .``; with `strict`, a valid E.164 number."""

    def __init__(self, *, strict: bool, **options: Any) -> None:
        super().__init__(min_length=3, max_length=32, **options)
        self.strict = strict

    def validate_text(self, value: str) -> str:
        if not PHONE_PATTERN.fullmatch(value) or (self.strict and not is_e164(value)):
            raise make_field_error(Fault("invalid-phone-number", "Invalid phone number."))
        return value


def is_e164(number: str) -> bool:
    """Return whether `number` is a valid number in E.164 form. Needs the extra ``phone``."""
    import phonenumbers
    from phonenumbers import PhoneNumberFormat

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return False
    formatted = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    return formatted == number and bool(phonenumbers.is_valid_number(parsed))


class PersonNameField(TextField):
    """The name of a person, in one line: it may end up in the header of a mail."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=1, max_length=MAX_NAME_LENGTH, trim=True, visible=True, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        if type(value) is str and _CONTROL_CHARACTER.search(value):
            raise make_field_error(Fault("invalid-text", "Must hold no line break and no other control character."))
        return super()._deserialize(value, attr, data, **options)


#: Control characters, line and paragraph separators, and the characters that change the direction of what follows.
CONTROL = "\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069"
_CONTROL_CHARACTER = re.compile(f"[{CONTROL}]")


class LocaleField(TextField):
    """A language tag, such as ``en`` or ``pt-BR``: letters, then parts of letters and digits (RFC 5646 §2.1)."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=2, max_length=MAX_LOCALE_LENGTH, **options)

    def validate_text(self, value: str) -> str:
        if not LOCALE_PATTERN.fullmatch(value):
            raise make_field_error(Fault("invalid-locale", "Must be a language tag such as en or pt-BR (BCP 47)."))
        return value


class PlanField(TextField):
    """The name of a plan; one of the host's `plans` if it declares any."""

    def __init__(self, *, plans: tuple[str, ...] | None, **options: Any) -> None:
        super().__init__(max_length=100, **options)
        self.plans = plans

    def validate_text(self, value: str) -> str:
        if self.plans is not None and value not in self.plans:
            raise make_field_error(Fault("unknown-plan", f"Must be one of: {', '.join(self.plans)}."))
        return value


class MetadataField(fields.Field):  # type: ignore[type-arg]
    """Up to 50 strings by key. A partial load reads a merge patch: null removes a key (RFC 7396)."""

    default_error_messages = {"required": [REQUIRED], "null": [NULL]}  # noqa: RUF012

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        if not isinstance(value, Mapping):
            raise make_field_error(NOT_AN_OBJECT)
        removing = bool(options.get("partial"))
        wrong = {key: fault for key, text in value.items() if (fault := _check_pair(key, text, removing))}
        too_many = len(value) > MAX_METADATA_KEYS and not removing
        if wrong or too_many:
            raise make_field_error(*([TOO_MANY_KEYS] if too_many else []), *([wrong] if wrong else []))
        return missing if removing and not value else dict(value)


TOO_MANY_KEYS = Fault("too-many-keys", f"Must have {MAX_METADATA_KEYS} keys at most.")
_INVALID_KEY = Fault("invalid-key", f"A key must have 1 to {MAX_METADATA_KEY_LENGTH} characters.")
_VALUE_TOO_LONG = Fault("invalid-length", f"Must have {MAX_METADATA_VALUE_LENGTH} characters at most.")


def _check_pair(key: str, value: Any, removing: bool) -> Fault | None:
    if not 1 <= len(key) <= MAX_METADATA_KEY_LENGTH:
        return _INVALID_KEY
    if value is None and removing:
        return None
    if not isinstance(value, str):
        return NOT_TEXT
    if len(value) > MAX_METADATA_VALUE_LENGTH:
        return _VALUE_TOO_LONG
    return None


#: The minimum and maximum length of each field except `metadata`, in characters.
_TEXT_LENGTHS = {
    "client_name": (1, MAX_NAME_LENGTH),
    "email": (1, 254),
    "phone_number": (3, 32),
    "external_id": (1, 128),
    "industry": (0, 100),
    "plan": (0, 100),
}


def make_fast_path(config: Config, plans: tuple[str, ...] | None) -> Callable[[Any], dict[str, Any] | None]:
    """Return a function that validates a whole tenant; it returns None for input that the schema has to check."""
    if config.phone_e164:
        return lambda _body: None
    return partial(_fast_path, plans=plans)


def _fast_path(body: Any, plans: tuple[str, ...] | None) -> dict[str, Any] | None:
    if type(body) is not dict:
        return None
    values = dict(body)
    metadata = values.pop("metadata", None)
    for name, value in values.items():
        lengths = _TEXT_LENGTHS.get(name)
        if lengths is None:
            return None
        if name == "client_name" and type(value) is str:
            values[name] = value = value.strip()
        if value is None and name not in _REQUIRED_FIELDS:
            continue
        if type(value) is not str or not lengths[0] <= len(value) <= lengths[1] or "\0" in value:
            return None
        if name in _VISIBLE_FIELDS and value:
            is_visible = value.isascii() and value.isprintable() and not value.isspace()
            if not is_visible and not has_visible_character(value):
                return None
    if not values.keys() >= _REQUIRED_FIELDS or not is_plain_address(values["email"]):
        return None
    phone_number, plan = values.get("phone_number"), values.get("plan")
    if phone_number is not None and not PHONE_PATTERN.fullmatch(phone_number):
        return None
    if plans is not None and plan is not None and plan not in plans:
        return None
    if metadata is not None and not _is_valid_metadata(metadata):
        return None
    if "metadata" in body:
        values["metadata"] = metadata or {}
    values["email_key"], values["name_key"] = values["email"].lower(), make_name_key(values["client_name"])
    return values


def _is_valid_metadata(metadata: Any) -> bool:
    if type(metadata) is not dict or len(metadata) > MAX_METADATA_KEYS:
        return False
    for key, text in metadata.items():
        if type(text) is not str or len(text) > MAX_METADATA_VALUE_LENGTH:
            return False
        if not 1 <= len(key) <= MAX_METADATA_KEY_LENGTH:
            return False
    return True


_REQUIRED_FIELDS = frozenset({"client_name", "email"})
#: The fields that must hold a visible character, unless they are empty.
_VISIBLE_FIELDS = frozenset({"client_name", "industry"})
