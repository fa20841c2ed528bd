"""`doctor` looks at the host: what comes before the API, which mount would be spared it, and what lies in its place."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, abort, g, redirect, request, session
from flask.typing import ResponseReturnValue
from flask_jwt_extended import JWTManager
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from tests.support.callers import Caller
from tests.support.commands import run_command
from tests.support.hosts import PREFIX, get_engine
from tests.support.isolated_hosts import IsolatedHost, Make
from tests.support.issuers import make_jwk, serve_provider

pytestmark = pytest.mark.one_database("about hosts, whatever the database")

ISOLATE = "set PROVISIONING_MOUNT = 'isolated'"
SPARED = ("ok", "the mount is isolated: no code of the host runs before it", "")
OWN = "a key of the mount's own, that is 32 bytes or more"
HERE = "tests.cli.test_doctor_hosts"


def read_check(host: IsolatedHost, check: str) -> tuple[str, str, str]:
    """Return status, detail and advice of a check."""
    checks = json.loads(run_command(host.app, "doctor", "--json").out)["checks"]
    return next(
        (finding["status"], finding["detail"], finding["advice"]) for finding in checks if finding["check"] == check
    )


@pytest.fixture
def blueprint(make: Make) -> IsolatedHost:
    """A host with a blueprint to come."""
    return make(PROVISIONING_MOUNT="blueprint")


# Walls and hooks


def load_user() -> None:
    """A hook of the host's."""


def csrf_check() -> ResponseReturnValue | None:
    """A wall of another make."""
    return None


class SeaSurf:
    """Another."""

    def __call__(self) -> None:
        pass


class TracingHook:
    """A hook that is an object."""

    def __call__(self) -> None:
        pass


def test_csrf_protect_that_came_later(blueprint: IsolatedHost, host: IsolatedHost) -> None:
    for each_host in (blueprint, host):
        each_host.mount()
        CSRFProtect(each_host.app)
    advice = f"call csrf.exempt(provisioning.blueprint), or {ISOLATE}"
    assert read_check(blueprint, "csrf") == ("fail", "CSRFProtect refuses partners' requests", advice)
    assert read_check(host, "csrf") == SPARED


def test_csrf_hook_of_another_library(blueprint: IsolatedHost, host: IsolatedHost) -> None:
    for each_host in (blueprint, host):
        each_host.app.before_request(csrf_check)
        each_host.app.before_request(SeaSurf())
        CSRFProtect(each_host.app)
        each_host.mount()
    walls = f"{HERE}.csrf_check, {HERE}.SeaSurf"
    assert read_check(blueprint, "csrf") == ("warn", f"{walls} may refuse partners' requests", ISOLATE)
    assert read_check(blueprint, "hooks") == ("ok", "the host has no before_request function", "")
    assert read_check(host, "csrf") == SPARED


def test_hooks_before_each_request(blueprint: IsolatedHost, host: IsolatedHost) -> None:
    for each_host in (blueprint, host):
        each_host.app.before_request(load_user)
        each_host.app.before_request(TracingHook())
        each_host.app.before_request(functools.partial(load_user))
        each_host.mount()
    names = f"{HERE}.load_user, {HERE}.TracingHook, functools.partial"
    advice = f"skip requests with request.blueprint == 'provisioning' in it, or {ISOLATE}"
    assert read_check(blueprint, "hooks") == ("ok", f"{names}: called before a request, and none responds", "")
    assert read_check(host, "hooks") == SPARED
    seen: list[tuple[str, str, str | None]] = []

    def wall() -> Any:
        seen.append((request.method, request.path, request.blueprint))
        return redirect("/login") if request.method == "POST" else None

    blueprint.app.before_request(wall)
    answers = ("fail", f"{HERE}.{wall.__qualname__} returns 302 for a partner's POST /tenants", advice)
    assert read_check(blueprint, "hooks") == answers
    path = "/api/provisioning/tenants"
    assert seen == [("GET", path, "provisioning"), ("POST", path, "provisioning")]


def fails() -> None:
    """A hook that takes every caller for one of the host's users."""
    raise KeyError("user")


def forbids() -> None:
    """A hook that refuses every request."""
    abort(403)


@pytest.mark.parametrize(("hook", "does"), [(fails, "fails (KeyError)"), (forbids, "returns 403")])
def test_a_hook_that_lets_no_partner_pass_fails(blueprint: IsolatedHost, hook: Callable[[], None], does: str) -> None:
    blueprint.app.before_request(hook)
    blueprint.mount()
    status, detail, advice = read_check(blueprint, "hooks")
    assert (status, detail) == ("fail", f"{HERE}.{hook.__name__} {does} for a partner's GET /tenants")
    assert ISOLATE in advice
    assert run_command(blueprint.app, "doctor").status == 1


def read_cached() -> None:
    """A hook that reads the body as Flask's documentation says."""
    assert request.get_data() == request.get_data()


def look_at_form() -> None:
    """A hook that looks for a field of a form."""
    request.form.get("csrf")


def read_stream() -> None:
    """A hook that reads the stream, and keeps nothing."""
    request.stream.read()


def read_environ() -> None:
    """A hook that goes behind Flask's back."""
    request.environ["wsgi.input"].read()


def read_uncached() -> None:
    """A hook that tells Flask to keep nothing."""
    request.get_data(cache=False)


def test_hook_that_caches_the_body_is_ok(blueprint: IsolatedHost) -> None:
    for hook in (read_cached, look_at_form):
        blueprint.app.before_request(hook)
    blueprint.mount()
    assert read_check(blueprint, "hooks")[0] == "ok"


@pytest.mark.parametrize("hook", [read_stream, read_environ, read_uncached])
def test_a_hook_that_takes_the_body_fails(
    blueprint: IsolatedHost, host: IsolatedHost, hook: Callable[[], None]
) -> None:
    for each_host in (blueprint, host):
        each_host.app.before_request(hook)
        each_host.mount()
    detail = f"{HERE}.{hook.__name__} consumes the body for a partner's POST /tenants"
    assert read_check(blueprint, "hooks")[:2] == ("fail", detail)
    assert read_check(host, "hooks") == SPARED
    partner = Caller(blueprint.app)
    assert partner("POST", "/tenants", json={"client_name": "n"}).get_json()["code"] in (
        "malformed-json",
        "bad-request",
    )


def decorate(response: Response) -> Response:
    """A hook that puts a page in the place of a problem."""
    if response.status_code == 404:
        response.set_data("<h1>Sorry</h1>")
        response.content_type = "text/html"
    return response


def keep(response: Response) -> Response:
    """A hook that lets everything be kept."""
    response.headers["Cache-Control"] = "public"
    return response


def tag(response: Response) -> Response:
    """A hook that makes tags of its own."""
    response.headers.pop("ETag", None)
    response.add_etag()
    return response


def replace(_answer: Response) -> Response:
    """A hook that answers in another's place."""
    return Response("busy", 503)


def stumble(_answer: Response) -> Response:
    """A hook that needs what only the host's own views leave."""
    return Response(g.user)


@pytest.mark.parametrize(
    ("hook", "does"),
    [
        (decorate, "changes the Content-Type, body where the API returns 404"),
        (keep, "changes the Cache-Control where the API returns 200"),
        (tag, "changes the ETag where the API returns 200"),
        (replace, "changes the status, Content-Type, Cache-Control, ETag, body where the API returns 200"),
        (stumble, "fails (AttributeError) where the API returns 200"),
    ],
)
def test_a_hook_that_changes_answers_fails(
    blueprint: IsolatedHost, host: IsolatedHost, hook: Callable[[Response], Response], does: str
) -> None:
    for each_host in (blueprint, host):
        each_host.app.after_request(hook)
        each_host.mount()
    advice = f"skip requests with request.blueprint == 'provisioning' in it, or {ISOLATE}"
    assert read_check(blueprint, "answers") == ("fail", f"{HERE}.{hook.__name__} {does}", advice)
    assert read_check(host, "answers") == SPARED


def test_hook_that_adds_a_header_is_ok(blueprint: IsolatedHost) -> None:
    blueprint.app.before_request(lambda: setattr(g, "trace", "t-1"))

    @blueprint.app.after_request
    def trace(response: Response) -> Response:
        response.headers["X-Trace"] = response.headers["X-Request-ID"] = g.trace
        response.headers["Cache-Control"] = "no-store, private"
        return response

    blueprint.mount()
    name = f"{HERE}.{trace.__qualname__}"
    assert read_check(blueprint, "answers") == (
        "ok",
        f"{name}: called after a request, and the response stays as it is",
        "",
    )


def test_answers_are_not_checked_if_hooks_block_requests(blueprint: IsolatedHost) -> None:
    blueprint.app.before_request(forbids)
    blueprint.app.after_request(stumble)
    blueprint.mount()
    assert read_check(blueprint, "answers") == ("ok", "not checked: see the line `hooks`", "")


def test_error_handlers_and_json_provider_are_not_reported(blueprint: IsolatedHost) -> None:
    blueprint.app.register_error_handler(Exception, lambda error: redirect("/oops"))
    blueprint.app.json_provider_class = object  # type: ignore[assignment]
    blueprint.app.json.dumps = lambda *_arguments, **_options: "nonsense"  # type: ignore[method-assign]
    blueprint.mount()
    result = run_command(blueprint.app, "doctor")
    assert {line.split()[0] for line in result.out.splitlines()} == {"ok"}


def remember(response: Any) -> Any:
    """A hook that writes to the session."""
    session["seen"] = True
    return response


def cookies(response: Any) -> Any:
    """A hook that sets a cookie in a function of its own."""

    def inner() -> None:
        response.set_cookie("seen", "1")

    inner()
    return response


def sign(response: Any) -> Any:
    """A hook that touches no session."""
    response.headers["X-Host"] = "ours"
    return response


def pull(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """A preprocessor that reads the session."""
    session.get("lang")


class Recorder:
    """A hook that is an object."""

    def __call__(self, response: Any) -> Any:
        return remember(session and response)


def wrap(hook: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator of the host's."""

    @functools.wraps(hook)
    def around(*arguments: Any) -> Any:
        return hook(*arguments)

    return around


def compress(response: Any) -> Any:
    """Stands for Flask-Compress's hook, by whose name it is known."""
    return response


compress.__module__, compress.__qualname__ = "flask_compress.flask_compress", "Compress.after_request"


@pytest.mark.parametrize("compressed", [False, True])
def test_compression(blueprint: IsolatedHost, host: IsolatedHost, compressed: bool) -> None:
    for each_host in (blueprint, host):
        if compressed:
            each_host.app.after_request(compress)
        each_host.mount()
    detail = "Flask-Compress compresses the API's responses, even secrets, and changes the ETags that If-Match needs"
    warning = ("warn", detail, f"let the proxy in front compress the API, or {ISOLATE}")
    assert read_check(blueprint, "compression") == (warning if compressed else ("ok", "no Flask-Compress", ""))
    assert read_check(host, "compression") == SPARED


def test_hooks_that_touch_sessions(blueprint: IsolatedHost, host: IsolatedHost) -> None:
    for each_host in (blueprint, host):
        each_host.app.url_value_preprocessor(pull)
        for hook in (sign, remember, cookies, Recorder(), functools.partial(remember), wrap(remember), len):
            each_host.app.after_request(hook)
        each_host.mount()
    names = ", ".join(f"{HERE}.{name}" for name in ("pull", "remember", "cookies", "Recorder"))
    assert read_check(blueprint, "sessions") == (
        "warn",
        f"{names}, functools.partial, {HERE}.remember may set cookies on the API's responses",
        ISOLATE,
    )
    assert read_check(host, "sessions") == SPARED


# Tokens


def accept_any_user(_header: dict[str, Any], _claims: dict[str, Any]) -> None:
    """A user lookup of the host's."""


def test_a_user_lookup_of_the_hosts(blueprint: IsolatedHost, host: IsolatedHost) -> None:
    for each_host in (blueprint, host):
        JWTManager(each_host.app).user_lookup_loader(accept_any_user)
        each_host.mount()
    detail = f"{HERE}.accept_any_user is called for every token, and finds no user for the sub 'provisioning-doctor'"
    advice = f"{ISOLATE}, or let it accept the `sub` of partners and give one with --subject"
    assert read_check(blueprint, "jwt-users") == ("fail", detail, advice)
    assert run_command(blueprint.app, "doctor").status == 1
    assert read_check(host, "jwt-users") == ("ok", f"{HERE}.accept_any_user is not called by the isolated mount", "")


def test_a_user_lookup_that_fails_or_knows_a_partner(blueprint: IsolatedHost) -> None:
    users = {7: "crm"}
    JWTManager(blueprint.app).user_lookup_loader(lambda _header, claims: users[int(claims["sub"])])
    blueprint.mount()
    status, detail, _ = read_check(blueprint, "jwt-users")
    assert status == "fail"
    assert "fails (ValueError) for the sub 'provisioning-doctor'" in detail
    assert "finds a user for the sub '7'" in run_command(blueprint.app, "doctor", "--subject", "7").out


def test_source_of_jwt_settings_is_reported(make: Make, host: IsolatedHost) -> None:
    host.mount()
    own = make(PROVISIONING_JWT_SECRET_KEY=OWN)
    JWTManager(own.app).user_lookup_loader(accept_any_user)
    own.mount()
    assert read_check(host, "jwt") == ("ok", "the app has no JWTManager; the isolated mount reads JWT_* itself", "")
    assert read_check(own, "jwt") == ("ok", "PROVISIONING_JWT_* apply; JWT_* and the app's JWTManager are not used", "")
    assert read_check(own, "jwt-users") == ("ok", "no user_lookup_loader", "")
    assert read_check(own, "jwt-key") == ("ok", "PROVISIONING_JWT_SECRET_KEY, 50 bytes", "")
    assert read_check(own, "jwt-probe")[0] == "ok"


def test_issuers_are_asked_for_their_keys(make: Make) -> None:
    with serve_provider("first", "second") as provider:
        issuer = {"jwks": provider.jwks, "audience": "provisioning"}
        host = make(PROVISIONING_ISSUERS={"https://id.example.com": issuer}, JWT_SECRET_KEY=None)
        host.mount()
        assert read_check(host, "issuers") == ("ok", "https://id.example.com: 2 keys", "")
        assert read_check(host, "jwt-key") == (
            "ok",
            "JWT_SECRET_KEY is not set: only tokens of PROVISIONING_ISSUERS are accepted",
            "",
        )
        assert read_check(host, "jwt-probe") == ("ok", "this app signs no tokens", "")
        provider.status = 404
        status, detail, advice = read_check(host, "issuers")
        assert (status, advice) == (
            "fail",
            "correct `jwks`, or let this machine reach it: without keys, tokens of the issuer are refused",
        )
        assert detail.startswith("the keys of https://id.example.com cannot be fetched: PyJWKClientConnectionError: ")
        provider.status, provider.keys = 200, []
        assert read_check(host, "issuers")[1] == "https://id.example.com publishes no public key for signatures"


def test_an_issuer_whose_keys_come_without_tls_is_warned_of(make: Make) -> None:
    with serve_provider("first") as provider:
        jwks = provider.jwks.replace("127.0.0.1", "0.0.0.0")  # this machine, by an address that is not loopback
        host = make(PROVISIONING_ISSUERS={"https://id.example.com": {"jwks": jwks, "audience": "provisioning"}})
        host.mount()
        assert read_check(host, "issuers") == (
            "warn",
            f"keys are fetched without TLS: {jwks}",
            "use https outside a trusted network",
        )


def test_the_keys_of_an_issuer_can_be_in_a_file(make: Make, tmp_path: Path) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": [make_jwk("first")]}))
    host = make(PROVISIONING_ISSUERS={"https://id.example.com": {"jwks": str(keys), "audience": "provisioning"}})
    host.mount()
    assert read_check(host, "issuers") == ("ok", "https://id.example.com: 1 key", "")


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_faults_of_separate_jwt_settings_name_the_keys(make: Make) -> None:
    short = make(PROVISIONING_JWT_SECRET_KEY="short")
    unknown = make(PROVISIONING_JWT_SECRET_KEY=OWN, PROVISIONING_JWT_DECODE_ALGORITHMS=["HS265"])
    unsigned = make(PROVISIONING_JWT_SECRET_KEY=OWN, PROVISIONING_JWT_DECODE_ALGORITHMS=["none"])
    for each_host in (short, unknown, unsigned):
        each_host.mount()
    assert read_check(short, "jwt-key")[:2] == ("fail", "PROVISIONING_JWT_SECRET_KEY has 5 bytes, HS256 needs 32")
    assert read_check(unknown, "jwt-algorithms") == (
        "fail",
        "there is no HS265",
        "correct PROVISIONING_JWT_ALGORITHM and PROVISIONING_JWT_DECODE_ALGORITHMS",
    )
    assert read_check(unsigned, "jwt-algorithms")[2] == "remove none from PROVISIONING_JWT_DECODE_ALGORITHMS"


def test_settings_of_its_own_are_nothing_to_a_blueprint(make: Make) -> None:
    host = make(PROVISIONING_MOUNT="blueprint", PROVISIONING_JWT_SECRET_KEY=OWN)
    host.mount()
    assert read_check(host, "configuration") == (
        "warn",
        "PROVISIONING_JWT_SECRET_KEY: no effect on a mount that is a blueprint",
        f"{ISOLATE}, or use JWT_*",
    )


def test_a_key_of_the_mounts_own_is_never_printed(make: Make) -> None:
    host = make(PROVISIONING_JWT_SECRET_KEY=OWN)
    host.mount()
    for arguments in ([], ["--json"]):
        result = run_command(host.app, "doctor", *arguments)
        assert OWN not in result.out + result.err


# Places


def test_earlier_middleware_is_reported(blueprint: IsolatedHost, host: IsolatedHost) -> None:
    for each_host in (blueprint, host):
        each_host.app.wsgi_app = ProxyFix(each_host.app.wsgi_app)  # type: ignore[method-assign]
        each_host.mount()
    detail = (
        "werkzeug.middleware.proxy_fix.ProxyFix was added before init_app: requests to the API do not pass through it"
    )
    advice = "wrap app.wsgi_app after provisioning.init_app(app)"
    well = ("ok", "every wrapper of app.wsgi_app also wraps the API", "")
    assert read_check(blueprint, "middleware") == well
    assert read_check(host, "middleware") == ("warn", detail, advice)


def test_later_middleware_is_ok(host: IsolatedHost) -> None:
    host.mount_another("eu", url_prefix="/eu")
    host.mount()
    host.app.wsgi_app = ProxyFix(host.app.wsgi_app)  # type: ignore[method-assign]
    assert read_check(host, "middleware") == ("ok", "every wrapper of app.wsgi_app also wraps the API", "")


def route(app: Flask, path: str, method: str = "GET") -> None:
    """Give the host a route of its own below the prefix."""
    app.add_url_rule(f"{PREFIX}{path}", path, lambda **_values: "theirs", methods=[method])


def test_routes_beside_ours_are_counted(blueprint: IsolatedHost, host: IsolatedHost) -> None:
    for each_host in (blueprint, host):
        for path in ("/report", "/tenants/<int:number>/workspaces"):
            route(each_host.app, path)
        route(each_host.app, "/tenants/<tenant>", "LINK")
        each_host.mount()
        assert read_check(each_host, "routes") == (
            "ok",
            "3 routes of the host below /api/provisioning, and none overlaps with ours",
            "",
        )


def test_a_route_in_our_place_fails(blueprint: IsolatedHost, host: IsolatedHost) -> None:
    for each_host in (blueprint, host):
        route(each_host.app, "/tenants/<int:number>")
        route(each_host.app, "/health")
        each_host.mount()
    both, advice = f"{PREFIX}/tenants/<int:number>, {PREFIX}/health", "move it, or set PROVISIONING_URL_PREFIX"
    assert read_check(blueprint, "routes") == ("fail", f"the host's {both} may handle requests to the API", advice)
    assert read_check(host, "routes") == ("fail", f"the host's {both} is hidden by the API", advice)


def test_mount_below_the_prefix_is_not_a_host_route(make: Make) -> None:
    for how in ("blueprint", "isolated"):
        host = make(PROVISIONING_MOUNT=how)
        host.mount()
        host.mount_another("eu", url_prefix=f"{PREFIX}/eu", mount="blueprint")
        assert read_check(host, "routes") == ("ok", "no route of the host below /api/provisioning", "")


# Tables


def test_foreign_table_with_our_prefix_is_reported_and_no_difference(host: IsolatedHost) -> None:
    host.mount()
    host.mount_another("provisioning_eu", url_prefix="/eu")
    with get_engine(host.app).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE provisioning_jobs (id INTEGER)")
    assert read_check(host, "tables") == (
        "warn",
        "provisioning_jobs: named like our tables, but not ours",
        "set PROVISIONING_TABLE_PREFIX to another prefix before our tables are created",
    )
    assert read_check(host, "migrations")[0] == "ok"
    assert run_command(host.app, "db", "check").status == 0


@pytest.mark.without_tables
def test_a_table_that_has_our_name_already_fails(make: Make) -> None:
    host = make(PROVISIONING_AUTO_MIGRATE=False)
    host.mount()
    with get_engine(host.app).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE provisioning_tenants (id INTEGER)")
    assert read_check(host, "tables") == (
        "fail",
        "provisioning_tenants: exist already, and are not ours",
        "set PROVISIONING_TABLE_PREFIX to another prefix before our tables are created",
    )


NO_EXPORT = "workspaces: no export includes a tenant's rows"


def add_rows_of_tenants(host: IsolatedHost) -> None:
    """Create a table of the host's with a column that names a tenant, and one without."""
    with get_engine(host.app).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE workspaces (id INTEGER, tenant_id CHAR(36))")
        connection.exec_driver_sql("CREATE TABLE colours (id INTEGER)")


def test_tenant_rows_without_removal_or_export_are_reported(host: IsolatedHost) -> None:
    host.mount()
    assert read_check(host, "tenant-rows")[0] == "ok"
    add_rows_of_tenants(host)
    assert read_check(host, "tenant-rows") == (
        "warn",
        f"workspaces: no purge hook or deprovisioning step removes a purged tenant's rows; {NO_EXPORT}",
        'register provisioning.hook("tenant.purge") and provisioning.export(…), if they are rows of the API\'s tenants',
    )


def test_removed_and_exported_tenant_rows_are_ok(make: Make) -> None:
    host = make()
    host.provisioning.hook("tenant.purge", name="remove")(lambda tenant: None)
    host.mount()
    add_rows_of_tenants(host)
    assert read_check(host, "tenant-rows")[:2] == ("warn", NO_EXPORT)

    other = make()
    other.provisioning.hook("tenant.purge", name="remove")(lambda tenant: None)
    other.provisioning.archive(lambda tenant, stream: "kept")
    other.provisioning.export("workspaces")(lambda tenant: iter(()))
    other.mount()
    assert read_check(other, "tenant-rows") == (
        "ok",
        "workspaces: tenants' rows are removed and exported",
        "",
    )
