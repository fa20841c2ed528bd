"""Ways of the suite into a run of pytest: alone, after the host's own tests, among them, or not at all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flask_tenant_provisioning.testing import suite
from flask_tenant_provisioning.testing.collection import SUITE
from tests.support.conformance import ESSENTIALS, assert_suite_passes, list_tests, run_suite, write_host

pytestmark = [pytest.mark.blueprint("about pytest, whatever the mount"), pytest.mark.slow]
MODULES = sorted(path.stem for path in SUITE.glob("test_*.py"))
CONFTEST = """
import sys

import pytest

sys.path.insert(0, ".")

@pytest.fixture(scope="session")
def app():
    from host import create_app
    return create_app()

@pytest.fixture
def provisioning_app(app):
    return app

@pytest.fixture
def provisioning_client(app):
    return app.test_client()

known = []

@pytest.fixture
def provisioning_new_partner():
    def make():
        known.append(f"known-{len(known)}")
        return known[-1]
    return make

@pytest.fixture
def provisioning_token(provisioning_token):
    return lambda role, partner, **claims: provisioning_token(role, partner, **{"sub": "known-user", **claims})

@pytest.fixture
def provisioning_tenant_body(provisioning_tenant_body):
    return lambda **fields: provisioning_tenant_body(**{"industry": "Hosting", **fields})
"""
#: A host that would refuse what the fixtures make by default.
CHOOSY = """
@provisioning.hook("tenant.create")
def refuse(tenant, principal):
    assert tenant["partner"].startswith("known-")
    assert principal.subject == "known-user"
    assert tenant["industry"] == "Hosting"
"""


@pytest.fixture
def tested_host(tmp_path: Path) -> Path:
    """A host with tests of its own, whose conftest.py says what the suite must know."""
    write_host(tmp_path, registered=CHOOSY)
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "conftest.py").write_text(CONFTEST)
    (tests / "test_own.py").write_text("def test_own(app):\n    assert app.name == 'host'\n")
    return tmp_path


def list_passed(output: str) -> list[tuple[str, str]]:
    """The file and name of each test that passed, in their order."""
    return re.findall(r"^(\S+?)::(?:\S+::)?(test_\w+)\b.* PASSED", output, re.MULTILINE)


def test_run_without_the_option_loads_no_suite(tmp_path: Path) -> None:
    heavy = "{'flask', 'sqlalchemy', 'flask_tenant_provisioning.testing.suite'}"
    (tmp_path / "test_own.py").write_text(f"import sys\n\ndef test_own():\n    assert not {heavy} & {{*sys.modules}}\n")
    run = run_suite(tmp_path, app=None)
    assert re.search(r"^1 passed in", run.output, re.MULTILINE), run
    assert "conformance" not in run.output


def test_run_without_a_path_runs_only_the_suite_with_the_hosts_conftest(tested_host: Path) -> None:
    run = run_suite(tested_host, *ESSENTIALS)
    assert_suite_passes(run, 12)
    assert "test_own" not in run.output


def test_the_suite_comes_after_the_tests_that_are_asked_for(tested_host: Path) -> None:
    run = run_suite(tested_host, "tests", "-vv", "-k", "test_own or test_mounting")
    assert_suite_passes(run, 3)
    assert [name for _, name in list_passed(run.output)] == ["test_own", *list_tests("test_mounting")]


@pytest.mark.parametrize("app", [None, pytest.param("host:create_app", marks=pytest.mark.slow)])
def test_the_suite_can_stand_in_a_module_of_the_hosts_and_is_there_once(tested_host: Path, app: str | None) -> None:
    (tested_host / "tests/test_contract.py").write_text("from flask_tenant_provisioning.testing.suite import *\n")
    run = run_suite(
        tested_host, "tests", "-vv", "-k", "test_own or api_is_mounted or test_a_tenant_is_created", app=app
    )
    assert run.status == 0, run
    assert sorted(list_passed(run.output)) == [
        ("tests/test_contract.py", "test_a_tenant_is_created"),
        ("tests/test_contract.py", "test_the_api_is_mounted"),
        ("tests/test_own.py", "test_own"),
    ]


@pytest.mark.slow
def test_the_suite_can_be_asked_for_by_its_package(tmp_path: Path) -> None:
    write_host(tmp_path)
    run = run_suite(tmp_path, "--pyargs", "flask_tenant_provisioning.testing", "-vv", "-k", "mounted or created")
    assert_suite_passes(run, 8)
    assert [name for _, name in list_passed(run.output)].count("test_the_api_is_mounted") == 1


@pytest.mark.parametrize("mode", ["importlib", pytest.param("append", marks=pytest.mark.slow)])
def test_collection_settings_of_the_host_have_no_effect(tmp_path: Path, mode: str) -> None:
    write_host(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "pytest.ini").write_text(
        f"[pytest]\naddopts = --import-mode={mode} --strict-markers\npython_files = spec_*.py\n"
        "python_functions = should_*\nfilterwarnings = error\ntestpaths = specs\n"
    )
    assert_suite_passes(run_suite(tmp_path, *ESSENTIALS), 12)


def test_every_test_has_a_name_of_its_own_and_is_exported() -> None:
    names = [name for module in MODULES for name in list_tests(module)]
    assert len(names) == len({*names})
    assert {*names} == {name for name in vars(suite) if name.startswith("test_")} - {*MODULES}
