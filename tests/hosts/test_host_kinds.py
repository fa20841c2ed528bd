"""Mounted into hosts as they are out there: isolated, the whole contract holds; as blueprint, what `doctor` said.

What fails as blueprint is compared test by test, both ways: see `tests/support/host_kinds/causes.py`.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from flask import Flask

from tests.support.commands import run_command
from tests.support.conformance import SuiteRun, assert_suite_passes, run_suite as conform
from tests.support.contract import CHECKS, check_contract
from tests.support.host_kinds.causes import CAUSES, expect_failures, find_cause
from tests.support.host_kinds.kinds import NAMES, Kind, load_kind
from tests.support.host_kinds.mounting import Mount
from tests.support.recording import RECORD, ROOT, Outcome, load_outcomes
from tests.support.snippets import ROOT as PROJECT

pytestmark = [pytest.mark.one_database("about hosts, whatever the database"), pytest.mark.slow]

#: What `doctor` finds in the host rather than in its settings, licence, database or keys.
ABOUT_HOSTS = (
    "jwt-users", "csrf", "hooks", "answers", "sessions", "compression", "middleware", "routes", "tables",
)  # fmt: skip
REQUIRED = {
    "appbuilder": "flask_appbuilder",
    "compressed": "flask_compress",
    "gatekeeper": "flask_login",
    "migrated": "flask_migrate",
}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """The name of each kind of host."""
    if needed := REQUIRED.get(request.param):
        pytest.importorskip(needed)
    return str(request.param)


@pytest.fixture
def kind(name: str) -> Kind:
    """Each kind of host."""
    return load_kind(name)


def find_causes(app: Flask) -> set[str]:
    """Return what `doctor` finds in the host that comes between."""
    checks = json.loads(run_command(app, "doctor", "--json").out)["checks"]
    unwell = [check for check in checks if check["check"] in ABOUT_HOSTS and check["status"] != "ok"]
    return {find_cause(check["check"], check["status"], check["detail"]) for check in unwell}


def list_failed(outcomes: Mapping[str, Outcome]) -> set[str]:
    """Return which tests failed."""
    return {test for test, outcome in outcomes.items() if outcome.failed}


def harmful(kind: Kind) -> set[str]:
    """Return the causes in this host that break something with the installed releases."""
    return {*kind.causes} - {*kind.unseen}


def test_isolated_the_whole_contract_holds_and_doctor_is_content(
    kind: Kind, mounted: Mount, tmp_path: Path, database_url: str
) -> None:
    app = mounted(kind, "isolated", tmp_path, database_url)
    assert list_failed(check_contract(app, kind.root)) == set()
    assert find_causes(app) == set()


def test_blueprint_failures_match_the_doctor_report(
    kind: Kind, mounted: Mount, tmp_path: Path, database_url: str
) -> None:
    folders = tmp_path / "isolated", tmp_path / "blueprint"
    for folder in folders:
        folder.mkdir()
    well = check_contract(mounted(kind, "isolated", folders[0], database_url), kind.root)
    app = mounted(kind, "blueprint", folders[1], database_url)
    assert list_failed(check_contract(app, kind.root)) == expect_failures(well, harmful(kind))
    assert find_causes(app) == {*kind.causes}


def test_each_cause_has_a_host() -> None:
    there = [name for name in NAMES if name not in REQUIRED or importlib.util.find_spec(REQUIRED[name])]
    causes = {cause for name in there for cause in load_kind(name).causes}
    assert {*CAUSES} - causes <= ({"compression"} if "compressed" not in there else set())


@pytest.mark.parametrize("how", ["blueprint", "isolated"])
def test_the_hosts_own_pages_are_as_before(kind: Kind, mounted: Mount, tmp_path: Path, how: str) -> None:
    folders = tmp_path / "before", tmp_path / "after"
    for folder in folders:
        folder.mkdir()
    app = mounted(kind, how, folders[1], f"sqlite:///{tmp_path}/provisioning.sqlite3")
    check_contract(app, kind.root)
    assert kind.answers(app) == kind.answers(kind.build_alone(folders[0]))


#: Of the thousand tests of the suite for hosts, those that show what a host can come between: who calls, bodies,
#: errors, uploads, conditional requests.
SUBSET = (
    "test_mounting or test_conventions or test_idempotency or test_preconditions or test_lifecycle or test_documents"
    " or (test_creation and not wrong and not servers) or test_an_upload_is_a_job"
)
HOST = """
from pathlib import Path

from flask_tenant_provisioning import TenantProvisioning
from tests.support.host_kinds.kinds import load_kind


def create_app():
    kind = load_kind({name!r})
    app = kind.build(Path())
    TenantProvisioning(mount={how!r}).init_app(app, kind.database(app) or "sqlite:///provisioning.sqlite3")
    kind.wrap(app)
    return app
"""


Suite = Callable[[str, str], tuple[SuiteRun, Mapping[str, Outcome]]]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """Runs the suite for the host of a name with a mount of a kind, and says how each of its tests ended."""

    def run_suite(name: str, how: str) -> tuple[SuiteRun, Mapping[str, Outcome]]:
        folder = tmp_path_factory.mktemp("suite")
        record = folder / "record.json"
        (folder / "host.py").write_text(HOST.format(name=name, how=how), encoding="utf-8")
        (folder / "conftest.py").write_text(
            "from tests.support.recording import provisioning_client\n", encoding="utf-8"
        )
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in (("PYTHONPATH", PROJECT), (RECORD, record), (ROOT, load_kind(name).root)):
                patch.setenv(variable, str(value))
            done = conform(folder, "-p", "tests.support.recording", "-k", SUBSET)
        return done, load_outcomes(record)

    return run_suite


@pytest.fixture(scope="module")
def plain_outcomes(suite: Suite) -> Mapping[str, Outcome]:
    """The results of the suite on a host without interference."""
    done, outcomes = suite("request_ids", "isolated")
    assert_suite_passes(done, 100)
    return outcomes


def test_the_suite_for_hosts_holds_isolated(suite: Suite, name: str) -> None:
    done, _ = suite(name, "isolated")
    assert_suite_passes(done, 100)


def test_host_suite_failures_as_blueprint_match_the_doctor_report(
    suite: Suite, plain_outcomes: Mapping[str, Outcome], name: str
) -> None:
    done, outcomes = suite(name, "blueprint")
    expected = expect_failures(plain_outcomes, harmful(load_kind(name)))
    assert list_failed(outcomes) == expected, done
    assert (done.status, done.counts[1]) == (1 if expected else 0, len(expected)), done


def test_the_walk_visits_every_status_of_the_contract() -> None:
    statuses = {name.rpartition("_")[2] for name in CHECKS if name[-3:].isdigit()}
    assert statuses == {"400", "401", "403", "404", "405", "406", "409", "412", "413", "415", "422"}
