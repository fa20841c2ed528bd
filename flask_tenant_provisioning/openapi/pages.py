"""The pages that people read. Each reference in them is relative, so they work wherever the API is mounted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from flask import Response
from markupsafe import Markup, escape

from .explained import Explanation

HTML = "text/html"

_POLICY = "; ".join(
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

_INTERACTIVE = Markup(
    """\
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
"""
)

_PROBLEM = Markup(
    """\
<h1>{title}</h1>
<p>{meaning}</p>
<dl>
<dt>Code</dt><dd><code>{code}</code></dd>
<dt>Status</dt><dd>{status}</dd>
<dt>What to do</dt><dd>{remedy}</dd>
</dl>
<h2>Example</h2>
<pre>{example}</pre>
<p><a href="../problems">All problems</a></p>"""
)

_ENTRY = Markup('<dt><a href="problems/{code}"><code>{code}</code></a></dt><dd>{status}: {title}.</dd>')


def html(text: str) -> Response:
    """A page that may load what this server holds, and nothing else (CSP level 3)."""
    return secured(Response(text, mimetype=HTML))


def secured(answer: Response) -> Response:
    """Forbid the browser to tell others, and to fetch from anywhere else."""
    answer.headers["Content-Security-Policy"] = _POLICY
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


def interactive() -> str:
    """Swagger UI on this mount's document."""
    return _page("Tenant provisioning", "docs/swagger-ui.css", Markup('<div id="swagger-ui"></div>'), _INTERACTIVE)


def problem(explained: Explanation) -> str:
    """One code's page."""
    kind = explained.kind
    body = _PROBLEM.format(
        title=kind.title,
        meaning=_marked(explained.meaning),
        code=kind.code,
        status=kind.status,
        remedy=_marked(kind.remedy),
        example=json.dumps(explained.example, indent=2, ensure_ascii=False),
    )
    return _page(kind.title, "../docs/problems.css", body)


def index(explained: Iterable[Explanation]) -> str:
    """Every code, with the way to its page."""
    entries = Markup("\n").join(
        _ENTRY.format(code=one.kind.code, status=one.kind.status, title=one.kind.title) for one in explained
    )
    body = Markup("<h1>Problems</h1>\n<dl>\n{}\n</dl>").format(entries)
    return _page("Problems", "docs/problems.css", body)


def _page(title: str, style: str, body: Markup, head: Markup = Markup("")) -> str:  # noqa: B008
    return _PAGE.format(title=title, style=style, head=head, body=body)


def _marked(text: str) -> Markup:
    """`text` escaped, with what stands in backticks as code."""
    return Markup(re.sub(r"`+([^`]+)`+", r"<code>\1</code>", str(escape(text))))  # noqa: S704
