"""`@requires` on the host's own views: guarded as the API is, and nothing else in the host changed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import jwt
import pytest
from flask import Blueprint, Flask, Response, abort, request
from flask.views import MethodView
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    current_user,
    get_jwt,
    get_jwt_header,
    get_jwt_identity,
    get_jwt_request_location,
)
from werkzeug.test import TestResponse

from flask_tenant_provisioning import (
    ConfigurationError,
    Principal,
    ProvisioningError,
    TenantProvisioning,
    current_principal,
    requires,
)
from flask_tenant_provisioning.config import DEFAULT_ROLES
from tests.support.assertions import check_problem
from tests.support.hosts import PREFIX, make_config

BARE = 'Bearer realm="provisioning"'
INVALID = 'Bearer realm="provisioning", error="invalid_token"'
MakeApp = Callable[..., Flask]


@pytest.fixture(params=["mounted", "community", "no licence"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """A host with a JWT manager, and the API mounted or not."""
    more: dict[str, dict[str, Any]] = {
        "mounted": {},
        "community": {"PROVISIONING_EDITION": "community"},
        "no licence": {"PROVISIONING_LICENSE": None},
    }
    host = Flask("host")
    host.config.update(make_config(**more[request.param]))
    JWTManager(host)
    TenantProvisioning().init_app(host, f"sqlite:///{tmp_path}/provisioning.sqlite3")
    yield host
    mount = host.extensions["tenant_provisioning"]["provisioning"]
    if "storage" in vars(mount):
        mount.storage.engine.dispose()


def bearer(app: Flask, *roles: str, **claims: Any) -> dict[str, str]:
    """The header of a user in these `roles`."""
    with app.app_context():
        token = create_access_token("someone", additional_claims={"roles": roles, "partner_id": "acme", **claims})
    return {"Authorization": f"Bearer {token}"}


def call(app: Flask, *roles: str, path: str = "/workspaces", method: str = "POST", **claims: Any) -> TestResponse:
    return app.test_client().open(path, method=method, headers=bearer(app, *roles, **claims))


def guard(app: Flask) -> list[Principal]:
    """Add a guarded view; returns the principals that it has seen."""
    seen: list[Principal] = []

    @app.post("/workspaces")
    @requires("tenant:create")
    def open_workspace() -> tuple[dict[str, str], int]:
        seen.append(current_principal())
        return {"opened": "yes"}, 201

    return seen


def test_permission_admits_the_caller(app: Flask) -> None:
    seen = guard(app)
    response = call(app, "partner-admin")
    assert (response.status_code, response.get_json()) == (201, {"opened": "yes"})
    permissions = frozenset(DEFAULT_ROLES["partner-admin"])
    assert seen == [Principal("someone", "acme", frozenset({"partner-admin"}), permissions)]


def test_guarded_view_keeps_its_response_headers(app: Flask) -> None:
    guard(app)
    headers = call(app, "partner-admin").headers
    assert "Cache-Control" not in headers
    assert "X-Request-ID" not in headers


def test_missing_permission_returns_the_403_of_the_api(app: Flask) -> None:
    seen = guard(app)
    response = call(app, "partner-viewer")
    document = check_problem(response)
    assert document == {
        "type": f"{PREFIX}/problems/insufficient-permission",
        "title": "Insufficient permission",
        "status": 403,
        "code": "insufficient-permission",
        "detail": "This needs the permission tenant:create.",
        "instance": "/workspaces",
        "request_id": document["request_id"],
        "required": ["tenant:create"],
    }
    expected = f'{BARE}, error="insufficient_scope", scope="tenant:create"'
    assert response.headers.getlist("WWW-Authenticate") == [expected]
    assert seen == []


def test_missing_token_returns_the_401_of_the_api(app: Flask) -> None:
    seen = guard(app)
    response = app.test_client().post("/workspaces")
    check_problem(response, status=401, code="authentication-required", instance="/workspaces")
    assert response.headers.getlist("WWW-Authenticate") == [BARE]
    assert seen == []


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"exp": int(time.time()) - 60}, "token-expired"),
    "without end": ({"exp": None}, "invalid-token"),
    "not yet valid": ({"nbf": int(time.time()) + 86_400}, "invalid-token"),
    "of nobody": ({"sub": ""}, "invalid-token"),
    "of no partner": ({"partner_id": 5}, "invalid-token"),
    "a refresh token": ({"type": "refresh"}, "invalid-token"),
}


@pytest.mark.parametrize(("claims", "code"), BAD.values(), ids=BAD)
def test_a_bad_token_gets_the_apis_401(app: Flask, claims: dict[str, Any], code: str) -> None:
    seen = guard(app)
    response = call(app, "partner-admin", **claims)
    check_problem(response, status=401, code=code)
    assert response.headers.getlist("WWW-Authenticate") == [INVALID]
    assert seen == []


def test_a_refresh_token_of_the_hosts_own_is_refused(app: Flask) -> None:
    guard(app)
    with app.app_context():
        token = create_refresh_token("someone", additional_claims={"roles": ["partner-admin"]})
    response = app.test_client().post("/workspaces", headers={"Authorization": f"Bearer {token}"})
    check_problem(response, status=401, code="invalid-token")


def test_nothing_of_a_refused_token_is_logged(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    guard(app)
    headers = bearer(app, "partner-admin", type="refresh")
    response = app.test_client().post("/workspaces", headers=headers)
    for part in headers["Authorization"].split()[1].split("."):
        assert part not in caplog.text
        assert part not in response.text


def test_all_permissions_are_required(app: Flask) -> None:
    @app.post("/audited")
    @requires("tenant:create", "audit:read", "tenant:read")
    def show_audit() -> str:
        return "audited"

    response = call(app, "partner-admin", path="/audited")
    required = ["tenant:create", "audit:read", "tenant:read"]
    check_problem(response, status=403, required=required, detail="This needs the permission audit:read.")
    expected = f'{BARE}, error="insufficient_scope", scope="tenant:create audit:read tenant:read"'
    assert response.headers["WWW-Authenticate"] == expected
    assert call(app, "provisioning-admin", path="/audited").text == "audited"


@pytest.mark.parametrize(
    "permissions",
    [(), ("tenant:craete",), ("tenant:read", "admin"), ("",), (None,), (["tenant:read"],), ({"tenant:read"},), (5,)],
    ids=repr,
)
def test_a_permission_that_does_not_exist_is_refused_at_import(permissions: Any) -> None:
    with pytest.raises(ConfigurationError, match="Declare permissions out of audit:read, "):
        requires(*permissions)


def test_forgetting_to_call_the_decorator_is_refused_at_import() -> None:
    with pytest.raises(ConfigurationError, match="Declare permissions out of "):

        @requires  # type: ignore[arg-type]
        def view() -> str:
            return "open"


def test_arguments_name_and_docstring_of_the_view_are_kept(app: Flask) -> None:
    @app.get("/workspaces/<int:number>")
    @requires("tenant:read")
    def show_workspace(number: int) -> dict[str, int]:
        """Show a workspace."""
        return {"number": number}

    assert call(app, "partner-viewer", path="/workspaces/7", method="GET").get_json() == {"number": 7}
    assert (show_workspace.__name__, show_workspace.__doc__) == ("show_workspace", "Show a workspace.")
    assert "show_workspace" in app.view_functions


def test_a_view_in_the_hosts_blueprint_is_guarded(app: Flask) -> None:
    blueprint = Blueprint("billing", __name__, url_prefix="/billing")

    @blueprint.get("/invoices")
    @requires("tenant:read")
    def invoices() -> str:
        return current_principal().partner

    app.register_blueprint(blueprint)
    check_problem(app.test_client().get("/billing/invoices"), status=401, instance="/billing/invoices")
    assert call(app, "partner-viewer", path="/billing/invoices", method="GET").text == "acme"


def test_the_methods_of_a_class_are_guarded_each_by_its_own(app: Flask) -> None:
    class Workspace(MethodView):
        @requires("tenant:read")
        def get(self) -> str:
            return "read"

        @requires("tenant:delete")
        def delete(self) -> str:
            return "deleted"

    app.add_url_rule("/workspace", view_func=Workspace.as_view("workspace"))
    assert call(app, "partner-viewer", path="/workspace", method="GET").text == "read"
    check_problem(call(app, "partner-viewer", path="/workspace", method="DELETE"), status=403)
    assert call(app, "partner-admin", path="/workspace", method="DELETE").text == "deleted"


def test_a_whole_class_of_views_is_guarded(app: Flask) -> None:
    class Workspace(MethodView):
        decorators: ClassVar = [requires("tenant:read")]

        def get(self) -> str:
            return "read"

    app.add_url_rule("/workspace", view_func=Workspace.as_view("workspace"))
    check_problem(app.test_client().get("/workspace"), status=401)
    assert call(app, "partner-viewer", path="/workspace", method="GET").text == "read"


def test_an_async_view_is_guarded(app: Flask) -> None:
    pytest.importorskip("asgiref", reason="async views need flask[async]")
    seen: list[str] = []

    @app.get("/slow")
    @requires("tenant:read")
    async def slow() -> dict[str, str]:
        await asyncio.sleep(0)
        seen.append(get_jwt()["sub"])
        return {"partner": current_principal().partner}

    check_problem(app.test_client().get("/slow"), status=401, code="authentication-required")
    check_problem(call(app, path="/slow", method="GET"), status=403, code="insufficient-permission")
    assert seen == []
    assert call(app, "partner-viewer", path="/slow", method="GET").get_json() == {"partner": "acme"}
    assert seen == ["someone"]


def test_flasks_own_options_answer_needs_no_token_and_does_not_run_the_view(app: Flask) -> None:
    seen = guard(app)
    response = app.test_client().options("/workspaces")
    assert (response.status_code, response.allow) == (200, {"POST", "OPTIONS"})
    assert seen == []


def test_a_view_that_answers_options_itself_is_guarded_there_too(app: Flask) -> None:
    @app.route("/workspaces", methods=["GET", "OPTIONS"])
    @requires("tenant:read")
    def workspaces() -> str:
        return f"{request.method} by {get_jwt()['sub']}"

    check_problem(app.test_client().options("/workspaces"), status=401, code="authentication-required")
    assert call(app, "partner-viewer", method="OPTIONS").text == "OPTIONS by someone"


def test_a_head_request_is_guarded_as_its_get(app: Flask) -> None:
    @app.get("/workspaces")
    @requires("tenant:read")
    def workspaces() -> str:
        return "read"

    assert app.test_client().head("/workspaces").status_code == 401
    assert call(app, method="HEAD").status_code == 403
    assert call(app, "partner-viewer", method="HEAD").status_code == 200


@pytest.mark.blueprint("an isolated mount does not ask the host's user lookup")
def test_flask_jwt_extended_works_inside_the_view(app: Flask) -> None:
    manager: JWTManager = app.extensions["flask-jwt-extended"]
    manager.user_lookup_loader(lambda header, claims: {"name": claims["sub"].title()})

    @app.get("/me")
    @requires("tenant:read")
    def me() -> dict[str, Any]:
        return {
            "claims": sorted({*get_jwt()} - {"csrf"}),  # which Flask-JWT-Extended before 4.6 leaves out
            "algorithm": get_jwt_header()["alg"],
            "identity": get_jwt_identity(),
            "location": get_jwt_request_location(),
            "user": dict(current_user),
        }

    expected = {
        "claims": ["exp", "fresh", "iat", "jti", "nbf", "partner_id", "roles", "sub", "type"],
        "algorithm": "HS256",
        "identity": "someone",
        "location": "headers",
        "user": {"name": "Someone"},
    }
    headers = bearer(app, "partner-viewer")
    assert [app.test_client().get("/me", headers=headers).get_json() for _ in range(2)] == [expected, expected]


def test_flask_jwt_extended_sets_its_context_on_every_request(app: Flask) -> None:
    @app.get("/me")
    @requires("tenant:read")
    def me() -> dict[str, Any]:
        return {name: get_jwt()[name] for name in ("type", "fresh", "jti")}

    claims = {"sub": "someone", "partner_id": "acme", "roles": "partner-viewer", "exp": int(time.time()) + 60}
    headers = {"Authorization": f"Bearer {jwt.encode(claims, app.config['JWT_SECRET_KEY'], 'HS256')}"}
    added = {"type": "access", "fresh": False, "jti": None}
    assert [app.test_client().get("/me", headers=headers).get_json() for _ in range(2)] == [added, added]


def test_unguarded_view_has_no_principal(app: Flask) -> None:
    @app.get("/open")
    def open_to_all() -> str:
        return current_principal().partner

    app.testing = True
    with pytest.raises(RuntimeError, match=r"guard the view with @requires\(\.\.\.\)"):
        app.test_client().get("/open", headers=bearer(app, "partner-admin"))


def test_principal_belongs_to_one_request(app: Flask) -> None:
    seen = guard(app)
    for partner in ("acme", "example", "acme"):
        call(app, "partner-admin", partner_id=partner)
    assert [principal.partner for principal in seen] == ["acme", "example", "acme"]


def test_a_revoked_token_is_refused(app: Flask) -> None:
    revoked = set[str]()
    app.extensions["flask-jwt-extended"].token_in_blocklist_loader(lambda header, claims: claims["jti"] in revoked)
    guard(app)
    headers = bearer(app, "partner-admin", jti="one")
    assert app.test_client().post("/workspaces", headers=headers).status_code == 201
    revoked.add("one")
    check_problem(app.test_client().post("/workspaces", headers=headers), status=401, code="invalid-token")


def test_an_error_inside_the_view_is_the_hosts_own_affair(app: Flask) -> None:
    class Refused(ProvisioningError):
        """Raised by the host; it has a handler of its own."""

    @app.errorhandler(ProvisioningError)
    def render_error(error: ProvisioningError) -> tuple[str, int]:
        return f"the host says: {error}", 418

    @app.get("/refuses")
    @requires("tenant:read")
    def refuses() -> str:
        raise Refused("no")

    @app.get("/missing")
    @requires("tenant:read")
    def abort_with_404() -> str:
        abort(404)

    assert call(app, "partner-viewer", path="/refuses", method="GET").text == "the host says: no"
    assert call(app, "partner-viewer", path="/missing", method="GET").mimetype == "text/html"


def test_the_hosts_error_handlers_do_not_take_the_refusal(app: Flask) -> None:
    for status in (401, 403):
        app.register_error_handler(status, lambda error: ("<h1>the host's page</h1>", 200))
    app.register_error_handler(Exception, lambda error: ("<h1>the host's page</h1>", 200))
    guard(app)
    check_problem(app.test_client().post("/workspaces"), status=401)
    check_problem(call(app), status=403)


def test_the_hosts_other_views_are_untouched(app: Flask) -> None:
    @app.get("/other")
    def other() -> Response:
        return Response("other", headers={"Cache-Control": "public"})

    guard(app)
    response = app.test_client().get("/other", headers={"Authorization": "Bearer nonsense", "X-Request-ID": "abc"})
    assert (response.status_code, response.text, response.headers["Cache-Control"]) == (200, "other", "public")
    assert "X-Request-ID" not in response.headers
    assert app.test_client().get("/nowhere").mimetype == "text/html"
    assert app.test_client().post("/other").mimetype == "text/html"


@pytest.mark.parametrize("config", [{"PROVISIONING_EDITION": "community"}, {"PROVISIONING_LICENSE": None}], ids=str)
def test_view_is_guarded_without_a_mounted_api(config: dict[str, Any]) -> None:
    app = Flask("host")
    app.config.update(make_config(**config))
    JWTManager(app)
    TenantProvisioning().init_app(app)
    guard(app)
    assert app.test_client().get(f"{PREFIX}/tenants", headers=bearer(app, "partner-admin")).status_code == 404
    check_problem(app.test_client().post("/workspaces"), status=401)
    assert call(app, "partner-admin").status_code == 201


def test_a_jwt_manager_that_comes_after_the_extension_is_used() -> None:
    app = Flask("host")
    app.config.update(make_config(PROVISIONING_EDITION="community"))
    TenantProvisioning().init_app(app)
    JWTManager(app)
    guard(app)
    assert call(app, "partner-admin").status_code == 201


@pytest.mark.blueprint("an isolated mount needs no manager of the host's")
def test_missing_jwt_manager_is_reported() -> None:
    app = Flask("host")
    app.config.update(make_config(PROVISIONING_EDITION="community"), TESTING=True)
    TenantProvisioning().init_app(app)
    guard(app)
    good = app.test_client().post("/workspaces", headers={"Authorization": "Bearer e30.e30.e30"})
    check_problem(good, status=401, code="invalid-token")
    signer = Flask("signer")
    signer.config.update(make_config())
    JWTManager(signer)
    with pytest.raises(RuntimeError, match="initialize a JWTManager"):
        app.test_client().post("/workspaces", headers=bearer(signer, "partner-admin"))


def test_missing_extension_is_reported() -> None:
    app = Flask("host")
    app.testing = True
    guard(app)
    with pytest.raises(ConfigurationError, match=r"@requires needs TenantProvisioning\(\)\.init_app\(app\)"):
        app.test_client().post("/workspaces")


def test_one_view_serves_two_apps_each_by_its_own_keys_and_roles() -> None:
    @requires("tenant:read")
    def show_partner() -> str:
        return current_principal().partner

    apps = [Flask("one"), Flask("two")]
    for number, app in enumerate(apps):
        roles = {f"reader-{number}": ["tenant:read"]}
        app.config.update(make_config(PROVISIONING_EDITION="community", PROVISIONING_ROLES=roles))
        JWTManager(app)
        TenantProvisioning().init_app(app)
        app.add_url_rule("/shared", view_func=show_partner)
    first, second = apps
    assert call(first, "reader-0", path="/shared", method="GET").text == "acme"
    check_problem(call(second, "reader-0", path="/shared", method="GET"), status=403)
    second.config["JWT_SECRET_KEY"] = "a secret that the other app has not, 32 bytes"
    headers = bearer(first, "reader-0", "reader-1")
    assert first.test_client().get("/shared", headers=headers).status_code == 200
    check_problem(second.test_client().get("/shared", headers=headers), status=401, code="invalid-token")
