"""The suite beside the habits of hosts: xdist, star-imports, skipped modules, autouse fixtures, slow steps."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flask_tenant_provisioning.testing import suite
from flask_tenant_provisioning.testing.callers import Patience
from tests.support.conformance import ESSENTIALS, assert_suite_passes, run_suite, write_host

pytestmark = pytest.mark.blueprint("about pytest, whatever the mount")
slow = pytest.mark.slow

#: Its clock is `SHIFT` seconds off, before anything of the suite is imported.
OTHER_CLOCK = """
import os
import time

real = time.time
time.time = lambda: real() + float(os.environ["SHIFT"])
"""


def collect(folder: Path, seed: int) -> list[str]:
    """The ids that a process collects whose clock and whose hashes of texts are its own."""
    (folder / "conftest.py").write_text(OTHER_CLOCK)
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--provisioning-app=host:create_app"]
    own = {"SHIFT": str(seed * 1000), "PYTHONHASHSEED": str(seed)}
    result = subprocess.run(command, cwd=folder, env={**os.environ, **own}, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout
    return re.findall(r"^\S+::.*$", result.stdout, re.MULTILINE)


@slow
def test_every_process_collects_the_same_tests(tmp_path: Path) -> None:
    write_host(tmp_path)
    first, second = collect(tmp_path, 1), collect(tmp_path, 2)
    assert len(first) > 900
    assert first == second


@slow
def test_the_suite_runs_in_processes_of_xdist(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    write_host(tmp_path)
    assert_suite_passes(run_suite(tmp_path, "-n", "2", "-k", "test_mounting or test_authentication"), 50)


def test_nothing_but_tests_is_imported_with_a_star() -> None:
    assert suite.__all__
    assert all(re.match("test_", name) for name in suite.__all__)
    modules = {name for name, value in vars(suite).items() if name.startswith("test_") and not callable(value)}
    assert modules
    assert not modules & {*suite.__all__}


@slow
def test_helpers_are_not_collected_under_wide_name_patterns(tmp_path: Path) -> None:
    write_host(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\npython_functions = *test* *should*\npython_classes = *\n")
    (tmp_path / "test_contract.py").write_text("from flask_tenant_provisioning.testing.suite import *\n")
    assert_suite_passes(run_suite(tmp_path, "test_contract.py", "-k", "send_test or tested or api_is_mounted"), 1)


SKIPPED = "import pytest\n\npytest.importorskip('no_such_package')\n"


@slow
@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_module_of_the_hosts_that_is_skipped_does_not_stop_the_summary(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    write_host(tmp_path)
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_optional.py").write_text(SKIPPED)
    run = run_suite(tmp_path, "tests", *arguments, "-k", "test_mounting")
    assert_suite_passes(run, 3)
    assert run.counts == (3, 0, 0)


@slow
def test_a_module_of_the_hosts_that_cannot_be_imported_does_not_stop_the_summary(tmp_path: Path) -> None:
    write_host(tmp_path)
    (tmp_path / "test_broken.py").write_text("import no_such_package\n")
    run = run_suite(tmp_path, "test_broken.py", "--continue-on-collection-errors", "-k", "test_mounting")
    assert run.counts == (3, 0, 0), run
    assert "INTERNALERROR" not in run.output


#: A host whose factory works once a process, and whose fixtures build the app for every test or once for all.
ONCE = """
made = []
"""
ONCE_ONLY = """
if made:
    raise RuntimeError("Duplicated timeseries in CollectorRegistry")
made.append(1)
"""
AUTOUSE = """
import sys

import pytest

sys.path.insert(0, ".")

@pytest.fixture(scope="session", autouse=True)
def app():
    from host import create_app
    return create_app()
"""
SHARED = """
@pytest.fixture(scope="session")
def provisioning_app(app):
    return app
"""


@slow
@pytest.mark.parametrize(
    ("more", "arguments"),
    [(SHARED, ()), ("", ("-n0", "--noconftest"))],
    ids=["the suite takes the fixture's app", "without conftest.py"],
)
def test_an_app_that_a_fixture_of_the_hosts_builds_is_built_once(
    tmp_path: Path, more: str, arguments: tuple[str, ...]
) -> None:
    pytest.importorskip("xdist")
    write_host(tmp_path, registered=ONCE, before=ONCE_ONLY)
    (tmp_path / "conftest.py").write_text(AUTOUSE + more)
    assert_suite_passes(run_suite(tmp_path, *arguments, *ESSENTIALS), 12)


@slow
def test_app_that_cannot_be_built_twice_gets_a_message(tmp_path: Path) -> None:
    write_host(tmp_path, registered=ONCE, before=ONCE_ONLY)
    (tmp_path / "conftest.py").write_text(AUTOUSE)
    run = run_suite(tmp_path, *ESSENTIALS)
    assert run.status == 1, run
    assert "override provisioning_app so that it returns the app of that fixture" in run.output
    assert "-n0 --noconftest" in run.output


FLAKY = """
@provisioning.step("bucket")
def make_bucket(tenant):
    raise ConnectionError("the storage does not answer")
"""


@slow
def test_a_step_that_never_succeeds_is_named_and_waited_for_so_long_and_no_longer(tmp_path: Path) -> None:
    write_host(tmp_path, registered=FLAKY)
    config = {"PROVISIONING_ENGINE": "embedded"}
    run = run_suite(tmp_path, "--provisioning-patience=3", "-k", "test_lifecycle or test_reading", config=config)
    assert run.status == 1, run
    assert "The suite has waited 3 s in all for this host's work. The host's step 'bucket' is " in run.output
    assert "ConnectionError" in run.output
    assert "--provisioning-patience=SECONDS" in run.output
    _, failed, left_out = run.counts
    assert failed == 1, run
    assert left_out > 10, run
    assert any("The host's step 'bucket'" in reason for reason in run.left_out)


def test_used_up_patience_fails_once_and_then_skips() -> None:
    clock = itertools.count(0, 30)
    patience = Patience(100, clock=lambda: next(clock))
    work: Any = {"status": "active"}
    for _ in range(3):
        assert patience.wait(lambda: work, lambda: "The step 'bucket'.") == work
    assert not patience.is_used_up
    with pytest.raises(pytest.fail.Exception, match=r"waited 100 s in all .* The step 'bucket'\."):
        patience.wait(lambda: work, lambda: "The step 'bucket'.")
    for _ in range(2):
        with pytest.raises(pytest.skip.Exception, match="The step 'bucket'"):
            patience.wait(lambda: work, lambda: "never asked")
