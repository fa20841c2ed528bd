"""The document's regular expressions are such as JavaScript and Go compile."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from marshmallow import Schema, fields
from marshmallow.validate import Regexp

from flask_tenant_provisioning.openapi.patterns import is_portable
from tests.support import custom_fields
from tests.support.hosts import PREFIX

#: Compiles each line of its input, which is JSON, and prints those that fail.
COMPILE = """
const lines = require("fs").readFileSync(0, "utf8").trim().split("\\n");
for (const pattern of lines.map(JSON.parse)) {
  try { new RegExp(pattern, "u"); } catch (error) { console.log(error.message); }
}
"""


class Fields(Schema):
    """Fields of a host with patterns that every engine compiles, and one that Go does not."""

    colour = fields.String(validate=Regexp("^#[0-9a-f]{6}$"))
    password = fields.String(validate=Regexp("(?=.*[0-9])[a-z0-9]+"))


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    app = custom_fields.make_host(f"sqlite:///{tmp_path_factory.mktemp('patterns')}/x.sqlite3", Fields, ())
    answer: dict[str, Any] = app.test_client().get(f"{PREFIX}/openapi.json").get_json()
    return answer


def find_values(node: Any, key: str) -> Iterator[str]:
    """Yield each text under `key`, wherever it is."""
    if isinstance(node, list):
        for item in node:
            yield from find_values(item, key)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == key and isinstance(value, str):
                yield value
            else:
                yield from find_values(value, key)


def test_javascript_compiles_every_pattern_with_the_unicode_flag(document: dict[str, Any]) -> None:
    if not (node := shutil.which("node")):
        pytest.skip("node is not installed")
    patterns = {*find_values(document, "pattern"), *find_values(document, "x-pattern")}
    assert len(patterns) > 10
    lines = "\n".join(map(json.dumps, patterns))
    result = subprocess.run([node, "-e", COMPILE], input=lines, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_no_pattern_looks_around_or_back(document: dict[str, Any]) -> None:
    assert [pattern for pattern in find_values(document, "pattern") if not is_portable(pattern)] == []
    assert any("(?=" in pattern for pattern in find_values(document, "x-pattern"))


@pytest.mark.parametrize(
    "pattern", ["(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b", r"(a)\1", "(?P<a>b)", r"\u0000", r"\p{L}", r"\Z", r"\@"]
)
def test_what_one_engine_does_not_know_is_not_portable(pattern: str) -> None:
    assert not is_portable(pattern)


@pytest.mark.parametrize("pattern", ["^(?:a|b)+$", r"^[^\x00-\x1f]*$", r"\d{3}\.\d", "[a-z]+?"])
def test_what_every_engine_knows_is_portable(pattern: str) -> None:
    assert is_portable(pattern)


def test_a_pattern_of_the_host_that_go_does_not_compile_is_kept_apart(document: dict[str, Any]) -> None:
    described = document["components"]["schemas"]["TenantInput"]["properties"]
    assert described["colour"]["pattern"] == "^#[0-9a-f]{6}$"
    assert "pattern" not in described["password"]
    assert described["password"]["x-pattern"] == "(?=.*[0-9])[a-z0-9]+"


def test_the_whole_rule_refuses_more_than_the_pattern(document: dict[str, Any]) -> None:
    name = document["components"]["schemas"]["TenantInput"]["properties"]["client_name"]
    for value, is_portably_refused, is_refused in (
        ("A", False, False),
        (" \t", True, True),
        ("a\0b", True, True),
        ("\u200b", False, True),
        (f"{'a' * 256}", False, True),
    ):
        assert (re.search(name["pattern"], value) is None) is is_portably_refused
        assert (re.search(name["x-pattern"], value) is None) is is_refused
