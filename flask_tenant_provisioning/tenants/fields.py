"""The fields of a tenant that need more than a length."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from marshmallow import fields, missing

from ..problems import Fault
from ..web.validation import NOT_AN_OBJECT, NOT_TEXT, NULL, REQUIRED, TextField, refused

LONGEST_NAME = 255
#: How many octets an address may have before its @ (RFC 5321 §4.5.3.1.1).
LONGEST_LOCAL_PART = 64
MOST_KEYS, LONGEST_KEY, LONGEST_VALUE = 50, 40, 500
PHONE = re.compile(r"(?=.*[0-9])[+0-9 ()\-.]{3,32}")


class EmailField(TextField):
    """An address with valid syntax (no DNS); kept as given."""

    def __init__(self, **options: Any) -> None:
        super().__init__(shortest=1, longest=254, **options)

    def accept(self, value: str) -> str:
        email_key(value)
        return value

    def _wrong_length(self) -> Fault:
        return _INVALID_EMAIL


_INVALID_EMAIL = Fault("invalid-email", "Invalid email address.")


def email_key(address: str) -> str:
    """The address as it is compared: without regard to case, the domain as IDNA. Raises `ValidationError`.

    Cases fold one character to one (Unicode §3.13, simple folding): straße@ and strasse@ are two mailboxes (RFC 6531).
    """
    return address.lower() if is_plain_address(address) else _any_email_key(address)


def is_plain_address(address: str) -> bool:
    """Whether email-validator takes the address as it is, as far as can be told without asking."""
    return _PLAIN_ADDRESS.fullmatch(address) is not None and not address.lower().endswith(_reserved())


#: Addresses that email-validator takes as they are, which spares asking it; a test holds the two against each other.
_PLAIN_ADDRESS = re.compile(
    r"(?=[^@]{1,64}@)[a-z0-9_+-]+(\.[a-z0-9_+-]+)*@((?=[^.]{1,63}\.)[a-z0-9]+(-[a-z0-9]+)*\.)+[a-z]{2,63}",
    re.ASCII | re.IGNORECASE,
)


@functools.cache
def _reserved() -> tuple[str, ...]:
    """How addresses end that nobody can have (RFC 6761)."""
    from email_validator import SPECIAL_USE_DOMAIN_NAMES

    return tuple(f"{before}{name}" for name in SPECIAL_USE_DOMAIN_NAMES for before in ".@")


def _any_email_key(address: str) -> str:
    from email_validator import EmailNotValidError, validate_email

    try:
        found = validate_email(address, check_deliverability=False)
    except EmailNotValidError as error:
        raise refused(_INVALID_EMAIL) from error
    if len(found.local_part.encode()) > LONGEST_LOCAL_PART:
        raise refused(_INVALID_EMAIL)
    local_part = unicodedata.normalize("NFC", "".join(map(_folded, found.local_part)))
    return f"{local_part}@{(found.ascii_domain or found.domain).lower()}"


def _folded(char: str) -> str:
    full = char.casefold()
    return full if len(full) == 1 else char.lower()


def name_key(name: str) -> str:
    """A name as it is sorted and searched: compatibility-composed and case folded (UAX #15, Unicode §3.13).

    No longer than a name may be: one character folds into up to 18, and an index entry holds 2,704 bytes at most.
    """
    if name.isascii():
        return name.lower()[:LONGEST_NAME]
    return unicodedata.normalize("NFKC", name).casefold()[:LONGEST_NAME]


class PhoneField(TextField):
    """A telephone number of digits and the usual signs; with `strict`, a valid E.164 number."""

    def __init__(self, *, strict: bool, **options: Any) -> None:
        super().__init__(shortest=3, longest=32, **options)
        self.strict = strict

    def accept(self, value: str) -> str:
        if not PHONE.fullmatch(value) or (self.strict and not is_e164(value)):
            raise refused(Fault("invalid-phone-number", "Invalid phone number."))
        return value


def is_e164(number: str) -> bool:
    """Whether `number` is a valid number in E.164 form; needs the extra ``phone``."""
    import phonenumbers
    from phonenumbers import PhoneNumberFormat

    try:
        found = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return False
    written = phonenumbers.format_number(found, PhoneNumberFormat.E164)
    return written == number and bool(phonenumbers.is_valid_number(found))


class PlanField(TextField):
    """One of the host's plans, where it declares them."""

    def __init__(self, *, plans: tuple[str, ...] | None, **options: Any) -> None:
        super().__init__(longest=100, **options)
        self.plans = plans

    def accept(self, value: str) -> str:
        if self.plans is not None and value not in self.plans:
            raise refused(Fault("unknown-plan", f"Must be one of: {', '.join(self.plans)}."))
        return value


class MetadataField(fields.Field):  # type: ignore[type-arg]
    """Up to 50 texts by name. A partial load reads a merge patch of them: null removes a key (RFC 7396)."""

    default_error_messages = {"required": [REQUIRED], "null": [NULL]}  # noqa: RUF012

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        if not isinstance(value, Mapping):
            raise refused(NOT_AN_OBJECT)
        removing = bool(options.get("partial"))
        wrong = {key: fault for key, text in value.items() if (fault := _wrong_pair(key, text, removing))}
        too_many = len(value) > MOST_KEYS and not removing
        if wrong or too_many:
            raise refused(*([TOO_MANY_KEYS] if too_many else []), *([wrong] if wrong else []))
        return missing if removing and not value else dict(value)


TOO_MANY_KEYS = Fault("too-many-keys", f"Must have {MOST_KEYS} keys at most.")
_WRONG_KEY = Fault("invalid-key", f"A key must have 1 to {LONGEST_KEY} characters.")
_TOO_LONG = Fault("invalid-length", f"Must have {LONGEST_VALUE} characters at most.")


def _wrong_pair(key: str, value: Any, removing: bool) -> Fault | None:
    if not 1 <= len(key) <= LONGEST_KEY:
        return _WRONG_KEY
    if value is None and removing:
        return None
    if not isinstance(value, str):
        return NOT_TEXT
    if len(value) > LONGEST_VALUE:
        return _TOO_LONG
    return None
