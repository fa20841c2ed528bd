"""What there is to know of a kind of host."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from flask import Flask
from werkzeug.test import Client, TestResponse

from tests.walk import STOPS

EVERYTHING = frozenset(STOPS)
#: The stops at which nobody has to be known: the API's documents, and what is refused before.
ANONYMOUS = frozenset(
    {"openapi", "docs", "problems", "health", "unknown_path_is_404", "wrong_method_is_405", "request_id"}
    | {"no_token_is_401", "forged_token_is_401", "stale_token_is_401", "no_cookie_plays_a_part"}
)
_FLASK = tuple(map(int, importlib.metadata.version("flask").split(".")[:3]))


def cookies_since(*version: int) -> frozenset[str]:
    """The stop at which ``Vary: Cookie`` is found, where Flask is this new: older ones forget to say it."""
    return frozenset({"no_cookie_plays_a_part"} if version <= _FLASK else ())


class Kind(NamedTuple):
    """A kind of host: how it is built in a folder of its own, the pages that it has, and what mounting it leads to.

    `told` is what `doctor` has to say of it where the API is a blueprint, by check; `broken` are the stops of the walk
    at which the contract then does not hold. `database` is what `init_app` is given, where that is the host's own.
    """

    build: Callable[[Path], Flask]
    pages: tuple[tuple[str, str], ...]
    told: dict[str, str] = {}  # noqa: RUF012
    broken: frozenset[str] = frozenset()
    database: Callable[[Flask], Any] = lambda _app: None

    def answers(self, app: Flask) -> list[Any]:
        """What each of its pages answers, one after another in one browser."""
        browser = Client(app)
        return [heard(browser.open(path, method=method)) for method, path in self.pages]


def heard(answer: TestResponse) -> tuple[int, list[tuple[str, str]], str]:
    """An answer to the letter, but for what differs from one request to the next: sealed texts and their times."""
    headers = [(name, _settled(value, name)) for name, value in answer.headers]
    return answer.status_code, headers, _settled(answer.text)


def _settled(text: str, header: str = "") -> str:
    if header == "Allow":
        return ", ".join(sorted(text.split(", ")))
    if header == "Set-Cookie":
        text = re.sub(r"=[^;]*;", "=…;", text, count=1)
    text = re.sub(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", "…", text)
    return re.sub(r"I[\w-]{50,}\.[\w-]{6}\.[\w-]{27}", "…", text)


NAMES = (
    "appbuilder",
    "body_logger",
    "compressed",
    "gatekeeper",
    "int_users",
    "migrated",
    "odd_json",
    "pages",
    "request_ids",
    "secure",
)


def kind(name: str) -> Kind:
    """The kind of this name."""
    found: Kind = importlib.import_module(f"tests.hosts.{name}").KIND
    return found
