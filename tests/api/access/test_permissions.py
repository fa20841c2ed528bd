"""Permissions of the host's own: granted by roles, required by its views."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, jsonify
from flask_jwt_extended import JWTManager

from flask_tenant_provisioning import ConfigurationError, TenantProvisioning, current_principal, requires
from tests.support.assertions import check_problem
from tests.support.callers import Caller
from tests.support.hosts import PREFIX, make_config

pytestmark = pytest.mark.one_database


def make_host(provisioning: TenantProvisioning, database_url: str, **config: Any) -> Flask:
    """A host with a view that needs `report:read`."""
    app = Flask("host")
    app.config.update(make_config(**config))
    JWTManager(app)
    provisioning.init_app(app, database_url)

    @app.get("/reports")
    @provisioning.requires("report:read")
    def list_reports() -> Any:
        return jsonify(sorted(current_principal().permissions))

    return app


def get_reports(app: Flask, *roles: str, **claims: Any) -> Any:
    """The response of the view to a partner in these roles."""
    caller = Caller(app, "acme", roles, **claims)
    return caller.client.get("/reports", headers={"Authorization": f"Bearer {caller.token}"})


def declare(**options: Any) -> TenantProvisioning:
    """An extension that knows `report:read`."""
    provisioning = TenantProvisioning()
    provisioning.permission("report:read", "Read the monthly reports.", **options)
    return provisioning


def test_a_role_of_the_permission_is_admitted_and_others_are_not(database_url: str) -> None:
    app = make_host(declare(roles=["partner-admin"]), database_url)
    response = get_reports(app, "partner-admin")
    assert response.status_code == 200
    assert "report:read" in response.get_json()
    refused = get_reports(app, "partner-viewer")
    check_problem(
        refused,
        status=403,
        code="insufficient-permission",
        detail="This needs the permission report:read.",
        required=["report:read"],
    )
    assert 'scope="report:read"' in refused.headers["WWW-Authenticate"]


def test_configured_roles_may_name_it(database_url: str) -> None:
    app = make_host(declare(), database_url, PROVISIONING_ROLES={"reader": ["report:read"], "clerk": ["tenant:read"]})
    assert get_reports(app, "reader").get_json() == ["report:read"]
    assert get_reports(app, "clerk").status_code == 403


def test_a_tokens_permissions_claim_restricts_it(database_url: str) -> None:
    app = make_host(declare(roles=["partner-admin"]), database_url)
    assert get_reports(app, "partner-admin", permissions=["tenant:read"]).status_code == 403
    assert get_reports(app, "partner-admin", permissions="report:read").get_json() == ["report:read"]


def test_without_a_role_no_caller_has_it(database_url: str) -> None:
    app = make_host(declare(), database_url)
    assert get_reports(app, "partner-admin", "provisioning-admin").status_code == 403


def test_configured_roles_of_an_unknown_permission_list_the_known_ones(database_url: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        make_host(declare(), database_url, PROVISIONING_ROLES={"reader": ["report:raed"]})
    assert "out of audit:read, " in str(refusal.value)
    assert ", partner:read, report:read, settings:read, " in str(refusal.value)
    assert "; unknown: report:raed" in str(refusal.value)


def test_a_view_that_requires_an_unknown_permission_lists_the_known_ones() -> None:
    with pytest.raises(
        ConfigurationError, match=r"permissions out of audit:read, .*report:read.*, not \('report:raed'"
    ):
        declare().requires("report:raed")
    with pytest.raises(ConfigurationError, match="permissions out of audit:read, "):
        requires("report:read")


def test_a_role_that_does_not_exist_stops_the_start(database_url: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        make_host(declare(roles=["boss"]), database_url)
    assert str(refusal.value) == (
        "The permission 'report:read' is granted to the role 'boss', and there is none: "
        "the roles are partner-admin, partner-viewer, provisioning-admin."
    )


@pytest.mark.parametrize(
    ("name", "description", "words"),
    [
        ("report", "Read.", "A permission's name is like 'report:read', of a-z, 0-9, - and _, not 'report'."),
        ("Report:read", "Read.", "A permission's name is like 'report:read', of a-z, 0-9, - and _, not 'Report:read'."),
        ("report:read ", "Read.", "A permission's name is like"),
        (5, "Read.", "A permission's name is like"),
        ("tenant:read", "Read.", "There is a permission named 'tenant:read' already."),
        ("report:list", " ", "Describe in a sentence what the permission 'report:list' allows."),
        ("report:list", None, "Describe in a sentence what the permission 'report:list' allows."),
        ("report:read", "Read.", "There is a permission named 'report:read' already."),
    ],
)
def test_a_wrong_permission_is_refused(name: Any, description: Any, words: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        declare().permission(name, description)
    assert str(refusal.value).startswith(words)


def test_a_permission_is_declared_before_the_roles_are_read(database_url: str) -> None:
    provisioning = declare()
    make_host(provisioning, database_url)
    with pytest.raises(ConfigurationError) as refusal:
        provisioning.permission("report:list", "List reports.")
    assert str(refusal.value) == "Declare the permission 'report:list' before init_app, which reads the roles."


def test_each_mounts_views_are_guarded_by_its_own_tokens(database_url: str) -> None:
    first, second = declare(roles=["partner-admin"]), TenantProvisioning(name="eu", url_prefix="/eu")
    app = Flask("host")
    app.config.update(make_config())
    first.init_app(app, database_url)
    second.init_app(app, database_url, partner_claim="org", roles={"clerk": ["tenant:read"]})

    @app.get("/eu-report")
    @second.requires("tenant:read")
    def read_eu_report() -> str:
        return current_principal().partner

    caller = Caller(app, "acme", ["clerk"], org="globex")
    response = caller.client.get("/eu-report", headers={"Authorization": f"Bearer {caller.token}"})
    assert (response.status_code, response.text) == (200, "globex")


def test_the_document_describes_it_with_the_roles_that_grant_it(database_url: str) -> None:
    app = make_host(declare(roles=["partner-admin"]), database_url)
    document = app.test_client().get(f"{PREFIX}/openapi.json").get_json()
    scheme = document["components"]["securitySchemes"]["bearerAuth"]
    lines = scheme["description"].split("\n")
    assert lines[-2:] == ["", "- `report:read`: Read the monthly reports."]
    (admin,) = [line for line in lines if line.startswith("- `partner-admin`: ")]
    assert admin.endswith(", `report:read`")
    flow = document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert flow["scopes"]["report:read"] == "Read the monthly reports."
