"""The page about the client in the documentation: its blocks run, one after the other, against a served host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.client.hosts import ClientHost
from tests.support.snippets import DOCS, find_snippets


def test_the_blocks_of_the_page_run(
    embedded_host: ClientHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    caller = embedded_host.make_caller()
    names: dict[str, Any] = {"token": caller.token, "fetch_token": lambda: caller.token}
    clients = []
    for snippet in find_snippets("python", DOCS / "client.md"):
        if snippet.runs:
            code = snippet.code.replace("https://example.com/api/provisioning", embedded_host.url)
            exec(compile("\n" * snippet.line + code, str(snippet.page), "exec"), names)
            clients.append(names["client"])
    for client in clients:
        client.close()
    names["http"].close()
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ["Example Corp admin@example.com", "#/client_name Must have 1 to 255 characters."]
    expected = ["partial: 2 of 2 rows", "line 3: 1 field is invalid.", "new: One", "changed: {'plan': 'gold'}"]
    assert [line for line in expected if line not in printed] == []
    assert printed[-1] == "tenant.created"
