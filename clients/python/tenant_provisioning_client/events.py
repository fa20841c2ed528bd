"""Events, of the feed or of a webhook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .generated.events import BY_TYPE, Event
from .generated.models import OtherEvent


def parse_event(document: Mapping[str, Any]) -> Event:
    """Return the event of a JSON object, which a webhook has as its body.

    An event of a type that this version of the client does not know is an `OtherEvent`. Raises `KeyError`, `TypeError`
    or `ValueError` if the object is no event.
    """
    return BY_TYPE.get(document["type"], OtherEvent.from_dict)(document)
