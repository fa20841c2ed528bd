"""The built documentation and the API's own pages in Chromium: both themes, a phone's width and a wide screen's."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from flask_tenant_provisioning import TenantProvisioning
from tests.support.browser import find_chromium, inspect_pages, serve_folder, start_browser
from tests.support.hosts import PREFIX, make_config
from tests.support.servers import serve
from tests.support.snippets import DOCS

NEEDED = ("sphinx", "furo", "playwright", "axe_playwright_python")


@pytest.fixture(autouse=True)
def needs_a_browser() -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the extra 'docs' is not installed: no {', '.join(missing)}")
    if find_chromium() is None:
        pytest.skip("Chromium is not installed")


@pytest.mark.slow
def test_documentation_fits_its_screen_in_both_themes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-E", "-q", str(DOCS), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    pages = sorted(path.name for path in tmp_path.glob("*.html"))
    assert len(pages) > len(list(DOCS.glob("*.md")))
    with serve_folder(tmp_path) as base, start_browser() as browser:
        looks = list(inspect_pages(browser, [f"{base}/{page}" for page in pages]))
    assert len(looks) == 4 * len(pages)
    assert {look.address: look for look in looks if look.faults} == {}


@pytest.mark.slow
def test_problem_pages_fit_their_screen_in_both_themes(tmp_path: Path) -> None:
    app = Flask("host")
    app.config.update(make_config())
    TenantProvisioning(app, f"sqlite:///{tmp_path}/provisioning.sqlite3")
    paths = ["/problems", "/problems/tenant-exists", "/problems/malformed-json", "/problems/idempotency-key-reused"]
    with serve(app) as (host, port), start_browser() as browser:
        addresses = [f"http://{host}:{port}{PREFIX}{path}" for path in paths]
        looks = list(inspect_pages(browser, addresses))
    assert {look.address: look for look in looks if look.faults} == {}
