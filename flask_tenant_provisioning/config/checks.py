"""What a value must be: each check returns the value to use, or raises `ValueError` that says what is wanted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], Any]


def text(value: Any) -> str:
    """A text."""
    if type(value) in (int, float):
        raise ValueError("a text (in an environment variable, a number within double quotes)")
    if not isinstance(value, str) or not value:
        raise ValueError("a text that is not empty")
    return value


def flag(value: Any) -> bool:
    """True or False, and nothing that only counts as such."""
    if not isinstance(value, bool):
        raise ValueError("True or False (in an environment variable, true or false)")
    return value


def or_none(check: Check) -> Check:
    """What `check` takes, or None."""
    return lambda value: None if value is None else check(value)


def number(low: int, high: int) -> Check:
    """A whole number, both ends included."""

    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return check


def choice(*allowed: str) -> Check:
    """One of `allowed`."""

    def check(value: Any) -> str:
        if value not in allowed:
            raise ValueError(" or ".join(map(repr, allowed)))
        return str(value)

    return check


def matching(pattern: str, wanted: str) -> Check:
    """A text that `pattern` matches whole; `wanted` says so to people."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(wanted)
        return value

    return check


def is_text(value: Any) -> bool:
    """Whether `value` is a text that is not empty."""
    return isinstance(value, str) and value != ""


def are_texts(value: Any) -> bool:
    """Whether `value` is a list of such."""
    return isinstance(value, list | tuple | set | frozenset) and all(map(is_text, value))


def texts(value: Any) -> tuple[str, ...]:
    """A list of texts."""
    if not are_texts(value):
        raise ValueError("a list of texts, none of them empty")
    return tuple(value)


def text_or_texts(value: Any) -> str | tuple[str, ...]:
    """A text, or a list with one at least."""
    if not is_text(value) and not (value and are_texts(value)):
        raise ValueError("a text or a list of texts, none of them empty")
    return value if isinstance(value, str) else tuple(value)


def mapping(value: Any) -> dict[str, Any]:
    """A mapping of names to whatever."""
    if not isinstance(value, Mapping) or not all(map(is_text, value)):
        raise ValueError("a mapping of names to values")
    return dict(value)
