"""A host stays as it was, in its routes, error pages, hooks, JSON, sessions and tokens; and the API is itself in it."""

from __future__ import annotations

import json
import logging
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import flask.signals
import jwt as pyjwt
import pytest
from blinker import NamedSignal
from flask import Flask, Response, abort, g, make_response, redirect, request, session
from flask.json.provider import JSONProvider
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from flask_jwt_extended import JWTManager, create_access_token, current_user, jwt_required, verify_jwt_in_request
from flask_wtf import CSRFProtect
from werkzeug.exceptions import HTTPException, TooManyRequests
from werkzeug.routing import BaseConverter
from werkzeug.test import TestResponse

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.config import Config
from flask_tenant_provisioning.routes import ROUTES, select_routes
from tests.support.assertions import check_problem
from tests.support.callers import EXAMPLE, Caller
from tests.support.hosts import PREFIX, make_config, make_host, signing_context

MODES: dict[str, dict[str, Any]] = {
    "plain": {},
    "debug": {"DEBUG": True},
    "testing": {"TESTING": True},
    "propagating": {"PROPAGATE_EXCEPTIONS": True},
    "trapping": {"TRAP_HTTP_EXCEPTIONS": True, "TRAP_BAD_REQUEST_ERRORS": True},
}
SECRET = "hunter2"
AN_ID = "01930000-0000-7000-8000-000000000000"


class OddJSON(JSONProvider):
    """A host's JSON that cannot write a UUID, and writes what no other JSON parser reads."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return "while(1);" + json.dumps(obj, indent=3)

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return json.loads(str(s).removeprefix("while(1);"))


class UpperCaseConverter(BaseConverter):
    """A URL converter of the host's own."""

    def to_python(self, value: str) -> str:
        return value.upper()


class Outsider(FlaskClient):
    """A client whose JSON is not the host's."""

    def open(self, *args: Any, **options: Any) -> TestResponse:
        if "json" in options:
            options |= {"data": json.dumps(options.pop("json")), "content_type": "application/json"}
        response = super().open(*args, **options)
        response.json_module = json
        return response


class HostApp(Flask):
    """A host that changed whatever Flask lets it change."""

    json_provider_class = OddJSON
    test_client_class = Outsider


def build(**config: Any) -> Flask:
    """The host without the API, wild and complete."""
    app = HostApp("host")
    app.config.update(make_config(PROVISIONING_AUTO_MIGRATE=False, HOSTS_OWN="setting", **config))
    app.url_map.converters["shouting"] = UpperCaseConverter
    _hooks(app)
    _error_pages(app)
    _routes(app)
    _tokens(app)
    CSRFProtect(app)
    return app


def _hooks(app: Flask) -> None:
    @app.before_request
    def greet() -> None:
        g.greeting = f"hello {request.path}"

    @app.after_request
    def sign(response: Response) -> Response:
        response.headers["X-Host"] = g.greeting
        return response

    @app.teardown_request
    def tidy(_error: BaseException | None) -> None:
        g.pop("greeting", None)

    @app.teardown_appcontext
    def close(_error: BaseException | None) -> None:
        g.pop("connection", None)

    @app.url_value_preprocessor
    def pull(_endpoint: str | None, values: dict[str, Any] | None) -> None:
        g.pulled = dict(values or {})

    @app.url_defaults
    def push(_endpoint: str, values: dict[str, Any]) -> None:
        values.setdefault("lang", "en")

    app.context_processor(lambda: {"house": "ours"})
    app.add_template_filter(str.upper, "loud")
    app.add_template_global(len, "count")


def _error_pages(app: Flask) -> None:
    def page(status: int) -> Callable[[Exception], ResponseReturnValue]:
        return lambda error: (f"<h1>The host's {status}</h1>", status)

    for status in (404, 405, 500):
        app.register_error_handler(status, page(status))

    @app.errorhandler(HTTPException)
    def any_status(error: HTTPException) -> ResponseReturnValue:
        return f"<h1>The host's {error.code}: {error.name}</h1>", error.code or 500

    @app.errorhandler(Exception)
    def anything(error: Exception) -> ResponseReturnValue:
        return f"<h1>The host's crash: {error}</h1>", 500


def _routes(app: Flask) -> None:
    def page(**_values: str) -> str:
        return f"<h1>{g.greeting}</h1>"

    for rule in ("/", "/shout/<shouting:word>", "/folder/", f"{PREFIX}/host-thing", f"{PREFIX}/host-folder/"):
        app.add_url_rule(rule, rule.strip("/").replace("/", "-") or "home", page)
    app.add_url_rule(f"{PREFIX}/host-thing/<int:number>", "numbered", page, methods=["GET", "POST"])
    app.add_url_rule(f"{PREFIX}/bare", "bare", page, methods=["GET"], provide_automatic_options=False)
    app.add_url_rule("/old", "old", lambda **_values: redirect("/"))
    app.add_url_rule("/json", "json", lambda **_values: app.json.response({"b": 1, "a": [2]}))
    app.add_url_rule("/form", "form", page, methods=["GET", "POST"])
    app.add_url_rule("/abort/<int:status>", "stop", lambda status, **_values: abort(status))

    @app.get("/broken")
    def broken(**_values: str) -> str:
        raise RuntimeError("the host's own secret")

    @app.get("/foreign-token")
    def foreign_token(**_values: str) -> str:
        raise pyjwt.InvalidAudienceError("of the host's own doing")

    @app.get("/visits")
    def visits(**_values: str) -> str:
        session["visits"] = session.get("visits", 0) + 1
        return f"visit {session['visits']}"

    app.add_url_rule("/private", "private", jwt_required()(lambda **_values: f"private to {current_user}"))


def _tokens(app: Flask) -> None:
    manager = JWTManager(app)
    manager.additional_claims_loader(lambda _identity: {"house": "ours"})
    manager.user_lookup_loader(lambda _header, claims: "a user" if claims["sub"] == "someone" else None)
    manager.token_in_blocklist_loader(lambda _header, claims: claims.get("revoked", False))
    manager.unauthorized_loader(lambda reason: (f"<h1>The host's 401: {reason}</h1>", 401))
    manager.invalid_token_loader(lambda reason: (f"<h1>The host's 401: {reason}</h1>", 401))
    manager.expired_token_loader(lambda _header, _claims: ("<h1>The host's token is stale</h1>", 401))
    manager.revoked_token_loader(lambda _header, _claims: ("<h1>The host's token is revoked</h1>", 401))
    manager.user_lookup_error_loader(lambda _header, _claims: ("<h1>The host's stranger</h1>", 401))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with the API's tables, for all hosts of this module."""
    database_url = f"sqlite:///{tmp_path_factory.mktemp('hosts')}/provisioning.sqlite3"
    make_host(database_url)
    return database_url


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A host's configuration to have its errors handled, shown, propagated or trapped."""
    return MODES[request.param]


@pytest.fixture
def mounted(url: str, mode: dict[str, Any]) -> Flask:
    """The wild host with the API, in each mode."""
    return mount(build(**mode), url)


@pytest.fixture(scope="module")
def app(url: str) -> Flask:
    """The wild host with the API, in production."""
    return mount(build(), url)


def mount(app: Flask, url: str, **options: Any) -> Flask:
    """Mount the API on `app`."""
    TenantProvisioning(**options).init_app(app, url)
    return app


def plain_host(**config: Any) -> Flask:
    """A host that has nothing of its own."""
    app = Flask("host")
    app.config.update(make_config(PROVISIONING_AUTO_MIGRATE=False, **config))
    return app


# What the host consists of


def _copy_registry(registry: Mapping[Any, Any]) -> dict[Any, Any]:
    """A registry of functions by scope, without the scope of our own blueprint."""
    return {scope: _frozen(values) for scope, values in registry.items() if scope != "provisioning" and values}


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _frozen(item) for key, item in value.items()}
    return list(value) if isinstance(value, list) else value


def _loggers() -> dict[str, Any]:
    root, hosts = logging.getLogger(), logging.getLogger("host")
    return {each.name: (each.level, list(each.handlers), list(each.filters), each.disabled) for each in (root, hosts)}


def _signals() -> dict[str, int]:
    signals = [signal for signal in vars(flask.signals).values() if isinstance(signal, NamedSignal)]
    return {signal.name: len(signal.receivers) for signal in signals}


ASPECTS: dict[str, Callable[[Flask], Any]] = {
    "error handlers": lambda app: _copy_registry(app.error_handler_spec),
    "before_request": lambda app: _copy_registry(app.before_request_funcs),
    "after_request": lambda app: _copy_registry(app.after_request_funcs),
    "teardown_request": lambda app: _copy_registry(app.teardown_request_funcs),
    "teardown_appcontext": lambda app: list(app.teardown_appcontext_funcs),
    "url_value_preprocessors": lambda app: _copy_registry(app.url_value_preprocessors),
    "url_defaults": lambda app: _copy_registry(app.url_default_functions),
    "template context processors": lambda app: _copy_registry(app.template_context_processors),
    "shell context processors": lambda app: list(app.shell_context_processors),
    "template globals": lambda app: dict(app.jinja_env.globals),
    "template filters": lambda app: dict(app.jinja_env.filters),
    "template loader": lambda app: app.jinja_env.list_templates(),
    "json provider": lambda app: (app.json, app.json_provider_class),
    "configuration": lambda app: dict(app.config),
    "session interface": lambda app: app.session_interface,
    "url converters": lambda app: dict(app.url_map.converters),
    "url map": lambda app: (app.url_map.strict_slashes, app.url_map.merge_slashes, app.url_map.host_matching),
    "classes": lambda app: (app.request_class, app.response_class, app.url_rule_class, app.app_ctx_globals_class),
    "wsgi_app": lambda app: app.wsgi_app,
    "commands": lambda app: dict(app.cli.commands),
    "signals": lambda _app: _signals(),
    "loggers": lambda _app: _loggers(),
    "warnings": lambda _app: list(warnings.filters),
    "threads": lambda _app: threading.active_count(),
}


WRAPPED = pytest.param("wsgi_app", marks=pytest.mark.blueprint("an isolated mount wraps it"))


@pytest.mark.parametrize("aspect", [WRAPPED if name == "wsgi_app" else name for name in ASPECTS])
def test_mounting_and_serving_do_not_change_the_host(url: str, aspect: str) -> None:
    app, look = build(), ASPECTS[aspect]
    before = look(app)
    mount(app, url, auto_migrate=True)
    mounted = look(app)
    Caller(app).create()
    assert (mounted, look(app)) == (before, before)


@pytest.mark.blueprint("an isolated mount adds none to the host")
def test_exactly_one_blueprint_is_added(url: str) -> None:
    app = build()
    before = dict(app.blueprints)
    provisioning = TenantProvisioning()
    provisioning.init_app(app, url)
    assert app.blueprints == {**before, "provisioning": provisioning.blueprint}


def test_exactly_one_extension_is_added(url: str) -> None:
    app = build()
    before = dict(app.extensions)
    mount(app, url)
    assert app.extensions == {**before, "tenant_provisioning": app.extensions["tenant_provisioning"]}


@pytest.mark.blueprint("an isolated mount adds none to the host")
def test_added_rules_are_under_the_prefix(url: str) -> None:
    app = build()
    before = list(app.url_map.iter_rules())
    mount(app, url)
    came = [rule for rule in app.url_map.iter_rules() if rule not in before]
    routes = select_routes(Config.read(app.config, {}))
    ours = {f"provisioning.{route.endpoint}" for route in routes} | {"provisioning.unmatched"}
    assert {rule.endpoint for rule in came} == ours
    assert [rule.rule for rule in came if not rule.rule.startswith(f"{PREFIX}/")] == []


def test_added_views_are_ours(url: str) -> None:
    app = build()
    before = dict(app.view_functions)
    mount(app, url)
    came = app.view_functions.keys() - before.keys()
    assert came == {rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint.startswith("provisioning.")}
    assert {name: view for name, view in app.view_functions.items() if name in before} == before


def test_the_hosts_jwt_manager_stays_in_office(url: str) -> None:
    app = build()
    before = app.extensions["flask-jwt-extended"]
    mount(app, url)
    assert app.extensions["flask-jwt-extended"] is before


@pytest.mark.blueprint("an isolated mount makes none in the host")
def test_without_jwt_manager_one_is_added(url: str) -> None:
    app = mount(plain_host(), url)
    assert set(app.extensions) == {"tenant_provisioning", "flask-jwt-extended"}
    assert isinstance(app.extensions["flask-jwt-extended"], JWTManager)


def test_without_jwt_manager_only_its_defaults_are_added_to_the_configuration(url: str) -> None:
    app = plain_host()
    before = dict(app.config)
    mount(app, url)
    assert {name: value for name, value in app.config.items() if name in before} == before
    assert [name for name in app.config if name not in before and not name.startswith("JWT_")] == []


@pytest.mark.parametrize("aspect", [WRAPPED, *(name for name in ASPECTS if name not in ("configuration", "wsgi_app"))])
def test_the_jwt_manager_that_comes_changes_nothing_else(url: str, aspect: str) -> None:
    app, look = plain_host(), ASPECTS[aspect]
    before = look(app)
    mount(app, url)
    assert look(app) == before


def test_a_host_that_decodes_tokens_itself_keeps_its_own_answer(url: str) -> None:
    def request_page(app: Flask) -> TestResponse:
        app.register_error_handler(pyjwt.PyJWTError, lambda _error: ("the host's own answer", 401))
        app.add_url_rule("/", view_func=lambda: pyjwt.decode("no token", "key", algorithms=["HS256"]))
        return app.test_client().get("/")

    assert normalize_response(request_page(mount(plain_host(), url))) == normalize_response(request_page(plain_host()))


# The host's own routes answer to the letter as before

ASKED = [
    ("GET", "/"),
    ("HEAD", "/"),
    ("OPTIONS", "/"),
    ("POST", "/"),
    ("GET", "/nowhere"),
    ("GET", "/shout/quietly"),
    ("GET", "/folder"),
    ("GET", "/old"),
    ("GET", "/json"),
    ("GET", "/form"),
    ("POST", "/form"),
    ("GET", "/visits"),
    ("GET", "/broken"),
    ("GET", "/foreign-token"),
    ("GET", "/abort/404"),
    ("GET", "/abort/418"),
    ("GET", "/abort/500"),
    ("GET", "/abort/503"),
    ("GET", "/api"),
    ("GET", f"{PREFIX}uish"),
    ("GET", f"{PREFIX}/host-thing"),
    ("HEAD", f"{PREFIX}/host-thing"),
    ("OPTIONS", f"{PREFIX}/host-thing"),
    ("POST", f"{PREFIX}/host-thing"),
    ("PROPFIND", f"{PREFIX}/host-thing"),
    ("GET", f"{PREFIX}/host-folder"),
    ("GET", f"{PREFIX}/host-folder/"),
    ("DELETE", f"{PREFIX}/host-folder/"),
    ("GET", f"{PREFIX}/host-thing/7"),
    ("OPTIONS", f"{PREFIX}/host-thing/7"),
    ("POST", f"{PREFIX}/host-thing/7"),
    ("DELETE", f"{PREFIX}/host-thing/7"),
    ("OPTIONS", f"{PREFIX}/bare"),
]


def normalize_response(response: TestResponse) -> tuple[int, list[tuple[str, str]], bytes]:
    """An answer to the letter, but for a cookie's timestamp and the order in which ``Allow`` lists its set."""
    headers = [(name, _normalize(name, value)) for name, value in response.headers]
    return response.status_code, headers, response.data


def _normalize(name: str, value: str) -> str:
    if name == "Set-Cookie":
        return re.sub(r"\.[\w-]+\.[\w-]+;", ";", value)
    return ", ".join(sorted(value.split(", "))) if name == "Allow" else value


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_the_host_answers_as_before(mounted: Flask, mode: dict[str, Any], method: str, path: str) -> None:
    before = build(**mode).test_client().open(path, method=method)
    after = mounted.test_client().open(path, method=method)
    assert normalize_response(after) == normalize_response(before)
    assert after.headers["X-Host"] == f"hello {path}"


@pytest.mark.parametrize(
    "claims",
    [{}, {"sub": "a stranger"}, {"revoked": True}, {"expired": True}, {"type": "refresh"}],
    ids=["good", "stranger", "revoked", "expired", "refresh"],
)
def test_the_host_judges_tokens_as_before(mounted: Flask, mode: dict[str, Any], claims: dict[str, Any]) -> None:
    def request_private_page(app: Flask) -> TestResponse:
        expires = timedelta(hours=-1 if claims.get("expired") else 1)
        with app.app_context():
            token = create_access_token(claims.get("sub", "someone"), additional_claims=claims, expires_delta=expires)
        return app.test_client().get("/private", headers={"Authorization": f"Bearer {token}"})

    assert normalize_response(request_private_page(mounted)) == normalize_response(request_private_page(build(**mode)))


@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Basic dTpw"])
def test_the_host_refuses_credentials_as_before(mounted: Flask, mode: dict[str, Any], header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    before = build(**mode).test_client().get("/private", headers=headers)
    assert normalize_response(mounted.test_client().get("/private", headers=headers)) == normalize_response(before)


def test_the_hosts_session_goes_on_from_visit_to_visit(mounted: Flask) -> None:
    client = mounted.test_client()
    assert [client.get("/visits").text for _ in range(3)] == ["visit 1", "visit 2", "visit 3"]


def test_the_host_lists_its_routes_as_before(url: str) -> None:
    def rules(app: Flask) -> list[str]:
        return sorted(str(rule) for rule in app.url_map.iter_rules() if not rule.endpoint.startswith("provisioning."))

    assert rules(mount(build(), url)) == rules(build())


# Under the prefix the API keeps its contract, whatever the host does about errors


def test_a_tenant_is_created_and_read_in_the_wild_host(mounted: Flask) -> None:
    partner = Caller(mounted)
    response = partner("POST", "/tenants", json=EXAMPLE)
    read = partner("GET", f"/tenants/{response.get_json()['tenant']}")
    assert (response.status_code, read.status_code) == (201, 200)
    assert read.get_json() == {**response.get_json(), **EXAMPLE}
    assert (response.content_type, read.content_type) == ("application/json", "application/json")


@pytest.mark.parametrize("path", ["", "/", "/nowhere", "/tenants/a/b", "/host-thing/seven", "/tenants/"])
def test_an_unknown_path_is_a_problem(mounted: Flask, path: str) -> None:
    response = mounted.test_client().get(PREFIX + path, headers={"X-Request-ID": "r-1"})
    assert check_problem(response) == {
        "type": "/api/provisioning/problems/not-found",
        "title": "Not found",
        "status": 404,
        "code": "not-found",
        "detail": "Not found.",
        "instance": PREFIX + path,
        "request_id": "r-1",
    }


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_an_unknown_path_is_a_problem_whatever_the_method(mounted: Flask, method: str) -> None:
    check_problem(mounted.test_client().open(f"{PREFIX}/nowhere", method=method), code="not-found")


def test_head_of_an_unknown_path_is_404_without_a_body(mounted: Flask) -> None:
    response = mounted.test_client().head(f"{PREFIX}/nowhere")
    assert (response.status_code, response.content_type, response.data) == (404, "application/problem+json", b"")


def test_a_wrong_method_is_a_problem(mounted: Flask) -> None:
    response = mounted.test_client().delete(f"{PREFIX}/tenants", headers={"X-Request-ID": "r-1"})
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert check_problem(response) == {
        "type": "/api/provisioning/problems/method-not-allowed",
        "title": "Method not allowed",
        "status": 405,
        "code": "method-not-allowed",
        "detail": "DELETE is not possible here.",
        "instance": "/api/provisioning/tenants",
        "request_id": "r-1",
    }


@pytest.mark.parametrize("rule", sorted({route.rule for route in ROUTES}))
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "LINK"])
def test_each_route_allows_its_own_methods_and_no_other(app: Flask, rule: str, method: str) -> None:
    allowed = {route.method for route in ROUTES if route.rule == rule}
    allowed |= {"OPTIONS", "HEAD"} if "GET" in allowed else {"OPTIONS"}
    response = app.test_client().open(PREFIX + re.sub("<[^>]*>", AN_ID, rule), method=method)
    if method in allowed:
        check_problem(response, code="authentication-required")
    else:
        check_problem(response, code="method-not-allowed")
        assert response.headers["Allow"] == ", ".join(sorted(allowed))


@pytest.mark.parametrize("rule", sorted({route.rule for route in ROUTES}))
def test_options_lists_the_allowed_methods(app: Flask, rule: str) -> None:
    allowed = {route.method for route in ROUTES if route.rule == rule}
    allowed |= {"OPTIONS", "HEAD"} if "GET" in allowed else {"OPTIONS"}
    response = app.test_client().options(PREFIX + re.sub("<[^>]*>", AN_ID, rule))
    assert (response.status_code, response.data, set(response.allow)) == (200, b"", allowed)


@pytest.mark.blueprint("an isolated mount allows its own methods alone")
def test_host_can_add_a_method_to_an_api_path(url: str) -> None:
    app = mount(plain_host(), url)
    app.add_url_rule(f"{PREFIX}/tenants", "theirs", lambda: "the host's own", methods=["PUT"])
    client = app.test_client()
    assert client.put(f"{PREFIX}/tenants").text == "the host's own"
    assert client.delete(f"{PREFIX}/tenants").headers["Allow"] == "GET, HEAD, OPTIONS, POST, PUT"


def test_a_missing_token_is_a_problem(mounted: Flask) -> None:
    response = mounted.test_client().get(f"{PREFIX}/tenants")
    check_problem(response, status=401, code="authentication-required")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="provisioning"'


STRANGER = pytest.mark.blueprint("an isolated mount does not ask the host's user lookup")


@pytest.mark.parametrize(
    "claims",
    [pytest.param({"sub": "a stranger"}, id="stranger", marks=STRANGER), pytest.param({"revoked": True}, id="revoked")],
)
def test_refusal_by_the_host_is_a_problem(mounted: Flask, claims: dict[str, Any]) -> None:
    response = Caller(mounted, **claims)("GET", "/tenants")
    check_problem(response, status=401, code="invalid-token")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="provisioning", error="invalid_token"'


def test_malformed_json_is_a_problem(mounted: Flask) -> None:
    response = Caller(mounted)("POST", "/tenants", data=b"{", content_type="application/json")
    check_problem(response, status=400, code="malformed-json")


def _broken_id() -> str:
    raise RuntimeError(f"the password is {SECRET}")


def test_crash_returns_a_problem_without_details(url: str, mode: dict[str, Any]) -> None:
    partner = Caller(mount(build(**mode), url, new_id=_broken_id))
    response = partner("POST", "/tenants", json=EXAMPLE, headers={"X-Request-ID": "r-1"})
    assert check_problem(response) == {
        "type": "/api/provisioning/problems/internal-error",
        "title": "Internal error",
        "status": 500,
        "code": "internal-error",
        "detail": "The request failed; the operator's log says why, under this request id.",
        "instance": "/api/provisioning/tenants",
        "request_id": "r-1",
    }
    assert SECRET not in response.text + str(response.headers)


def test_a_crash_is_logged_once_with_its_traceback_and_request_id(
    url: str, mode: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    partner = Caller(mount(build(**mode), url, new_id=_broken_id))
    partner("POST", "/tenants", json=EXAMPLE, headers={"X-Request-ID": "r-1"})
    (logged,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert logged.getMessage() == "request r-1 failed"
    assert SECRET in logging.Formatter().format(logged)
    assert "_broken_id" in logging.Formatter().format(logged)


def test_lost_database_returns_a_problem_without_details(mode: dict[str, Any], tmp_path: Any) -> None:
    partner = Caller(mount(build(**mode), f"sqlite:///{tmp_path}/{SECRET}/gone.sqlite3"))
    response = partner("GET", "/tenants", headers={"X-Request-ID": "r-1"})
    assert response.headers["Retry-After"] == "2"
    assert check_problem(response) == {
        "type": "/api/provisioning/problems/storage-unavailable",
        "title": "Storage unavailable",
        "status": 503,
        "code": "storage-unavailable",
        "detail": "The database does not answer at the moment.",
        "instance": "/api/provisioning/tenants",
        "request_id": "r-1",
    }
    assert SECRET not in response.text


def test_the_hosts_json_is_not_asked(app: Flask) -> None:
    partner = Caller(app)
    responses = [partner("POST", "/tenants", json=sent) for sent in (EXAMPLE, {})]
    assert [(response.status_code, response.text[0]) for response in responses] == [(201, "{"), (400, "{")]


def test_no_cookie_is_set_or_read(app: Flask) -> None:
    partner = Caller(app)
    partner.client.get("/visits")
    response = partner("GET", "/tenants")
    assert "Set-Cookie" not in response.headers
    assert "Vary" not in response.headers


# CSRF walls


def test_a_csrf_wall_that_stands_already_lets_partners_pass(mounted: Flask) -> None:
    partner = Caller(mounted)
    tenant = partner.create()["tenant"]
    responses = [
        partner("PUT", f"/tenants/{tenant}", json=EXAMPLE),
        partner("PATCH", f"/tenants/{tenant}", json={"industry": None}),
        partner("DELETE", f"/tenants/{tenant}"),
    ]
    assert [response.status_code for response in responses] == [200, 200, 200]


@pytest.mark.blueprint("an isolated mount needs no exemption")
def test_the_exemption_is_logged(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="flask_tenant_provisioning.wiring"):
        mount(build(), url)
    messages = [record.getMessage() for record in caplog.records if record.name == "flask_tenant_provisioning.wiring"]
    assert messages == ["the blueprint 'provisioning' is exempt from CSRFProtect: it reads bearer tokens, no cookie"]


def test_each_mount_is_exempt(url: str) -> None:
    app = mount(build(), url)
    mount(app, url, name="eu", url_prefix="/eu")
    token = Caller(app).token
    response = app.test_client().post("/eu/tenants", json=EXAMPLE, headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 201


@pytest.mark.blueprint("no wall stands before an isolated mount")
def test_a_csrf_wall_that_comes_later_refuses_partners(url: str) -> None:
    app = mount(plain_host(), url)
    CSRFProtect(app)
    response = Caller(app)("POST", "/tenants", json=EXAMPLE, headers={"X-Request-ID": "r-1"})
    assert check_problem(response) == {
        "type": "/api/provisioning/problems/bad-request",
        "title": "Bad request",
        "status": 400,
        "code": "bad-request",
        "detail": "The CSRF token is missing.",
        "instance": "/api/provisioning/tenants",
        "request_id": "r-1",
    }


def test_csrf_protection_added_later_is_reported(url: str) -> None:
    app, provisioning = plain_host(), TenantProvisioning()
    provisioning.init_app(app, url)
    CSRFProtect(app).exempt(provisioning.blueprint)
    assert Caller(app)("POST", "/tenants", json=EXAMPLE).status_code == 201


def test_exempting_the_blueprint_works_without_a_licence(url: str) -> None:
    app, provisioning = plain_host(PROVISIONING_LICENSE=None), TenantProvisioning()
    provisioning.init_app(app, url)
    CSRFProtect(app).exempt(provisioning.blueprint)
    assert app.test_client().get(f"{PREFIX}/tenants").status_code == 404


def test_unknown_csrf_extension_is_left_alone(url: str) -> None:
    app = plain_host()
    app.extensions["csrf"] = theirs = object()
    mount(app, url)
    assert app.extensions["csrf"] is theirs


# What the host's hooks do to our requests


def call_hooked_host(url: str, hook: Callable[[], Any], **config: Any) -> TestResponse:
    """Return the response to a partner if the host runs `hook` before each request."""
    app = plain_host(**config)
    app.before_request(hook)
    return Caller(mount(app, url))("GET", "/tenants")


@pytest.fixture(params=["returned", "aborted", "carried"])
def own_answer(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """A hook that answers itself, in each way in which Flask lets it."""

    def respond() -> Any:
        own = make_response("<h1>Closed on Sundays</h1>", 429, {"Retry-After": "3600"})
        if request.param == "returned":
            return own
        if request.param == "aborted":
            abort(own)
        raise TooManyRequests(response=own)

    return respond


@pytest.mark.blueprint("no hook of the host's runs for an isolated mount")
def test_a_hook_that_answers_itself_is_heard(url: str, own_answer: Callable[[], Any]) -> None:
    response = call_hooked_host(url, own_answer)
    assert (response.status_code, response.text) == (429, "<h1>Closed on Sundays</h1>")
    assert response.headers["Retry-After"] == "3600"


@pytest.mark.blueprint("no hook of the host's runs for an isolated mount")
def test_a_hook_that_answers_itself_is_marked_as_ours(url: str, own_answer: Callable[[], Any]) -> None:
    response = call_hooked_host(url, own_answer)
    assert response.headers["Cache-Control"] == "no-store"
    assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Request-ID"])


@pytest.mark.blueprint("no hook of the host's runs for an isolated mount")
def test_a_hook_that_redirects_is_heard(url: str) -> None:
    response = call_hooked_host(url, lambda: redirect("/login"))
    assert (response.status_code, response.headers["Location"]) == (302, "/login")


@pytest.mark.blueprint("no hook of the host's runs for an isolated mount")
def test_a_hook_that_aborts_with_401_challenges_as_we_do(url: str) -> None:
    response = call_hooked_host(url, lambda: abort(401))
    check_problem(response, status=401, code="authentication-required", detail="Authentication required.")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="provisioning"'


@pytest.mark.blueprint("no hook of the host's runs for an isolated mount")
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "bad-request"),
        (403, "insufficient-permission"),
        (404, "not-found"),
        (413, "body-too-large"),
        (418, "bad-request"),
        (500, "internal-error"),
        (503, "storage-unavailable"),
    ],
)
def test_a_hook_that_aborts_is_heard_as_a_problem(url: str, status: int, code: str) -> None:
    check_problem(call_hooked_host(url, lambda: abort(status)), status=status, code=code)


@pytest.mark.blueprint("no hook of the host's runs for an isolated mount")
def test_headers_of_a_hooks_exception_are_returned(url: str) -> None:
    def limit() -> None:
        raise TooManyRequests("10 per minute", retry_after=30)

    response = call_hooked_host(url, limit)
    check_problem(response, status=429, detail="10 per minute")
    assert response.headers["Retry-After"] == "30"


@pytest.mark.blueprint("no hook of the host's runs for an isolated mount")
def test_crashing_hook_returns_a_problem_without_details(url: str, mode: dict[str, Any]) -> None:
    response = call_hooked_host(url, lambda: _broken_id(), **mode)
    check_problem(response, status=500, code="internal-error")
    assert SECRET not in response.text


@pytest.mark.blueprint("no hook of the host's runs for an isolated mount")
def test_a_hook_that_demands_a_token_of_its_own_is_heard_as_a_problem(url: str) -> None:
    app = plain_host()
    app.before_request(lambda: verify_jwt_in_request() and None)
    mount(app, url)
    response = app.test_client().get(f"{PREFIX}/nowhere")
    check_problem(response, status=401, code="authentication-required")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="provisioning"'


@pytest.mark.blueprint("no hook of the host's runs for an isolated mount")
@pytest.mark.parametrize(("hours", "code"), [(-1, "token-expired"), (None, "invalid-token")])
def test_a_hook_that_refuses_a_token_challenges_as_we_do(url: str, hours: int | None, code: str) -> None:
    app = plain_host()
    app.before_request(lambda: verify_jwt_in_request() and None)
    mount(app, url)
    with signing_context(app):
        token = create_access_token("someone", expires_delta=timedelta(hours=hours)) if hours else "nonsense"
    response = app.test_client().get(f"{PREFIX}/nowhere", headers={"Authorization": f"Bearer {token}"})
    check_problem(response, status=401, code=code)
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="provisioning", error="invalid_token"'


@pytest.mark.blueprint("no hook of the host's runs for an isolated mount")
def test_the_hosts_hooks_run_around_our_requests(app: Flask) -> None:
    assert Caller(app)("GET", "/tenants").headers["X-Host"] == f"hello {PREFIX}/tenants"


@pytest.mark.blueprint("no hook of the host's runs for an isolated mount")
def test_hooks_see_our_endpoints(url: str) -> None:
    seen: list[str | None] = []
    app = plain_host()
    app.before_request(lambda: seen.append(request.endpoint))
    partner = Caller(mount(app, url))
    partner("GET", "/tenants")
    partner("GET", "/nowhere")
    assert seen == ["provisioning.list_tenants", "provisioning.unmatched"]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log from INFO upwards."""
    with caplog.at_level(logging.INFO):
        yield caplog


def test_a_quiet_day_leaves_no_line_in_the_log(url: str, log: pytest.LogCaptureFixture) -> None:
    partner = Caller(mount(plain_host(), url))
    log.clear()
    partner.create()
    partner("GET", "/tenants")
    partner("GET", "/nowhere")
    assert log.messages == []
