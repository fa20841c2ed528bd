"""How the documentation is built: `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path

from pallets_sphinx_themes import get_version

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "flask-tenant-provisioning"
author = "The flask-tenant-provisioning authors"
copyright = f"2026, {author}"
release, version = get_version("flask-tenant-provisioning")

extensions = ["myst_parser", "sphinx.ext.autodoc", "pallets_sphinx_themes", "provisioning_docs"]
default_role = "code"
smartquotes_action = "qe"  # an option keeps its two dashes
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
myst_ref_domains = ["std", "py"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_preserve_defaults = True

# Links into other projects' documentation would need the network; their names are shown as they are.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!flask_tenant_provisioning)~?\w+(\..*)?"),
    ("py:class", r".*\.(guard\.R|hooks\.F)"),
]

html_theme = "flask"
html_theme_options = {"index_sidebar_logo": False}
html_title = f"flask-tenant-provisioning ({version})"
html_sidebars = {
    "index": ["localtoc.html", "searchbox.html"],
    "**": ["localtoc.html", "relations.html", "searchbox.html"],
}
html_show_sourcelink = False
version_banner = False  # it would ask PyPI from the reader's browser
