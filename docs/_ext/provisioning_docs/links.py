"""Links from names in running text to their reference sections."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.addnodes import desc_signature
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

from . import problems, settings


class LinkNames(SphinxPostTransform):
    """Turns every code span with a setting's name or a problem code into a link, except in its own section."""

    default_priority = 20

    def run(self, **_options: Any) -> None:
        keys, codes = set(settings.names()), set(problems.names())
        for literal in list(self.document.findall(nodes.literal)):
            name, _, assigned = literal.astext().partition(" = ")
            if _is_linked(literal) or not (name in keys or (name in codes and not assigned)):
                continue
            page, anchor = self._place(name, "confval" if name in keys else "label")
            link = make_refnode(self.app.builder, self.env.docname, page, anchor, literal.deepcopy())
            literal.replace_self(link)

    def _place(self, name: str, kind: str) -> tuple[str, str]:
        standard = self.env.domains.standard_domain
        if kind == "label":
            page, anchor, _title = standard.labels[problems.label(name)]
            return page, anchor
        return standard.objects[kind, name]


def _is_linked(node: nodes.Node) -> bool:
    parent = node.parent
    while parent is not None:
        if isinstance(parent, nodes.reference | nodes.title | desc_signature):
            return True
        parent = parent.parent
    return False
