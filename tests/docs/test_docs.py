"""The documentation holds: its snippets run, its links lead somewhere, its names exist, its reference is complete."""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask
from flask_jwt_extended import create_access_token
from flask_wtf import CSRFProtect
from jwt.algorithms import RSAAlgorithm
from sqlalchemy import make_url, text
from werkzeug.test import TestResponse

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.cli import provisioning as command_group
from flask_tenant_provisioning.errors import iter_problem_classes
from flask_tenant_provisioning.routes import ROUTES
from tests.support import hosts
from tests.support.callers import EXAMPLE
from tests.support.database import postgresql
from tests.support.hosts import make_config
from tests.support.isolated_rows import open_role
from tests.support.shell_snippets import run_script
from tests.support.snippets import (
    DOCS,
    PAGES,
    ROOT,
    Snippet,
    find_snippets,
    load_reference_extension,
    read_built_page,
    write_files,
)

APPS = [snippet for snippet in find_snippets("python") if snippet.file]
#: Apps that need more than an empty folder; each has a test of its own.
PARTICULAR = ("oidc_app.py", "asymmetric_app.py", "desk.py", "receiver.py", "tenant_rows.py")
REFERENCE = sorted(DOCS.glob("http-*.md"))
PARTS = {
    page: [snippet for snippet in find_snippets("python", page) if snippet.runs and not snippet.file] for page in PAGES
}
#: The tutorial has a test of its own.
SCRIPTS = {
    page: [snippet for snippet in find_snippets("sh", page) if snippet.runs]
    for page in PAGES
    if page.name != "tutorial.md"
}
NEEDED_TO_BUILD = ("sphinx", "myst_parser", "furo", "sphinx_copybutton", "sphinx_design")
ISSUER = "https://id.example.com/realms/partners"


def name_page(page: Path) -> str:
    return str(page.relative_to(ROOT))


pages = pytest.mark.parametrize("page", PAGES, ids=name_page)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and a host configured by its environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in os.environ if name.startswith("FLASK_")]:
        monkeypatch.delenv(name)
    for name, value in make_config().items():
        monkeypatch.setenv(f"FLASK_{name}", value if isinstance(value, str) else json.dumps(value))
    monkeypatch.setenv("FLASK_CELERY__broker_url", "memory://")
    return tmp_path


@pytest.fixture
def make_app(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Snippet], Flask]]:
    """Makes the app that a snippet shows."""
    apps: list[Flask] = []

    def make(snippet: Snippet) -> Flask:
        write_files(snippet.page, folder)
        name = str(snippet.file).removesuffix(".py")
        monkeypatch.delitem(sys.modules, name, raising=False)
        module = importlib.import_module(name)
        monkeypatch.delitem(sys.modules, name)
        apps.append(module.create_app())
        return apps[-1]

    yield make
    for app in apps:
        for name in app.extensions.get("tenant_provisioning", {}):
            hosts.get_engine(app, name).dispose()


def find_snippet(file: str) -> Snippet:
    """The app in this file."""
    return next(snippet for snippet in APPS if snippet.file == file)


def provision(app: Flask, token: str, prefix: str = hosts.PREFIX, **body: Any) -> TestResponse:
    """Ask for a tenant."""
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client().post(f"{prefix}/tenants", json={**EXAMPLE, **body}, headers=headers)


def sign_token(app: Flask) -> str:
    """A partner's token, signed with the host's own secret."""
    with hosts.signing_context(app):
        claims = {"roles": ["partner-admin"], "partner_id": "acme"}
        return str(create_access_token("someone", additional_claims=claims))


@pytest.mark.parametrize(
    "snippet", [snippet for snippet in APPS if snippet.file not in PARTICULAR], ids=lambda snippet: snippet.file
)
def test_an_app_of_the_guides_provisions_a_tenant(snippet: Snippet, make_app: Callable[[Snippet], Flask]) -> None:
    for module in re.findall(r"^from (flask_\w+) import", snippet.code, re.MULTILINE):
        pytest.importorskip(module)
    app = make_app(snippet)
    for name, mount in app.extensions["tenant_provisioning"].items():
        upgraded = app.test_cli_runner().invoke(command_group, ["db", "upgrade", "--mount", name])
        assert upgraded.exit_code == 0, upgraded.output
        response = provision(app, sign_token(app), mount.config.url_prefix)
        assert response.status_code == 201, response.text


def test_the_view_of_the_host_guide_is_guarded(make_app: Callable[[Snippet], Flask]) -> None:
    app = make_app(find_snippet("views_app.py"))
    client = app.test_client()
    assert client.get("/reports").status_code == 401
    response = client.get("/reports", headers={"Authorization": f"Bearer {sign_token(app)}"})
    assert response.get_json() == {"partner": "acme"}


def test_the_host_with_celery_runs_its_step_in_its_own_celery_app(
    make_app: Callable[[Snippet], Flask], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLASK_PROVISIONING_ENGINE", "celery")
    monkeypatch.setenv("FLASK_CELERY__task_always_eager", "true")
    app = make_app(find_snippet("celery_host.py"))
    tenant = provision(app, sign_token(app))
    expected = f"welcome, Example Corp {tenant.get_json()['tenant']}:provisioning:welcome:1\n"
    assert capsys.readouterr().out == expected
    app.extensions["tenant_provisioning"]["provisioning"].engine.stop(10)
    app.extensions["celery"].close()


def test_pyjwt_example_issues_a_token_that_the_api_accepts(folder: Path) -> None:
    app = Flask("host")
    app.config.update(make_config())
    TenantProvisioning(app, f"sqlite:///{folder}/provisioning.sqlite3")
    names: dict[str, Any] = {"app": app}
    exec(next(part.code for part in PARTS[DOCS / "tokens.md"] if "issue_token" in part.code), names)
    assert provision(app, names["token"]).status_code == 201
    assert provision(app, names["issue_token"]("another key, 32 bytes or more, yes", "a", "b", [])).status_code == 401


def test_issuer_example_gives_a_program_a_token_for_its_secret(make_app: Callable[[Snippet], Flask]) -> None:
    app = make_app(find_snippet("issuer_app.py"))
    client = app.test_client()
    answer = client.post("/oauth/token", auth=("acme-crm", "s3cret"))
    assert (answer.status_code, answer.get_json()["expires_in"]) == (200, 900)
    assert provision(app, answer.get_json()["access_token"]).status_code == 201
    assert client.post("/oauth/token", auth=("acme-crm", "wrong")).status_code == 401
    assert client.post("/oauth/token", auth=("unknown", "")).status_code == 401
    assert client.post("/oauth/token").status_code == 401


def test_asymmetric_example_verifies_with_the_public_key(
    folder: Path, make_app: Callable[[Snippet], Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLASK_JWT_SECRET_KEY")
    commands = next(part.code for part in find_snippets("sh", DOCS / "tokens.md") if part.code.startswith("openssl"))
    assert run_script(commands, folder).returncode == 0
    app = make_app(find_snippet("asymmetric_app.py"))
    token = sign_token(app)
    assert jwt.get_unverified_header(token)["alg"] == "ES256"
    assert provision(app, token).status_code == 201


def test_rotation_example_accepts_tokens_of_both_keys_until_one_is_removed(
    make_app: Callable[[Snippet], Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(find_snippet("rotation_app.py"))
    new = sign_token(app)
    monkeypatch.setenv("FLASK_SIGNING_KEY_ID", "2026-a")
    old = sign_token(make_app(find_snippet("rotation_app.py")))
    statuses = [provision(app, token, email=f"{n}@example.com").status_code for n, token in enumerate((new, old))]
    assert [jwt.get_unverified_header(token)["kid"] for token in (new, old)] == ["2026-b", "2026-a"]
    assert statuses == [201, 201]
    del app.config["SIGNING_KEYS"]["2026-a"]
    assert [provision(app, old).status_code, provision(app, new, email="3@example.com").status_code] == [401, 201]


class Provider:
    """An OpenID provider: a key, and a JWKS that tells everybody its public half."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = {**RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True), "kid": "2026-a", "use": "sig"}
        document = json.dumps({"keys": [public]}).encode()

        class Keys(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, *_arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
        self.url = f"http://127.0.0.1:{self.server.server_port}/certs"

    def token(self, *, kid: str = "2026-a", **claims: Any) -> str:
        """A token as Keycloak makes it."""
        usual = {"sub": "someone", "iss": ISSUER, "aud": "provisioning", "exp": time.time() + 60}
        roles = {"partner": "acme", "realm_access": {"roles": ["offline_access", "partner-admin"]}}
        return jwt.encode({**usual, **roles, **claims}, self.key, algorithm="RS256", headers={"kid": kid})


@pytest.fixture
def provider() -> Iterator[Provider]:
    new_provider = Provider()
    thread = threading.Thread(target=new_provider.server.serve_forever)
    thread.start()
    yield new_provider
    new_provider.server.shutdown()
    thread.join()
    new_provider.server.server_close()


def test_oidc_example_enforces_the_documented_claims(
    provider: Provider, make_app: Callable[[Snippet], Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"FLASK_PROVISIONING_ISSUERS__{ISSUER}__jwks", provider.url)
    app = make_app(find_snippet("oidc_app.py"))

    def status(**claims: Any) -> int:
        return provision(app, provider.token(**claims), email=f"{time.time_ns()}@example.com").status_code

    assert status() == 201
    assert status(permissions="tenant:create") == 201
    assert [status(kid="unknown"), status(aud="shop"), status(partner=None), status(partner=7)] == [401] * 4
    useless: list[Any] = [None, {}, {"roles": None}, {"roles": 7}, []]
    for nothing in useless:
        assert status(realm_access=nothing) == 403
    assert status(permissions=None) == 403


@pytest.fixture
def own_loggers() -> Iterator[None]:
    """Takes back what a page sets at the package's loggers: other tests of this process read them."""

    def loggers() -> list[logging.Logger]:
        names = [name for name in logging.root.manager.loggerDict if name.startswith("flask_tenant_provisioning")]
        return [logging.getLogger(name) for name in {"flask_tenant_provisioning", *names}]

    before = {logger: (logger.level, logger.handlers[:], logger.filters[:]) for logger in loggers()}
    yield
    for logger in loggers():
        level, logger.handlers[:], logger.filters[:] = before.get(logger, (logging.NOTSET, [], []))
        logger.setLevel(level)


# The page about the client calls a served host: tests/client/test_page.py.
@pytest.mark.parametrize(
    "page", [page for page, snippets in PARTS.items() if snippets and page.name != "client.md"], ids=name_page
)
@pytest.mark.usefixtures("own_loggers")
def test_the_other_python_blocks_of_a_page_run(page: Path, folder: Path) -> None:
    app, other = Flask("host"), Flask("other")
    app.config.update(make_config())
    other.config.update(make_config())
    db = f"sqlite:///{folder}/provisioning.sqlite3"
    names: dict[str, Any] = {
        "app": app,
        "context": SimpleNamespace(configure=lambda *_arguments, **_options: None),
        "csrf": CSRFProtect(),
        "db": db,
        "provisioning": TenantProvisioning(other, db),
    }
    for snippet in PARTS[page]:
        exec(compile("\n" * snippet.line + snippet.code, str(page), "exec"), names)


def test_the_login_wall_of_the_host_guide_lets_partners_pass(folder: Path) -> None:
    app = Flask("host")
    app.config.update(make_config())
    mounted = TenantProvisioning(app, f"sqlite:///{folder}/provisioning.sqlite3")
    app.add_url_rule("/", "home", lambda: "home")
    wall = next(snippet for snippet in find_snippets("python", DOCS / "hosting.md") if "login_wall" in snippet.code)
    exec(wall.code, {"app": app, "provisioning": mounted})
    assert app.test_client().get("/").status_code == 302
    assert provision(app, sign_token(app)).status_code == 201
    assert app.test_client().get(f"{hosts.PREFIX}/nothing").status_code == 404


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page, snippets in SCRIPTS.items() if snippets], ids=name_page)
def test_the_commands_of_a_page_run(page: Path, folder: Path) -> None:
    script = "\n".join(snippet.code for snippet in SCRIPTS[page])
    if "flask --app migrate_app" in script:
        pytest.importorskip("flask_migrate")
    write_files(page, folder)
    result = run_script(script, folder)
    assert result.returncode == 0, result.stdout + result.stderr
    if page.name == "quickstart.md":
        assert "HTTP/1.1 201 CREATED" in result.stdout
        assert result.stdout.count("Example Corp") == 2
    if page.name == "database.md":
        assert "No changes in schema detected" in result.stdout + result.stderr


@pytest.mark.slow
def test_hooks_example_commands_print_the_documented_output(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if version("flask-sqlalchemy") < "3.1":
        pytest.skip("this example is written for Flask-SQLAlchemy 3.1")
    example = ROOT / "examples/hooks_host"
    shutil.copy(example / "app.py", folder)
    monkeypatch.delenv("FLASK_JWT_SECRET_KEY")
    commands, suite = find_snippets("sh", example / "README.md")
    result = run_script(commands.code, folder)
    assert result.returncode == 0, result.stdout + result.stderr
    responses = [json.loads(line) for line in result.stdout.splitlines() if line.startswith(("{", "["))]
    assert [response.get("code", response.get("status")) for response in responses[:3]] == [
        "no-contract",
        "active",
        "address-taken",
    ]
    assert responses[3] == ["example-corp"]
    assert suite.code == "pytest --provisioning-app=app:create_app\n"


def test_rows_example_keeps_the_rows_of_tenants_apart(
    make_app: Callable[[Snippet], Flask], postgresql_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(postgresql_database)
    with open_role(postgresql_database) as role:
        with postgresql.connect(url) as connection:
            connection.execute(text(f"GRANT ALL ON ALL TABLES IN SCHEMA {postgresql.get_schema(url)} TO {role}"))
        monkeypatch.setenv("FLASK_SQLALCHEMY_DATABASE_URI", str(url.set(username=role)))
        app = make_app(find_snippet("tenant_rows.py"))
        db: Any = app.extensions["sqlalchemy"]
        seen: dict[str, list[str]] = {}
        with app.app_context():
            db.create_all()
        for command in ("apply", "check"):
            assert app.test_cli_runner().invoke(command_group, ["isolation", command]).exit_code == 0
        for email in ("a@example.com", "b@example.com"):
            tenant = provision(app, sign_token(app), email=email).get_json()["tenant"]
            with app.app_context(), TenantProvisioning().tenant_context(tenant):
                db.session.execute(text("INSERT INTO project (tenant_id, name) VALUES (:id, 'first')"), {"id": tenant})
                db.session.commit()
                seen[tenant] = [*db.session.scalars(text("SELECT tenant_id FROM project"))]
        assert seen == {tenant: [tenant] for tenant in seen}
        with app.app_context():
            db.engine.dispose()


@pytest.mark.parametrize("snippet", find_snippets("json"), ids=str)
def test_a_json_block_is_json(snippet: Snippet) -> None:
    json.loads(snippet.code)


@pages
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    text = re.sub(r"PROVISIONING_TEST_\w+", "", page.read_text(encoding="utf-8"))
    assert set(re.findall(r"PROVISIONING_[A-Z0-9]\w*", text)) <= set(load_reference_extension().settings.names())


@pages
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for words in re.findall(r"flask(?: --app \S+)? provisioning ([\w -]*)", text):
        command: click.Command = command_group
        for word in words.split():
            if word.startswith("--"):
                assert word in [option for parameter in command.params for option in parameter.opts], words
            elif isinstance(command, click.Group):
                assert word in command.commands, words
                command = command.commands[word]


@pages
def test_every_internal_link_of_a_page_resolves(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", read_built_page(page)):
        path, _, place = target.partition("#")
        if re.match(r"\w+:", target):
            continue
        assert (page.parent / path).exists(), target
        assert not place or place in places(page.parent / path if path else page) | labels(), target


def places(page: Path) -> set[str]:
    """Return the link targets inside a page: its headings, as MyST and code forges name them."""
    headings = re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", read_built_page(page), flags=re.M | re.S), re.MULTILINE
    )
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def labels() -> set[str]:
    """Return the labels of the generated pages."""
    return {
        label
        for page in DOCS.glob("*.md")
        for label in re.findall(r"^\((\S+)\)=$", read_built_page(page), re.MULTILINE)
    }


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.endpoint)
def test_the_reference_has_every_operation_once(route: Any) -> None:
    heading = f"\n## `{route.method} {route.path_template}`\n"
    assert sum(read_built_page(page).count(heading) for page in REFERENCE) == 1


def test_the_reference_has_every_schema_code_key_and_command() -> None:
    docs = load_reference_extension()
    for name in docs.operations.document()["components"]["schemas"]:
        if docs.operations.is_about_problems(name):
            continue
        assert f"\n## {name}\n" in read_built_page(DOCS / "http-schemas.md")
    for kind in iter_problem_classes():
        assert f"\n## `{kind.code}`\n" in read_built_page(DOCS / "errors.md")
    for key in docs.settings.names():
        assert f"{{confval}} {key}\n" in read_built_page(DOCS / "configuration.md")
    for path, command in docs.commands.commands():
        assert command is command_group or f"# `{path}`\n" in read_built_page(DOCS / "cli.md")


def test_every_page_can_be_reached_and_every_place_is_filled() -> None:
    trees = [tree for page in PAGES for tree in re.findall(r"^```{toctree}\n(.*?)^```$", page.read_text(), re.M | re.S)]
    listed = re.findall(r"^([\w-]+)$", "\n".join(trees), re.MULTILINE)
    assert sorted(listed) == sorted(page.stem for page in DOCS.glob("*.md") if page.stem != "index")
    assert not any("<!-- generated" in read_built_page(page) for page in PAGES)


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    missing = [name for name in NEEDED_TO_BUILD if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the extra 'docs' is not installed: no {', '.join(missing)}")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", str(DOCS), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "api.html").read_text(encoding="utf-8")
    assert 'href="errors.html#problem-tenant-exists"' in page
    assert 'href="configuration.html#confval-PROVISIONING_REQUIRE_IF_MATCH"' in page
