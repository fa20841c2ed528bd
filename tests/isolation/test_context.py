"""The current tenant: whose turn it is in a request and in a block, and that it is nobody's elsewhere."""

from __future__ import annotations

import asyncio
import contextvars
import json
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask, Response, copy_current_request_context, stream_with_context

from flask_tenant_provisioning import TenantProvisioning, current_tenant, tenant_required
from flask_tenant_provisioning.isolation import (
    Header,
    TenantConflict,
    TenantNotReady,
    TenantRefused,
    TenantUnavailable,
    TenantUnknown,
)
from flask_tenant_provisioning.isolation.directory import ABSENT_SECONDS, MAX_ABSENT, TenantDirectory
from tests.support.callers import Caller, tenant_path
from tests.support.hosts import PREFIX, get_mount, make_config
from tests.support.isolation import ABSENT_ID, TenantHost

NAMES = "X-Tenant-ID"


@pytest.fixture
def host(database_url: str) -> Iterator[TenantHost]:
    """A host whose requests name their tenant in a header."""
    new_host = TenantHost(database_url, PROVISIONING_TENANT_CACHE_SECONDS=60)
    new_host.provisioning.isolation.resolve_by(Header(NAMES))
    yield new_host
    new_host.close()


def name(tenant: dict[str, Any]) -> dict[str, str]:
    return {NAMES: tenant["tenant"]}


def test_a_request_has_its_tenant_as_the_api_shows_it(host: TenantHost) -> None:
    seen: list[Any] = []

    @host.app.get("/seen")
    @tenant_required
    def look() -> str:
        seen.append(current_tenant._get_current_object())  # type: ignore[attr-defined]
        return ""

    partner = host.open()
    tenant = partner.create(external_id="north", plan="pro", client_name="North Ltd")
    assert host.get("/seen", headers=name(tenant))[0] == 200
    found = seen[0]
    assert (found.id, found.partner, found.external_id) == (tenant["tenant"], partner.partner, "north")
    assert (found.client_name, found.plan, found.status) == ("North Ltd", "pro", "active")
    with pytest.raises(AttributeError):
        found.id = "another"


def test_a_view_that_needs_a_tenant_is_404_without(host: TenantHost) -> None:
    host.open()
    status, text = host.get()
    assert status == 404
    assert "There is no such tenant." in text
    assert host.get("/") == (200, "nobody")


def test_an_async_view_can_need_a_tenant(host: TenantHost) -> None:
    pytest.importorskip("asgiref")

    @host.app.get("/later")
    @tenant_required
    async def look() -> str:
        await asyncio.sleep(0)
        return current_tenant.id

    tenant = host.open().create()
    assert host.get("/later", headers=name(tenant)) == (200, tenant["tenant"])
    assert host.get("/later")[0] == 404


def test_a_tenant_that_is_not_active_is_refused(host: TenantHost) -> None:
    partner = host.open("partner-admin", "provisioning-admin")
    suspended, deleted = partner.create(), partner.create()
    assert partner("POST", f"{tenant_path(suspended)}/suspend", json={}).status_code == 200
    assert partner("DELETE", tenant_path(deleted)).status_code == 200
    for tenant in (suspended, deleted):
        for path in ("/", "/projects", "/no-such-page"):
            status, text = host.get(path, headers=name(tenant))
            assert status == 403
            assert "This tenant is not available." in text
            assert "suspended" not in text
            assert "deleted" not in text
    assert host.get("/", headers={NAMES: ABSENT_ID})[0] == 404


def test_a_tenant_that_is_being_provisioned_is_503_and_a_failed_one_403(host: TenantHost) -> None:
    host.step("schema", retries=0)
    partner = host.open()
    tenant = partner.create()
    response = host.app.test_client().get("/projects", headers=name(tenant))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "This tenant is being set up." in response.text
    host.work()
    assert host.get(headers=name(tenant)) == (200, tenant["tenant"])
    host.broken["schema"] = RuntimeError("no space")
    failed = partner.create()
    host.work()
    assert host.get(headers=name(failed))[0] == 403


def test_the_host_answers_refusals_in_its_own_way(host: TenantHost) -> None:
    @host.app.errorhandler(TenantUnavailable)
    def explain(refusal: TenantUnavailable) -> tuple[str, int]:
        return f"{refusal.status}: pay your bill, {bool(current_tenant)}", 402

    @host.app.errorhandler(404)
    def miss(error: Exception) -> tuple[str, int]:
        return f"the host's own page: {isinstance(error, TenantUnknown)}", 404

    partner = host.open()
    tenant = partner.create()
    partner("POST", f"{tenant_path(tenant)}/suspend", json={})
    assert host.get("/", headers=name(tenant)) == (402, "suspended: pay your bill, False")
    assert host.get("/", headers={NAMES: "x"}) == (404, "the host's own page: True")
    assert host.get("/no-such-page") == (404, "the host's own page: False")


def test_the_api_and_static_files_need_no_tenant(host: TenantHost) -> None:
    partner = host.open()
    assert partner("GET", "/tenants", headers={NAMES: ABSENT_ID}).status_code == 200
    assert host.app.test_client().get(f"{PREFIX}/nothing", headers={NAMES: ABSENT_ID}).status_code == 404
    with host.app.test_request_context("/static/x.css", headers={NAMES: ABSENT_ID}):
        assert host.app.preprocess_request() is None


def test_a_host_without_resolvers_gets_no_hook(database_url: str) -> None:
    host = TenantHost(database_url)
    tenant = host.open().create()
    assert [function.__module__ for function in host.app.before_request_funcs.get(None, ())] == []
    assert host.get("/", headers=name(tenant)) == (200, "nobody")
    assert host.get("/projects")[0] == 404
    host.close()


def test_a_warm_request_asks_no_database(host: TenantHost) -> None:
    tenant = host.open().create()
    host.get(headers=name(tenant))
    with host.count_connections() as taken:
        for _ in range(20):
            assert host.get(headers=name(tenant)) == (200, tenant["tenant"])
    assert taken == []


def test_changes_by_this_process_are_seen_at_once(host: TenantHost) -> None:
    partner = host.open("partner-admin", "provisioning-admin")
    tenant = partner.create(client_name="Old")
    seen = []
    for change, expected in (("suspend", 403), ("reactivate", 200), ("suspend", 403)):
        partner("POST", f"{tenant_path(tenant)}/{change}", json={})
        seen.append((host.get(headers=name(tenant))[0], expected))
    assert all(found == expected for found, expected in seen), seen
    partner("DELETE", f"{tenant_path(tenant)}?purge=true")
    assert host.get(headers=name(tenant))[0] == 404


def test_changes_by_another_process_are_seen_after_the_time_to_live(host: TenantHost, database_url: str) -> None:
    partner = host.open()
    tenant = partner.create()
    assert host.get(headers=name(tenant))[0] == 200
    other = TenantHost(database_url)
    elsewhere = Caller(other.open().app, partner.partner)
    elsewhere("POST", f"{tenant_path(tenant)}/suspend", json={})
    assert host.get(headers=name(tenant))[0] == 200
    host.clock.now += 60
    assert host.get(headers=name(tenant))[0] == 403
    elsewhere("POST", f"{tenant_path(tenant)}/reactivate", json={})
    assert host.get(headers=name(tenant))[0] == 403
    host.clock.now += ABSENT_SECONDS
    assert host.get(headers=name(tenant))[0] == 200
    other.close()


def test_a_change_that_is_rolled_back_is_not_cached(host: TenantHost) -> None:
    seen: list[str] = []

    @host.provisioning.hook("tenant.reactivate")
    def refuse(session: Any, tenant: dict[str, Any]) -> None:
        with host.provisioning.tenant_context(tenant["tenant"], any_status=True) as entered:
            seen.append(entered.status)
        raise RuntimeError("not now")

    partner = host.open("partner-admin", "provisioning-admin")
    tenant = partner.create()
    partner("POST", f"{tenant_path(tenant)}/suspend", json={})
    assert partner("POST", f"{tenant_path(tenant)}/reactivate", json={}).status_code == 500
    assert seen == ["active"]
    assert host.get(headers=name(tenant))[0] == 403


def test_a_thousand_names_of_nobody_leave_no_more_behind(host: TenantHost) -> None:
    host.open()
    directory = get_mount(host.app).once(TenantDirectory)
    ids = [f"0193b5a0-c2d4-7a6e-8f00-{number:012x}" for number in range(MAX_ABSENT + 50)]
    with host.app.app_context():
        assert {directory.get(id) for id in ids} == {None}
        with host.count_connections() as taken:
            assert directory.get(ids[-1]) is None
            assert taken == []
            assert directory.get("no id at all") is None
            assert taken == []
        directory.get(ids[0])
        assert taken == []  # counted no longer
    assert len(directory._absent._entries) == MAX_ABSENT


@pytest.mark.one_database("there is none")
def test_without_a_database_the_host_answers_503(database_url: str) -> None:
    other = TenantHost("postgresql://nobody@127.0.0.1:1/nothing", PROVISIONING_AUTO_MIGRATE=False)
    other.provisioning.isolation.resolve_by(Header(NAMES))
    other.open()
    response = other.app.test_client().get("/", headers={NAMES: ABSENT_ID})
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert other.get("/") == (200, "nobody")


def test_a_context_holds_for_its_block(host: TenantHost) -> None:
    tenant = host.open().create()
    with host.app.app_context():
        with host.provisioning.tenant_context(tenant["tenant"]) as entered:
            assert current_tenant.id == entered.id == tenant["tenant"]
        assert not current_tenant
        with pytest.raises(RuntimeError, match="There is no current tenant"):
            current_tenant.id  # noqa: B018
        with pytest.raises(ZeroDivisionError), host.provisioning.tenant_context(tenant["tenant"]):
            raise ZeroDivisionError
        assert not current_tenant
    with pytest.raises(RuntimeError, match="application context"), host.provisioning.tenant_context(tenant["tenant"]):
        raise AssertionError("entered")


def test_contexts_of_tenants_that_are_not_active_must_be_meant(host: TenantHost) -> None:
    host.step("schema", retries=0)
    partner = host.open()
    tenant = partner.create()
    context = host.provisioning.tenant_context
    with host.app.app_context():
        with pytest.raises(TenantNotReady), context(tenant["tenant"]):
            raise AssertionError("entered")
        with context(tenant["tenant"], any_status=True) as entered:
            assert entered.status == "provisioning"
        for absent in (ABSENT_ID, "no id", "", "\0"):
            with pytest.raises(TenantUnknown), context(absent, any_status=True):
                raise AssertionError("entered")


def test_a_context_of_another_tenant_within_one_is_refused(host: TenantHost) -> None:
    partner = host.open()
    one, other = partner.create()["tenant"], partner.create()["tenant"]
    context = host.provisioning.tenant_context
    with host.app.app_context(), context(one):
        refused = f"The code of tenant {one} has opened a context of tenant {other}"
        with pytest.raises(TenantConflict, match=refused), context(other):
            raise AssertionError("entered")
        assert current_tenant.id == one
        with context(one):
            assert current_tenant.id == one
        assert current_tenant.id == one
    with host.app.test_request_context("/", headers={NAMES: one}):
        host.app.preprocess_request()
        with pytest.raises(TenantConflict), context(other):
            raise AssertionError("entered")
        assert current_tenant.id == one


@pytest.mark.parametrize("closes_within", [True, False])
def test_a_generators_context_does_not_outlive_it(host: TenantHost, closes_within: bool) -> None:
    tenant = host.open().create()["tenant"]

    def generate() -> Generator[str, None, None]:
        with host.provisioning.tenant_context(tenant):
            yield current_tenant.id

    with host.app.app_context():
        generator = generate()
        assert next(generator) == tenant
        with host.provisioning.tenant_context(tenant):
            if closes_within:
                generator.close()
            assert current_tenant.id == tenant
        generator.close()
        assert not current_tenant


def test_a_request_within_a_context_has_its_own_tenant(host: TenantHost) -> None:
    partner = host.open()
    one, other = partner.create(), partner.create()
    with host.app.app_context(), host.provisioning.tenant_context(one["tenant"]):
        assert host.get("/") == (200, "nobody")
        assert host.get("/", headers=name(other)) == (200, other["tenant"])
        assert host.get("/", headers={NAMES: "x"})[0] == 404
        assert current_tenant.id == one["tenant"]


def test_another_app_within_a_context_has_no_tenant(host: TenantHost, database_url: str) -> None:
    tenant = host.open().create()["tenant"]
    second = Flask("second")
    second.config.update(make_config())
    host.provisioning.init_app(second, database_url)
    with host.app.app_context(), host.provisioning.tenant_context(tenant):
        with second.app_context():
            assert not current_tenant
            with host.provisioning.tenant_context(tenant):
                assert current_tenant.id == tenant
        assert current_tenant.id == tenant
    second.extensions["tenant_provisioning"]["provisioning"].storage.engine.dispose()


def test_one_request_after_another_does_not_inherit_its_tenant(host: TenantHost) -> None:
    partner = host.open()
    tenant, suspended = partner.create(), partner.create()
    partner("POST", f"{tenant_path(suspended)}/suspend", json={})
    client = host.app.test_client()
    for headers, expected in (
        (name(tenant), tenant["tenant"]),
        ({}, "nobody"),
        (name(suspended), None),
        ({}, "nobody"),
        (name(tenant), tenant["tenant"]),
    ):
        response = client.get("/", headers=headers)
        assert expected is None or response.text == expected
    with host.app.test_client() as keeping:  # which keeps the context of its last request
        keeping.get("/", headers=name(tenant))
        assert current_tenant.id == tenant["tenant"]
        assert keeping.get("/").text == "nobody"
        assert not current_tenant
    assert not current_tenant


def test_threads_inherit_no_tenant_but_with_a_copied_request(host: TenantHost) -> None:
    tenant = host.open().create()
    found: list[Any] = []

    def look() -> None:
        found.append(bool(current_tenant) and current_tenant.id)

    def look_in_app() -> None:
        with host.app.app_context():
            look()

    def run(target: Any) -> Any:
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
        return found.pop()

    with host.app.app_context(), host.provisioning.tenant_context(tenant["tenant"]):
        assert run(look) is False
        assert run(look_in_app) is False
        copied = contextvars.copy_context()
        assert run(lambda: copied.run(look)) == tenant["tenant"]
    with host.app.test_request_context("/", headers=name(tenant)):
        assert run(look) is False
        assert run(copy_current_request_context(look)) == tenant["tenant"]


def test_a_stream_has_its_tenant_until_its_end(host: TenantHost) -> None:
    @host.app.get("/stream")
    def stream() -> Response:
        def lines() -> Iterator[str]:
            for _ in range(3):
                yield f"{current_tenant.id} "

        return Response(stream_with_context(lines()))

    tenant = host.open().create()
    assert host.get("/stream", headers=name(tenant)) == (200, f"{tenant['tenant']} " * 3)
    assert not current_tenant


def test_many_threads_each_see_their_own_tenant(host: TenantHost) -> None:
    partner = host.open()
    tenants = [partner.create() for _ in range(8)]
    host.get("/", headers=name(tenants[0]))

    def ask(number: int) -> bool:
        tenant = tenants[number % 8] if number % 9 else None
        headers = name(tenant) if tenant else {}
        expected = tenant["tenant"] if tenant else "nobody"
        return host.get("/", headers=headers) == (200, expected)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(400)))


def test_the_tenant_of_a_host_whose_licence_has_ended_is_found(database_url: str) -> None:
    licensed = TenantHost(database_url)
    tenant = licensed.open().create()
    app = Flask("host")
    app.config.update(make_config(PROVISIONING_LICENSE=None, PROVISIONING_AUTO_MIGRATE=False))
    provisioning = TenantProvisioning()
    provisioning.isolation.resolve_by(Header(NAMES))
    provisioning.init_app(app, database_url)
    app.add_url_rule("/", view_func=tenant_required(lambda: current_tenant.client_name))
    assert app.test_client().get("/", headers=name(tenant)).text == "Example Corp"
    get_mount(app).storage.engine.dispose()
    licensed.close()


START = """
import json, sys
from flask import Flask
before = set(sys.modules)
from flask_tenant_provisioning import TenantProvisioning, current_tenant, tenant_required
provisioning = TenantProvisioning()
if json.loads(sys.argv[2]):
    from flask_tenant_provisioning.isolation import Header, Subdomain
    provisioning.isolation.resolve_by(Subdomain("example.com"), Header("X"))
app = Flask("host")
app.config.update(json.loads(sys.argv[1]))
provisioning.init_app(app)
print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.one_database("opens none")
@pytest.mark.parametrize("resolves", [False, True])
def test_without_a_licence_nothing_heavy_is_loaded(resolves: bool) -> None:
    config = json.dumps(make_config(PROVISIONING_LICENSE=None))
    command = [sys.executable, "-c", START, config, json.dumps(resolves)]
    came = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    roots = {module.partition(".")[0] for module in came}
    assert roots.isdisjoint({"sqlalchemy", "marshmallow", "celery", "apispec"})
    own = {module for module in came if module.startswith("flask_tenant_provisioning.isolation")}
    assert ("flask_tenant_provisioning.isolation.resolvers" in own) == resolves


def test_refusals_tell_the_hosts_handler_and_nobody_else(host: TenantHost) -> None:
    partner = host.open()
    tenant = partner.create()
    partner("POST", f"{tenant_path(tenant)}/suspend", json={})
    with host.app.app_context():
        with pytest.raises(TenantRefused) as refused, host.provisioning.tenant_context(tenant["tenant"]):
            raise AssertionError("entered")
        assert (refused.value.tenant_id, refused.value.status) == (tenant["tenant"], "suspended")
        assert refused.value.description == "This tenant is not available."
