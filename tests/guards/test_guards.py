"""The checks of the repository itself hold here, and each of them can fail."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.guards import advisories, builds, files, skips

pytestmark = pytest.mark.blueprint("about the repository, whatever the mount")
#: Built here, so that this file holds none of it: what each of these would be in a file.
BEGIN = "-----BEGIN " + "PRIVATE KEY-----\n"
SECRETS = {
    "a private key": BEGIN + "MC4CAQAwBQYDK2VwBCIEIA" + "x" * 40,
    "an access key of AWS": "AKIA" + "ABCDEFGHIJKLMNOP",
    "a token of GitHub": "ghp_" + "a1" * 18,
    "a token of Slack": "xoxb-" + "1234567890-abc",
    "a key of Stripe": "sk_live_" + "4" * 24,
    "a token of PyPI": "pypi-" + "AgEIcHlwaS5vcmc" + "x" * 40,
    "a JSON web token": "eyJhbGciOiJI" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "s" * 43,
}


def check(folder: Path, name: str, text: str) -> list[str]:
    """Return the findings in one file."""
    (folder / name).write_text(text, encoding="utf-8")
    return list(files.check(folder, [name]))


def test_tracked_files_hold_nothing_hidden_and_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    inside = subprocess.run(["git", "rev-parse"], cwd=files.ROOT, capture_output=True, check=False)
    assert inside.returncode or files.main() == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    "character",
    [
        "\u202e",
        "\u2066",
        "\u200b",
        "\u200d",
        "\ufeff",
        "\u00ad",
        "\u00a0",
        "\u2028",
        "\x00",
        "\x1b",
        "\r",
        "\u3164",
        "\ue000",
    ],
    ids=lambda character: f"U+{ord(character):04X}",
)
def test_a_character_that_is_not_seen_is_found_with_its_line(tmp_path: Path, character: str) -> None:
    (finding,) = check(tmp_path, "a.py", f"first\nsecond {character} line\n")
    assert finding.startswith(f"a.py:2: U+{ord(character):04X} ")


def test_text_in_other_scripts_and_symbols_is_text(tmp_path: Path) -> None:
    assert check(tmp_path, "a.py", "Привет, 世界, مرحبا — × … 👩 → e\u0301\n\ttabbed\n") == []


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_found(tmp_path: Path, kind: str) -> None:
    assert {*SECRETS} == {*files.SECRETS}
    assert check(tmp_path, "a.py", f"x = 1\nkey = '''{SECRETS[kind]}'''\n") == [f"a.py:2: this looks like {kind}"]


@pytest.mark.parametrize("name", [".env", ".env.production", "licence.jws", "id_ed25519", "server.key", ".pypirc"])
def test_a_file_that_holds_secrets_by_its_name_is_found(tmp_path: Path, name: str) -> None:
    assert check(tmp_path, name, "") == [f"{name}: a file of this name holds secrets, and is not tracked"]
    assert check(tmp_path, ".env.example", "") == []


SKIPPING = """
import pytest

pytest_plugins = ["tests.guards.skips"]

def test_known():
    pytest.skip("SQLite has one writer")

def test_passes():
    pass
"""


def run_skipping(folder: Path, more: str, *arguments: str, demanded: bool = True) -> subprocess.CompletedProcess[str]:
    """A run of tests that are skipped."""
    (folder / "conftest.py").write_text("pytest_plugins = ['tests.guards.skips']\n")
    (folder / "test_skips.py").write_text(SKIPPING + more)
    environment = {**os.environ, "PYTHONPATH": str(files.ROOT), skips.VARIABLE: "1" if demanded else ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


UNKNOWN = "def test_unknown():\n    pytest.skip('it fails on Tuesdays')\n"


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_test_that_is_skipped_for_an_unknown_reason_fails_the_run(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert run_skipping(tmp_path, "", *arguments).returncode == 0
    done = run_skipping(tmp_path, UNKNOWN, *arguments)
    assert done.returncode == 1, done.stdout
    assert "test_skips.py::test_unknown: Skipped: it fails on Tuesdays" in done.stdout
    assert "test_known" not in done.stdout.partition("does not know")[2].partition("short test summary")[0]


@pytest.mark.slow
def test_skip_at_collection_fails_only_a_demanding_run(tmp_path: Path) -> None:
    absent = "pytest.importorskip('no_such_package')\n"
    assert run_skipping(tmp_path, absent).returncode == 1
    assert run_skipping(tmp_path, UNKNOWN, demanded=False).returncode == 0


def write_wheel(path: Path, content: str, minute: int = 0) -> Path:
    """A wheel of one file."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("package/a.py", (2026, 1, 1, 0, minute, 0)), content)
    return path


def test_builds_with_different_content_or_times_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = write_wheel(tmp_path / "1.whl", "a")
    assert builds.main(str(first), str(write_wheel(tmp_path / "2.whl", "a"))) == 0
    assert builds.main(str(first), str(write_wheel(tmp_path / "3.whl", "b"))) == 1
    assert "package/a.py: its content" in capsys.readouterr().out
    assert builds.main(str(first), str(write_wheel(tmp_path / "4.whl", "a", minute=2))) == 1
    assert "package/a.py: its time" in capsys.readouterr().out


ADVISORY = '{"dependencies": [{"name": "p", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}]}'
SKIPPED = '{"dependencies": [{"name": "p", "skip_reason": "Dependency not found on PyPI"}]}'


@pytest.mark.parametrize(
    ("script", "status", "message"),
    [
        (f"print('''{ADVISORY}'''); raise SystemExit(1)", 1, "p 1: CVE-1, mended in 2\n1 advisories about 1 packages"),
        ("print('{\"dependencies\": []}')", 0, "0 advisories about 0 packages"),
        (f"print('''{SKIPPED}''')", 0, "left out: the package index that this machine reaches tells no advisories"),
        ("raise SystemExit('no route to host')", 0, "left out: advisories cannot be asked for here (no route to host)"),
    ],
    ids=["one", "none", "another index", "no network"],
)
def test_an_advisory_fails_and_a_missing_network_does_not(
    capsys: pytest.CaptureFixture[str], script: str, status: int, message: str
) -> None:
    assert advisories.main("anywhere", [sys.executable, "-c", script]) == status
    assert message in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("selects", "status"),
    [("both", 0), ("many", 0), ("alone", 0), ("neither", 2), ("failing", 2)],
)
def test_selecting_no_slow_test_fails(tmp_path: Path, selects: str, status: int) -> None:
    """The Makefile's two runs, by a stand-in for Python that ends as pytest would."""
    (tmp_path / "Makefile").write_bytes((files.ROOT / "Makefile").read_bytes())
    (tmp_path / "setup.cfg").touch()
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "clients/python").mkdir(parents=True)
    (tmp_path / "clients/python/setup.cfg").touch()
    scripts = tmp_path / ".venv/bin"
    scripts.mkdir(parents=True)
    many, alone = {"both": (0, 0), "many": (0, 5), "alone": (5, 0), "neither": (5, 5), "failing": (1, 0)}[selects]
    python = scripts / "python"
    python.write_text(f'#!/bin/sh\ncase "$*" in *"not alone"*) exit {many};; *) exit {alone};; esac\n')
    python.chmod(0o755)
    (tmp_path / ".venv/dev.stamp").touch()
    result = subprocess.run(["make", "test-slow"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert result.returncode == status, result
    assert ("ARGS select no slow test" in result.stderr) == (selects == "neither")
