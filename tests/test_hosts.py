"""Mounted into hosts as they are out there: isolated, the whole contract holds; as blueprint, what `doctor` said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from flask_tenant_provisioning import TenantProvisioning
from tests.commands import run
from tests.conforming import conform, held
from tests.hosts.kinds import NAMES, Kind, kind
from tests.snippets import ROOT
from tests.walk import STOPS, walk
from tests.world import engine_of

pytestmark = [pytest.mark.one_database("about hosts, whatever the database"), pytest.mark.slow]

#: What `doctor` finds in the host rather than in its settings, licence, database or keys.
ABOUT_HOSTS = ("jwt-users", "csrf", "hooks", "sessions", "compression", "middleware", "routes", "tables")
REQUIRED = {
    "appbuilder": "flask_appbuilder",
    "compressed": "flask_compress",
    "gatekeeper": "flask_login",
    "migrated": "flask_migrate",
}


@pytest.fixture(params=NAMES)
def one(request: pytest.FixtureRequest) -> Kind:
    """Each kind of host."""
    if needed := REQUIRED.get(request.param):
        pytest.importorskip(needed)
    return kind(request.param)


Mount = Callable[[Kind, str, Path, str], Flask]


@pytest.fixture
def mounted() -> Iterator[Mount]:
    """Mounts the API in a host one way or the other, in the database at a URL or the host's own."""
    made: list[Flask] = []

    def mount(one: Kind, how: str, folder: Path, url: str) -> Flask:
        app = one.build(folder)
        TenantProvisioning(mount=how).init_app(app, one.database(app) or url)
        made.append(app)
        return app

    yield mount
    for app in made:
        engine_of(app).dispose()


def told(app: Flask) -> dict[str, str]:
    """What `doctor` has to say of the host, by check."""
    checks = json.loads(run(app, "doctor", "--json").out)["checks"]
    return {one["check"]: one["status"] for one in checks if one["check"] in ABOUT_HOSTS and one["status"] != "ok"}


def test_isolated_the_whole_contract_holds_and_doctor_is_content(
    one: Kind, mounted: Mount, tmp_path: Path, database_url: str
) -> None:
    app = mounted(one, "isolated", tmp_path, database_url)
    assert walk(app) == set()
    assert told(app) == {}


def test_as_blueprint_what_does_not_hold_is_what_doctor_said(
    one: Kind, mounted: Mount, tmp_path: Path, database_url: str
) -> None:
    app = mounted(one, "blueprint", tmp_path, database_url)
    assert walk(app) == one.broken
    assert told(app) == one.told
    assert bool(one.broken) == bool(one.told)


@pytest.mark.parametrize("how", ["blueprint", "isolated"])
def test_the_hosts_own_pages_are_as_before(one: Kind, mounted: Mount, tmp_path: Path, how: str) -> None:
    folders = tmp_path / "before", tmp_path / "after"
    for folder in folders:
        folder.mkdir()
    app = mounted(one, how, folders[1], f"sqlite:///{tmp_path}/provisioning.sqlite3")
    walk(app)
    assert one.answers(app) == one.answers(one.build(folders[0]))


#: Of the thousand tests of the suite for hosts, those that show what a host can come between: who calls, bodies,
#: errors, uploads, conditional requests.
SUBSET = (
    "test_mounting or test_conventions or test_idempotency or test_preconditions or test_lifecycle or test_documents"
    " or (test_creation and not wrong and not servers) or test_an_upload_is_a_job"
)
HOST = """
from pathlib import Path

from flask_tenant_provisioning import TenantProvisioning
from tests.hosts.kinds import kind


def create_app():
    one = kind({name!r})
    app = one.build(Path())
    TenantProvisioning(mount={how!r}).init_app(app, one.database(app) or "sqlite:///provisioning.sqlite3")
    return app
"""


@pytest.mark.parametrize("how", ["blueprint", "isolated"])
@pytest.mark.parametrize("name", NAMES)
def test_the_suite_for_hosts_fails_as_blueprint_where_doctor_said_so_and_holds_isolated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, how: str
) -> None:
    if needed := REQUIRED.get(name):
        pytest.importorskip(needed)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "host.py").write_text(HOST.format(name=name, how=how), encoding="utf-8")
    suite = conform(tmp_path, "-k", SUBSET)
    one = kind(name)
    if how == "isolated" or not one.told:
        held(suite, 100)
    elif one.broken <= {"tags_are_ours_however_packed", "no_cookie_plays_a_part"}:
        held(suite, 100)  # the suite takes no packed answers
    else:
        assert suite.status == 1, suite
        assert suite.counts[1] > 20, suite


def test_the_walk_visits_every_status_of_the_contract() -> None:
    statuses = {name.rpartition("_")[2] for name in STOPS if name[-3:].isdigit()}
    assert statuses == {"400", "401", "403", "404", "405", "406", "409", "412", "413", "415", "422"}
