"""Server-sent events (HTML, §9.2.6): lines in, the data of each event out."""

from __future__ import annotations

import json
from typing import Any


class EventParser:
    """Collects the lines of an event stream. Fields other than ``data`` are ignored."""

    def __init__(self) -> None:
        self._data: list[str] = []

    def feed(self, line: str) -> dict[str, Any] | None:
        """Take a line without its end. Return the JSON object of the event that it completes, or None.

        Raises `ValueError` if the data is no JSON object.
        """
        if line:
            name, _, value = line.partition(":")
            if name == "data":
                self._data.append(value.removeprefix(" "))
            return None
        text, self._data = "\n".join(self._data), []
        if not text:
            return None
        document = json.loads(text)
        if not isinstance(document, dict):
            raise ValueError("The data of the event is no JSON object.")
        return document
