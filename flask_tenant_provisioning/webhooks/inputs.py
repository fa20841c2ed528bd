"""What clients send about endpoints, checked as a whole: the fields, and whether webhooks may be sent to the URL."""

from __future__ import annotations

from typing import Any

from ..problems import Fault
from ..web.mount import Mount
from ..web.validation import StrictSchema, entry, invalid, load, together
from .fields import LONGEST_URL
from .schemas import revision_input, webhook_input


def load_webhook(mount: Mount, body: Any) -> dict[str, Any]:
    """The valid values of a new endpoint. Raises `InvalidInput` that lists everything wrong with it.

    This looks the URL's name up, so it is no part of a unit of work.
    """
    return _loaded(mount, webhook_input(), body, partial=False)


def load_revision(mount: Mount, body: Any) -> dict[str, Any]:
    """The values that a merge patch (RFC 7396) gives an endpoint; as `load_webhook`."""
    return _loaded(mount, revision_input(), body, partial=True)


def _loaded(mount: Mount, schema: StrictSchema, body: Any, *, partial: bool) -> dict[str, Any]:
    values, _ = together(lambda: load(schema, body, partial=partial), lambda: _admitted(mount, body))
    return values


def _admitted(mount: Mount, body: Any) -> dict[str, Any]:
    """Raise `InvalidInput` where there is a URL that no webhook may be sent to."""
    url = body.get("url") if isinstance(body, dict) else None
    if isinstance(url, str) and 1 <= len(url) <= LONGEST_URL and "\0" not in url:
        reason = mount.url_refusal(url)
        if reason is not None:
            raise invalid([entry(Fault("refused-url", reason), "url")])
    return {}
