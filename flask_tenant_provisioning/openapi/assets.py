"""The files behind the pages: Swagger UI as its package ships it, and what sets it going. Nothing else is served."""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import NamedTuple


class Asset(NamedTuple):
    """One file: its media type, and its text where it is this package's own."""

    media_type: str
    text: str | None = None


_START = """\
"use strict";
window.addEventListener("load", () => {
  window.ui = SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    validatorUrl: null,
    presets: [SwaggerUIBundle.presets.apis],
  });
});
"""

_STYLE = """\
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font-family: ui-monospace, monospace; background: #f4f4f5; border-radius: 4px; }
code { padding: 0 0.25em; }
pre { padding: 1rem; overflow-x: auto; }
dt { font-weight: 600; margin-top: 1rem; }
dd { margin: 0; }
"""

ASSETS = {
    "swagger-ui.css": Asset("text/css; charset=utf-8"),
    "swagger-ui-bundle.js": Asset("text/javascript; charset=utf-8"),
    "favicon-32x32.png": Asset("image/png"),
    "start.js": Asset("text/javascript; charset=utf-8", _START),
    "problems.css": Asset("text/css; charset=utf-8", _STYLE),
}
MEDIA_TYPES = tuple(dict.fromkeys(asset.media_type for asset in ASSETS.values()))


@functools.cache
def content(name: str) -> bytes:
    """The bytes of the asset of this name. Raises `KeyError` for a name that is not in `ASSETS`."""
    text = ASSETS[name].text
    return text.encode() if text is not None else (files("flask_swagger_ui") / "dist" / name).read_bytes()
