"""The page "A host from start to finish", followed from its first command to its last in an empty folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.shell_snippets import run_script
from tests.support.snippets import DOCS, find_snippets, write_files

PAGE = DOCS / "tutorial.md"
NEEDS = ("flask_login", "flask_migrate", "flask_wtf")


@pytest.mark.slow
def test_tutorial_leads_from_an_empty_folder_to_a_bulk_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in NEEDS:
        pytest.importorskip(module)
    for name in [name for name in os.environ if name.startswith("FLASK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(DOCS.parent), str(tmp_path)]))
    write_files(PAGE, tmp_path)
    script = "\n".join(snippet.code for snippet in find_snippets("sh", PAGE) if snippet.runs)
    result = run_script(script, tmp_path, timeout=600)
    shown = result.stdout + result.stderr
    assert result.returncode == 0, shown
    assert "HTTP/1.1 302 FOUND" in result.stdout
    assert '"code":"slug-taken"' in result.stdout.replace(" ", "")
    assert "blue-bakery: blue-bakery@desk.example.com" in result.stdout
    assert "green-garage: green-garage@desk.example.com" in result.stdout
    assert "grey-mailers: None" in result.stdout
    assert "Red Roofing" in (tmp_path / "failed.csv").read_text()
    assert "Our mail provider accepts no bulk mailers." in result.stdout
