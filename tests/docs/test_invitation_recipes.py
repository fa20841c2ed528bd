"""The recipes for invitations: a person is invited, signs up once, and is logged in."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning.cli import provisioning as command_group
from flask_tenant_provisioning.workers.worker import make_worker
from tests.support import hosts
from tests.support.callers import Caller
from tests.support.hosts import get_mount, make_config
from tests.support.invitations import ADMIN
from tests.support.snippets import DOCS, ROOT, find_snippets

pytestmark = pytest.mark.one_database("the recipes name their own database")


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Any]]:
    """Loads a module from its source, as in a folder of its own and configured by its environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name, value in make_config().items():
        monkeypatch.setenv(f"FLASK_{name}", value if isinstance(value, str) else json.dumps(value))
    apps: list[Flask] = []

    def load_module(name: str, source: str) -> Any:
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
        module: Any = importlib.import_module(name)
        monkeypatch.delitem(sys.modules, name)
        make = module.create_app

        def create_app() -> Flask:
            apps.append(make())
            return apps[-1]

        module.create_app = create_app
        return module

    yield load_module
    for app in apps:
        hosts.get_engine(app).dispose()


def invite(app: Flask) -> tuple[Caller, dict[str, Any]]:
    """Create a tenant with an administrator and let workers send the invitation."""
    upgraded = app.test_cli_runner().invoke(command_group, ["db", "upgrade"])
    assert upgraded.exit_code == 0, upgraded.output
    partner = Caller(app)
    tenant = partner.create(admin=ADMIN)
    make_worker(get_mount(app)).drain()
    return partner, tenant


def read_state(partner: Caller, tenant: dict[str, Any]) -> str:
    (invitation,) = partner("GET", f"/tenants/{tenant['tenant']}/invitations").get_json()["items"]
    return str(invitation["state"])


@pytest.mark.parametrize("name", ["login_app", "security_app"])
def test_invited_person_signs_up_once_and_is_logged_in(name: str, load: Callable[[str, str], Any]) -> None:
    pytest.importorskip("flask_security" if name == "security_app" else "flask_login")
    snippet = next(one for one in find_snippets("python", DOCS / "invitations.md") if one.file == f"{name}.py")
    module = load(name, snippet.code)
    app = module.create_app()
    partner, tenant = invite(app)
    (mail,) = module.outbox
    assert mail.startswith(f"To: {ADMIN['email']}")
    path = mail[mail.index("/welcome/") :]

    browser = app.test_client()
    accepted = browser.post(path, data={"password": "correct horse battery"})
    assert (accepted.status_code, accepted.get_json()) == (201, {"user": ADMIN["email"]})
    with browser.session_transaction() as session:
        assert session["_user_id"]
    assert read_state(partner, tenant) == "accepted"
    again = app.test_client().post(path, data={"password": "correct horse battery"})
    assert (again.status_code, again.get_json()["error"]) == (410, "accepted")
    with app.app_context():
        user = module.db.session.scalars(module.db.select(getattr(module, "User", None) or module.db.User)).one()
        assert (user.email, user.tenant_id) == (ADMIN["email"], tenant["tenant"])
        assert "correct horse" not in user.password


def test_form_of_the_login_recipe_shows_whom_it_is_for(load: Callable[[str, str], Any]) -> None:
    snippet = next(one for one in find_snippets("python", DOCS / "invitations.md") if one.file == "login_app.py")
    module = load("login_app", snippet.code)
    app = module.create_app()
    _, tenant = invite(app)
    path = module.outbox[0][module.outbox[0].index("/welcome/") :]
    shown = app.test_client().get(path)
    assert shown.get_json() == {"tenant": tenant["client_name"], "email": ADMIN["email"]}
    wrong = app.test_client().get("/welcome/wrong")
    assert (wrong.status_code, wrong.get_json()["error"]) == (410, "unknown")


def test_example_sends_the_mail_in_the_persons_language(
    load: Callable[[str, str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("flask_mailman")
    monkeypatch.setenv("FLASK_MAIL_BACKEND", "locmem")
    module = load("mail_app", (ROOT / "examples/invitation_mail/app.py").read_text(encoding="utf-8"))
    app = module.create_app()
    partner, tenant = invite(app)
    assert read_state(partner, tenant) == "sent"
    (message,) = app.extensions["mailman"].outbox
    assert (message.to, message.subject) == ([ADMIN["email"]], f"Seu acesso a {tenant['client_name']}")
    path = message.body[message.body.index("/welcome/") :].strip()
    browser = app.test_client()
    assert ADMIN["email"] in browser.get(path).text
    assert browser.post(path, data={"password": "correct horse battery"}).location == "/users"
    assert browser.get("/users").get_json() == [ADMIN["email"]]
    assert browser.post(path, data={"password": "another horse"}).status_code == 410
    assert read_state(partner, tenant) == "accepted"
