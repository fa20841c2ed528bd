"""Description of a kind of host."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from flask import Flask
from werkzeug.test import Client, TestResponse

_FLASK = tuple(map(int, importlib.metadata.version("flask").split(".")[:3]))


def is_flask_before(*version: int) -> bool:
    """Return whether Flask is older than this."""
    return version > _FLASK


class Kind(NamedTuple):
    """A kind of host: how it is built in a folder of its own, the pages that it has, and what mounting it leads to.

    `causes` are those of `tests.support.host_kinds.causes` for which the contract does not hold where the API is a
    blueprint, and which `doctor` has to report; `unseen` are those of them that do no harm with this release of Flask.
    `database` is what `init_app` is given, where that is the host's own. `wrap` is what the host does to its app once
    the API is mounted, and `root` the path below which callers then find the app.
    """

    build: Callable[[Path], Flask]
    pages: tuple[tuple[str, str], ...]
    causes: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    database: Callable[[Flask], Any] = lambda _app: None
    wrap: Callable[[Flask], None] = lambda _app: None
    root: str = ""

    def build_alone(self, folder: Path) -> Flask:
        """The host as it is without the API."""
        app = self.build(folder)
        self.wrap(app)
        return app

    def answers(self, app: Flask) -> list[Any]:
        """Return the response of each of its pages, one after another in one browser."""
        browser = Client(app)
        return [normalize_answer(browser.open(self.root + path, method=method)) for method, path in self.pages]


def normalize_answer(response: TestResponse) -> tuple[int, list[tuple[str, str]], str]:
    """An answer to the letter, but for what differs from one request to the next: ids, sealed texts and their times."""
    headers = [(name, _normalize_text(value, name)) for name, value in response.headers]
    return response.status_code, headers, _normalize_text(response.text)


def _normalize_text(text: str, header: str = "") -> str:
    if header == "Allow":
        return ", ".join(sorted(text.split(", ")))
    if header == "X-Request-ID":
        return "…"
    if header == "Set-Cookie":
        text = re.sub(r"=[^;]*;", "=…;", text, count=1)
    text = re.sub(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", "…", text)
    return re.sub(r"I[\w-]{50,}\.[\w-]{6}\.[\w-]{27}", "…", text)


NAMES = (
    "appbuilder",
    "below",
    "body_eater",
    "body_logger",
    "body_reader",
    "caching",
    "compressed",
    "csrf_later",
    "gatekeeper",
    "int_users",
    "migrated",
    "odd_json",
    "own_request_ids",
    "page_hook",
    "pages",
    "proxied",
    "request_ids",
    "secure",
    "visits",
)


def load_kind(name: str) -> Kind:
    """The kind of this name."""
    kind: Kind = importlib.import_module(f"tests.support.host_kinds.{name}").KIND
    return kind
