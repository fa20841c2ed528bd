"""Settings of the documentation, which `make docs` builds."""

from __future__ import annotations

import sys
from importlib.metadata import version as read_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "flask-tenant-provisioning"
author = "The flask-tenant-provisioning authors"
copyright = f"2026, {author}"
release = read_version("flask-tenant-provisioning")
version = ".".join(release.split(".")[:2])

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "sphinx_design", "provisioning_docs"]
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
    ("py:class", r".*\.(guard\.R|extension\.R|context\.R|hooks\.F)"),
]

html_theme = "furo"
html_title = f"flask-tenant-provisioning {version}"
html_favicon = "_static/icon.svg"
html_static_path = ["_static"]
html_css_files = ["guide.css"]
html_show_sourcelink = False
html_copy_source = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
copybutton_exclude = ".linenos, .gp, .go"
