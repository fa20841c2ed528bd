"""The principal: the permissions that a caller lacks for a request."""

from __future__ import annotations

from flask_tenant_provisioning.access.principal import Principal

CALLER = Principal("someone", "acme", permissions=frozenset({"tenant:read", "tenant:update"}))


def test_missing_returns_lacking_permissions_in_the_required_order() -> None:
    assert CALLER.missing(("tenant:purge", "tenant:read", "tenant:create")) == ["tenant:purge", "tenant:create"]
    assert CALLER.missing(["tenant:create", "tenant:purge"]) == ["tenant:create", "tenant:purge"]


def test_missing_is_empty_for_granted_permissions() -> None:
    assert CALLER.missing(("tenant:update", "tenant:read")) == []


def test_missing_is_empty_without_required_permissions() -> None:
    assert CALLER.missing(()) == []
    assert Principal("someone", "acme").missing(()) == []


def test_missing_returns_every_required_permission_without_roles() -> None:
    assert Principal("someone", "acme").missing(("tenant:read", "bulk:read")) == ["tenant:read", "bulk:read"]


def test_missing_is_empty_for_the_operator() -> None:
    assert Principal.for_operator("operator", "acme").missing(("tenant:purge", "partner:manage")) == []
