"""Many at once, over HTTP: exactly one wins, and limits are exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import text

from tests.support.callers import Caller
from tests.support.hosts import PREFIX, get_engine, issue_license
from tests.support.servers import Reply, run_concurrently, send_request, serve

TENANTS = f"{PREFIX}/tenants"


def rows(app: Flask, table: str, partner: str, **equal: str) -> int:
    """Return the rows of this partner in a table."""
    where = "".join(f" AND {name} = :{name}" for name in equal)
    with get_engine(app).connect() as connection:
        query = text(f"SELECT count(*) FROM provisioning_{table} WHERE partner_id = :partner{where}")
        return int(connection.execute(query, {"partner": partner, **equal}).scalar_one())


def test_concurrent_creates_with_one_email_have_one_winner(app: Flask, partner: Caller) -> None:
    body = {"client_name": "Example Corp", "email": "admin@example.com"}
    with serve(app) as address:
        replies: list[Reply] = run_concurrently(
            50, lambda _: send_request(address, "POST", TENANTS, partner.token, body)
        )
    assert Counter(reply.status for reply in replies) == {201: 1, 409: 49}
    winner = next(reply for reply in replies if reply.status == 201).json()
    losers = [reply.json() for reply in replies if reply.status == 409]
    assert {(loser["code"], loser["field"], loser["conflicting_tenant"]) for loser in losers} == {
        ("tenant-exists", "email", winner["tenant"])
    }
    assert rows(app, "tenants", partner.partner) == 1
    assert rows(app, "events", partner.partner) == 1


def test_concurrent_creates_with_one_external_id_have_one_winner(app: Flask, partner: Caller) -> None:
    def body(number: int) -> dict[str, str]:
        return {"client_name": "Example Corp", "email": f"u{number}@example.com", "external_id": "crm-1"}

    with serve(app) as address:
        replies = run_concurrently(
            50, lambda number: send_request(address, "POST", TENANTS, partner.token, body(number))
        )
    assert Counter(reply.status for reply in replies) == {201: 1, 409: 49}
    assert {reply.json()["field"] for reply in replies if reply.status == 409} == {"external_id"}
    assert rows(app, "tenants", partner.partner) == rows(app, "events", partner.partner) == 1


def test_concurrent_patches_with_one_etag_have_one_winner(app: Flask, partner: Caller) -> None:
    tenant = partner.create()
    path = f"{TENANTS}/{tenant['tenant']}"

    def change(number: int) -> Reply:
        return send_request(address, "PATCH", path, partner.token, {"industry": f"i{number}"}, **{"If-Match": '"1"'})

    with serve(app) as address:
        replies = run_concurrently(20, change)
    assert Counter(reply.status for reply in replies) == {200: 1, 412: 19}
    assert rows(app, "events", partner.partner, type="tenant.updated") == 1


def test_concurrent_patches_without_an_etag_all_apply(app: Flask, partner: Caller) -> None:
    tenant = partner.create()
    path = f"{TENANTS}/{tenant['tenant']}"
    with serve(app) as address:
        replies = run_concurrently(
            20, lambda n: send_request(address, "PATCH", path, partner.token, {"metadata": {f"key-{n}": "v"}})
        )
    assert Counter(reply.status for reply in replies) == {200: 20}
    now = partner("GET", f"/tenants/{tenant['tenant']}").get_json()
    assert (now["version"], len(now["metadata"])) == (21, 20)


@pytest.mark.parametrize(("method", "suffix", "statuses"), [
    ("POST", "/suspend", {200: 1, 412: 9}), ("PUT", "", {200: 1, 412: 9}), ("DELETE", "", {200: 1, 412: 9}),
    ("DELETE", "?purge=true", {204: 1, 404: 9}),
], ids=["suspend", "replace", "delete", "purge"])  # fmt: skip
def test_concurrent_writes_with_one_etag_have_one_winner(
    app: Flask, partner: Caller, method: str, suffix: str, statuses: dict[int, int]
) -> None:
    tenant, admin = partner.create(), partner.with_roles("provisioning-admin")
    path = f"{TENANTS}/{tenant['tenant']}{suffix}"

    def write(number: int) -> Reply:
        body = {"client_name": f"Number {number}", "email": tenant["email"]} if method == "PUT" else None
        return send_request(address, method, path, admin.token, body, **{"If-Match": '"1"'})

    with serve(app) as address:
        replies = run_concurrently(10, write)
    assert Counter(reply.status for reply in replies) == statuses
    assert rows(app, "events", partner.partner) == 2


def test_suspending_and_reactivating_at_once_leaves_a_history_without_gaps(app: Flask, partner: Caller) -> None:
    tenant = partner.create()

    def move(number: int) -> Reply:
        path = f"{TENANTS}/{tenant['tenant']}/{('suspend', 'reactivate')[number % 2]}"
        return send_request(address, "POST", path, partner.token)

    with serve(app) as address:
        replies = run_concurrently(20, move)
    assert Counter(reply.status for reply in replies) == {200: 20}
    now = partner("GET", f"/tenants/{tenant['tenant']}").get_json()
    suspended = rows(app, "events", partner.partner, type="tenant.suspended")
    reactivated = rows(app, "events", partner.partner, type="tenant.reactivated")
    assert suspended - reactivated == (1 if now["status"] == "suspended" else 0)
    assert now["version"] == 1 + suspended + reactivated


def test_restoring_and_creating_race_for_one_email_and_one_wins(app: Flask, partner: Caller) -> None:
    email = "wanted@example.com"
    gone = []
    for _ in range(5):
        gone.append(f"/tenants/{partner.create(email=email)['tenant']}")
        partner("DELETE", gone[-1])

    def want(number: int) -> Reply:
        if number % 2:
            return send_request(address, "POST", TENANTS, partner.token, {"client_name": "New", "email": email})
        return send_request(address, "POST", f"{PREFIX}{gone[number // 2]}/restore", partner.token)

    with serve(app) as address:
        replies = run_concurrently(10, want)
    statuses = Counter(reply.status for reply in replies)
    assert statuses[200] + statuses[201] == 1
    assert statuses[409] == 9
    assert len(partner("GET", f"/tenants?email={email}").get_json()["items"]) == 1


def test_two_tenants_racing_for_one_email_by_patch_leave_one_holder(app: Flask, partner: Caller) -> None:
    paths = [f"{TENANTS}/{partner.create()['tenant']}" for _ in range(10)]
    body = {"email": "wanted@example.com"}
    with serve(app) as address:
        replies = run_concurrently(10, lambda n: send_request(address, "PATCH", paths[n], partner.token, body))
    assert Counter(reply.status for reply in replies) == {200: 1, 409: 9}
    assert {reply.json()["code"] for reply in replies if reply.status == 409} == {"tenant-exists"}


def test_the_licences_limit_is_exact_under_100_threads(make_app: Callable[..., Flask]) -> None:
    app = make_app(PROVISIONING_LICENSE=issue_license(max_tenants=10))
    partners = [Caller(app) for _ in range(4)]

    def create(number: int) -> Reply:
        body = {"client_name": "Example Corp", "email": f"u{number}@example.com"}
        return send_request(address, "POST", TENANTS, partners[number % 4].token, body)

    with serve(app) as address:
        replies = run_concurrently(100, create)
    assert Counter(reply.status for reply in replies) == {201: 10, 403: 90}
    refusal = next(reply.json() for reply in replies if reply.status == 403)
    assert (refusal["code"], refusal["limit"]) == ("quota-exceeded", 10)
    assert sum(rows(app, "tenants", caller.partner) for caller in partners) == 10
    assert sum(rows(app, "events", caller.partner) for caller in partners) == 10


def test_a_deleted_tenant_makes_room_under_the_limit(make_app: Callable[..., Flask]) -> None:
    partner = Caller(make_app(PROVISIONING_LICENSE=issue_license(max_tenants=2)))
    first, _ = partner.create(), partner.create()
    assert partner("POST", "/tenants", json={"client_name": "C", "email": "c@example.com"}).status_code == 403
    assert partner("DELETE", f"/tenants/{first['tenant']}").status_code == 200
    assert partner("DELETE", f"/tenants/{first['tenant']}").status_code == 200
    partner.create()
    assert partner("POST", "/tenants", json={"client_name": "D", "email": "d@example.com"}).status_code == 403


def test_later_limit_counts_existing_tenants(make_app: Callable[..., Flask]) -> None:
    before = Caller(make_app())
    for _ in range(3):
        before.create()
    after = Caller(make_app(PROVISIONING_LICENSE=issue_license(max_tenants=4)), before.partner)
    after.create()
    response = after("POST", "/tenants", json={"client_name": "E", "email": "e@example.com"})
    assert (response.status_code, response.get_json()["code"]) == (403, "quota-exceeded")


def test_a_refused_create_does_not_use_up_the_limit(make_app: Callable[..., Flask]) -> None:
    partner = Caller(make_app(PROVISIONING_LICENSE=issue_license(max_tenants=2)))
    tenant = partner.create()
    for _ in range(5):
        response = partner("POST", "/tenants", json={"client_name": "B", "email": tenant["email"]})
        assert response.get_json()["code"] == "tenant-exists"
    partner.create()
