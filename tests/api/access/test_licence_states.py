"""The API before, at and after the end of its licence, and after a renewal."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.workers.worker import make_worker
from tests.support.assertions import check_problem
from tests.support.callers import Caller
from tests.support.clock import Clock
from tests.support.hosts import get_mount, issue_license, make_config

DAY = 86_400
BODY = {"client_name": "Example Corp", "email": "late@example.com"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: pathlib.Path, clock: Clock) -> pathlib.Path:
    """A licence that ends in 100 days, warns 30 days before, and is graceful for 14 days after."""
    path = tmp_path / "provisioning.license"
    path.write_text(issue_license(expires=int(clock.now) + 100 * DAY))
    return path


@pytest.fixture
def partner(make_app: Callable[..., Flask], file: pathlib.Path, clock: Clock) -> Caller:
    return Caller(make_licensed_app(make_app, file, clock))


def make_licensed_app(make_app: Callable[..., Flask], file: pathlib.Path, clock: Clock) -> Flask:
    return make_app(
        mount={"clock": clock},
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(days=3000),
        PROVISIONING_LICENSE=None,
        PROVISIONING_LICENSE_FILE=str(file),
    )


@pytest.mark.parametrize("days", [0, 69, 71, 99, 101, 113], ids=lambda days: f"day {days}")
def test_everything_works_until_the_grace_has_passed(partner: Caller, clock: Clock, days: int) -> None:
    clock.now += days * DAY
    assert partner("POST", "/tenants", json=BODY).status_code == 201


def test_after_the_grace_creating_is_refused_and_all_else_goes_on(partner: Caller, clock: Clock) -> None:
    path = f"/tenants/{partner.create()['tenant']}"
    clock.now += 115 * DAY
    document = check_problem(partner("POST", "/tenants", json=BODY), status=403, code="license-expired")
    assert document["title"] == "Licence expired"
    assert partner("GET", "/tenants").get_json()["items"]
    assert partner("PATCH", path, json={"industry": "Farming"}).status_code == 200
    assert partner("PUT", path, json=BODY).status_code == 200
    assert partner("DELETE", path).status_code == 200
    assert partner("GET", path).get_json()["status"] == "deleted"


def test_after_the_grace_provisioning_is_not_tried_again(database_url: str, file: pathlib.Path, clock: Clock) -> None:
    """A retry provisions as a creation does; taking back what was done needs no licence."""
    provisioning, app = TenantProvisioning(clock=clock), Flask("host")
    lasting = {"JWT_ACCESS_TOKEN_EXPIRES": timedelta(days=3000)}
    app.config.update(make_config(**lasting, PROVISIONING_LICENSE=None, PROVISIONING_LICENSE_FILE=str(file)))

    @provisioning.step("bucket", retries=0)
    def bucket() -> None:
        raise RuntimeError("no room")

    provisioning.init_app(app, database_url)
    partner = Caller(app)
    path = f"/tenants/{partner.create()['tenant']}"
    make_worker(get_mount(app)).drain()
    assert partner("GET", path).get_json()["status"] == "failed"
    clock.now += 115 * DAY
    check_problem(partner("POST", f"{path}/provisioning/retry"), status=403, code="license-expired")
    assert partner("GET", path).get_json()["status"] == "failed"
    clock.now -= 115 * DAY
    assert partner("POST", f"{path}/provisioning/retry").status_code == 202
    get_mount(app).storage.engine.dispose()


def test_missing_permission_is_reported_before_the_licence(partner: Caller, clock: Clock) -> None:
    clock.now += 115 * DAY
    assert (
        partner.with_roles("partner-viewer")("POST", "/tenants", json=BODY).get_json()["code"]
        == "insufficient-permission"
    )


def test_a_restart_with_an_expired_licence_takes_nothing_away(
    partner: Caller, make_app: Callable[..., Flask], file: pathlib.Path, clock: Clock
) -> None:
    tenant = partner.create()
    clock.now += 115 * DAY
    again = Caller(make_licensed_app(make_app, file, clock), partner.partner)
    assert again("GET", f"/tenants/{tenant['tenant']}").get_json() == tenant
    assert again("POST", "/tenants", json=BODY).get_json()["code"] == "license-expired"


def test_a_renewed_file_is_picked_up_without_a_restart(partner: Caller, file: pathlib.Path, clock: Clock) -> None:
    clock.now += 115 * DAY
    assert partner("POST", "/tenants", json=BODY).status_code == 403
    file.write_text(issue_license(expires=int(clock.now) + 365 * DAY))
    clock.now += 6
    assert partner("POST", "/tenants", json=BODY).status_code == 201


@pytest.mark.parametrize("ruin", [pathlib.Path.unlink, lambda path: path.write_text("scribble")], ids=["gone", "bad"])
def test_a_file_that_goes_bad_changes_nothing(
    partner: Caller, file: pathlib.Path, clock: Clock, ruin: Callable[[pathlib.Path], object]
) -> None:
    ruin(file)
    clock.now += 60
    assert partner("POST", "/tenants", json=BODY).status_code == 201
    clock.now += 115 * DAY
    assert partner("POST", "/tenants", json={**BODY, "email": "b@example.com"}).status_code == 403


def test_renewed_lower_limit_counts_existing_tenants(partner: Caller, file: pathlib.Path, clock: Clock) -> None:
    for _ in range(3):
        partner.create()
    file.write_text(issue_license(max_tenants=3))
    clock.now += 60
    assert partner("POST", "/tenants", json=BODY).get_json()["code"] == "quota-exceeded"
    file.write_text(issue_license(max_tenants=4))
    clock.now += 60
    assert partner("POST", "/tenants", json=BODY).status_code == 201
