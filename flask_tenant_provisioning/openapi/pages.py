"""The HTML pages of the documentation, and the files that they load.

All links in them are relative, so they work wherever the API is mounted.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from flask import Response
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from .problem_types import Explanation


class Asset(NamedTuple):
    """A static file: its media type, and its text, which is None for a file of `flask_swagger_ui`."""

    media_type: str
    text: str | None = None


_START_SCRIPT = """\
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
#: On a phone, the links beside the responses would make the page wider than the screen.
_NARROW_STYLE = """\
@media (max-width: 740px) {
  .swagger-ui .responses-table .response-col_links { display: none; }
  .swagger-ui .responses-table { table-layout: fixed; }
}
"""
_PROBLEMS_STYLE = """\
:root { color-scheme: light dark; --back: #fff; --text: #1c1c1f; --code: #f4f4f5; --link: #0b57d0; }
@media (prefers-color-scheme: dark) {
  :root { --back: #16181c; --text: #e6e6e9; --code: #26292f; --link: #8ab4f8; }
}
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem; }
body { background: var(--back); color: var(--text); overflow-wrap: break-word; }
a { color: var(--link); }
code, pre { font-family: ui-monospace, monospace; background: var(--code); border-radius: 4px; }
code { padding: 0 0.25em; }
pre { padding: 1rem; overflow-x: auto; }
dt { font-weight: 600; margin-top: 1rem; }
dd { margin: 0; }
"""
ASSETS = {
    "swagger-ui.css": Asset("text/css; charset=utf-8"),
    "swagger-ui-bundle.js": Asset("text/javascript; charset=utf-8"),
    "favicon-32x32.png": Asset("image/png"),
    "start.js": Asset("text/javascript; charset=utf-8", _START_SCRIPT),
    "narrow.css": Asset("text/css; charset=utf-8", _NARROW_STYLE),
    "problems.css": Asset("text/css; charset=utf-8", _PROBLEMS_STYLE),
}
ASSET_MEDIA_TYPES = tuple(dict.fromkeys(asset.media_type for asset in ASSETS.values()))


@functools.cache
def read_asset(name: str) -> bytes:
    """Return the bytes of the asset `name`. Raises `KeyError` if it is not in `ASSETS`."""
    text = ASSETS[name].text
    return text.encode() if text is not None else (files("flask_swagger_ui") / "dist" / name).read_bytes()


HTML = "text/html"
_CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_PAGE = Markup(
    """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="{style}">
{head}</head>
<body>
{body}
</body>
</html>
"""
)
_SWAGGER_UI_HEAD = Markup(
    """\
<link rel="stylesheet" href="docs/narrow.css">
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
"""
)
_ICON = Markup('<link rel="icon" type="image/png" href="{folder}/favicon-32x32.png">\n')
_PROBLEM = Markup(
    """\
<h1>{title}</h1>
<p>{meaning}</p>
<dl>
<dt>Code</dt><dd><code>{code}</code></dd>
<dt>Status</dt><dd>{status}</dd>
<dt>What to do</dt><dd>{remedy}</dd>
<dt>Who can mend it</dt><dd>{menders}</dd>
</dl>
<h2>Example</h2>
<pre>{example}</pre>
<p><a href="../problems">All problems</a></p>"""
)
_ENTRY = Markup('<dt><a href="problems/{code}"><code>{code}</code></a></dt><dd>{status}: {title}.</dd>')


def make_html_response(text: str) -> Response:
    """Make a response with an HTML page that may load files from this server only (CSP level 3)."""
    return add_security_headers(Response(text, mimetype=HTML))


def add_security_headers(response: Response) -> Response:
    """Add headers that forbid the browser to send a referrer and to load anything from other origins."""
    response.headers["Content-Security-Policy"] = _CONTENT_SECURITY_POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def render_swagger_ui(title: str) -> str:
    """Render the Swagger UI page of this mount's document."""
    return _render_page(title, "docs/swagger-ui.css", Markup('<div id="swagger-ui"></div>'), _SWAGGER_UI_HEAD)


def render_problem(explanation: Explanation) -> str:
    """Render the page of one problem code."""
    kind = explanation.kind
    body = _PROBLEM.format(
        title=kind.title,
        meaning=_render_inline_code(explanation.meaning),
        code=kind.code,
        status=kind.status,
        remedy=_render_inline_code(kind.remedy),
        menders=explanation.menders,
        example=json.dumps(explanation.example, indent=2, ensure_ascii=False),
    )
    return _render_page(kind.title, "../docs/problems.css", body, _ICON.format(folder="../docs"))


def render_problem_index(explanations: Iterable[Explanation]) -> str:
    """Render the list of all problem codes, each with a link to its page."""
    entries = Markup("\n").join(
        _ENTRY.format(code=explanation.kind.code, status=explanation.kind.status, title=explanation.kind.title)
        for explanation in explanations
    )
    body = Markup("<h1>Problems</h1>\n<dl>\n{}\n</dl>").format(entries)
    return _render_page("Problems", "docs/problems.css", body, _ICON.format(folder="docs"))


def _render_page(title: str, style: str, body: Markup, head: Markup = Markup("")) -> str:  # noqa: B008
    return _PAGE.format(title=title, style=style, head=head, body=body)


def _render_inline_code(text: str) -> Markup:
    """Escape `text` and turn parts in backticks into ``<code>``."""
    return Markup(re.sub(r"`+([^`]+)`+", r"<code>\1</code>", str(escape(text))))  # noqa: S704
