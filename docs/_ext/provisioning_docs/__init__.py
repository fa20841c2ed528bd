"""A Sphinx extension that generates reference sections from the code when the pages are built.

A page marks the place: ``<!-- generated: settings -->``, or with an argument
``<!-- generated: operations tenants -->``. `SECTIONS` names every section; each is a function that returns Markdown and
needs no Sphinx. Names of settings and problem codes in running text become links.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import commands, problems, reference, settings

if TYPE_CHECKING:
    from sphinx.application import Sphinx

SECTIONS: dict[str, Callable[..., str]] = {
    "settings": settings.reference,
    "roles": settings.roles,
    "problems": problems.reference,
    "conventions": reference.conventions,
    "index": reference.index,
    "operations": reference.page,
    "schemas": reference.schemas,
    "tenant": reference.tenant,
    "commands": commands.reference,
}

_PLACE = re.compile(r"^<!-- generated: ([a-z]+)(?: ([a-z-]+))? -->$", re.MULTILINE)


def fill_places(text: str) -> str:
    """Return `text` with every marked place filled. Raises `KeyError` for an unknown section."""
    return _PLACE.sub(lambda place: SECTIONS[place[1]](*filter(None, [place[2]])), text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension with Sphinx, and return its properties."""
    from .links import LinkNames

    def fill(_app: Sphinx, _page: str, source: list[str]) -> None:
        source[0] = fill_places(source[0])

    app.connect("source-read", fill)
    app.add_post_transform(LinkNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
