"""Loaders of the host's JWT manager that know no partner, fail, or do not run: a refusal with a reason, never a 500."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, abort
from flask_jwt_extended import JWTManager

from flask_tenant_provisioning import TenantProvisioning, requires
from tests.support.assertions import check_problem
from tests.support.callers import Caller
from tests.support.hosts import make_config

TOKENS = "flask_tenant_provisioning.access.tokens"


class Users:
    """Host actions for a token subject that is not one of its users."""

    def __init__(self) -> None:
        self.ids = {1: "Ada"}

    def number(self, _header: Any, claims: dict[str, Any]) -> str:
        return self.ids[int(claims["sub"])]

    def none(self, _header: Any, claims: dict[str, Any]) -> str | None:
        return None

    def missing(self, _header: Any, claims: dict[str, Any]) -> str:
        raise LookupError(claims["sub"])

    def unready(self, _header: Any, claims: dict[str, Any]) -> str:
        raise RuntimeError("no application found")

    async def later(self, _header: Any, claims: dict[str, Any]) -> bool:
        return True


def host(database_url: str, mount: str, loader: str, function: Callable[..., Any]) -> Flask:
    """A host whose manager has this loader."""
    app = Flask("host")
    app.config.update(make_config(PROVISIONING_MOUNT=mount))
    getattr(JWTManager(app), loader)(function)
    TenantProvisioning().init_app(app, database_url)

    @app.get("/mine")
    @requires("tenant:read")
    def mine() -> str:
        return "mine"

    return app


def request_both(caller: Caller) -> tuple[Any, Any]:
    """The responses of the API and of a guarded host view."""
    mine = caller.client.get("/mine", headers={"Authorization": f"Bearer {caller.token}"})
    return caller("GET", "/tenants"), mine


@pytest.mark.parametrize("lookup", ["number", "none", "missing", "unready", "later"])
def test_a_user_lookup_that_knows_no_partner_is_a_401_with_a_reason(
    database_url: str, lookup: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = host(database_url, "blueprint", "user_lookup_loader", getattr(Users(), lookup))
    for response in (*request_both(Caller(app)), *request_both(Caller(app))):
        check_problem(
            response,
            status=401,
            code="invalid-token",
            detail="The application knows no user for this token: its operator has to admit partners.",
        )
        assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    faults = [record for record in caplog.records if record.name == TOKENS]
    assert len(faults) == (0 if lookup == "none" else 1)
    assert all(record.exc_info and vars(record)["loader"] == "user_lookup_loader" for record in faults)


def test_an_isolated_mount_does_not_ask_the_user_lookup(database_url: str) -> None:
    app = host(database_url, "isolated", "user_lookup_loader", Users().number)
    for response in request_both(Caller(app)):
        assert response.status_code == 200


@pytest.mark.parametrize("mount", ["blueprint", "isolated"])
@pytest.mark.parametrize("loader", ["token_in_blocklist_loader", "token_verification_loader"])
@pytest.mark.parametrize("fault", ["number", "missing", "unready", "later"])
def test_another_loader_that_fails_refuses_the_token(
    database_url: str, mount: str, loader: str, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = host(database_url, mount, loader, getattr(Users(), fault))
    for response in request_both(Caller(app)):
        check_problem(response, status=401, code="invalid-token", detail="The application could not check this token.")
    assert [vars(record)["loader"] for record in caplog.records if record.name == TOKENS] == [loader]


@pytest.mark.one_database
@pytest.mark.parametrize("mount", ["blueprint", "isolated"])
def test_a_key_loader_that_fails_refuses_the_token(database_url: str, mount: str) -> None:
    def broken(_header: Any, _claims: Any) -> str:
        raise RuntimeError("no keys")

    app = host(database_url, mount, "decode_key_loader", broken)
    for response in request_both(Caller(app)):
        check_problem(response, status=401, code="invalid-token", detail="The application could not check this token.")


@pytest.mark.one_database
@pytest.mark.parametrize("mount", ["blueprint", "isolated"])
def test_a_loader_that_cannot_reach_a_service_is_a_503(
    database_url: str, mount: str, caplog: pytest.LogCaptureFixture
) -> None:
    def raise_connection_error(_header: Any, _claims: Any) -> bool:
        raise ConnectionError("redis is away")

    app = host(database_url, mount, "token_in_blocklist_loader", raise_connection_error)
    for _ in range(2):
        response = Caller(app)("GET", "/tenants")
        check_problem(response, status=503, code="storage-unavailable")
        assert "redis" not in response.text
    assert caplog.text.count("the app's token_in_blocklist_loader failed") == 1


@pytest.mark.one_database
def test_abort_in_a_user_lookup_is_returned(database_url: str) -> None:
    app = host(database_url, "blueprint", "user_lookup_loader", lambda *_: abort(403))
    check_problem(Caller(app)("GET", "/tenants"), status=403)


@pytest.mark.one_database
def test_a_new_kind_of_fault_is_logged_too(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    faults: list[Exception] = [ValueError("one"), KeyError("two"), ValueError("three")]

    def broken(_header: Any, _claims: Any) -> str:
        raise faults.pop(0)

    caplog.set_level(logging.WARNING, TOKENS)
    app = host(database_url, "blueprint", "user_lookup_loader", broken)
    for _ in range(3):
        assert Caller(app)("GET", "/tenants").status_code == 401
    assert [vars(record)["error"] for record in caplog.records if record.name == TOKENS] == ["ValueError", "KeyError"]
