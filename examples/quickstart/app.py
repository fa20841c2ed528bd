"""A small host app with the provisioning API mounted in it.

Every `FLASK_*` environment variable is configuration: `FLASK_PROVISIONING_DATABASE_URL`, `FLASK_JWT_SECRET_KEY`,
`FLASK_PROVISIONING_LICENSE_FILE` … Defaults are an SQLite file, a secret and the mails that it would send, in
the folder `instance` beside this file, and a demo licence.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from flask import Flask, current_app
from markupsafe import escape

from flask_tenant_provisioning import Invitation, InvitationRefused, InvitedAdmin, TenantProvisioning
from flask_tenant_provisioning.licensing import vendor

INSTANCE = Path(__file__).resolve().parent / "instance"
PAGE = "<!doctype html><title>{0}</title><h1>{0}</h1><p>{1}</p>"
FORM = "{0}, you are invited.<form method=post><button>Accept</button></form>"
WELCOME = "The host's own page. <a href='/api/provisioning/docs'>The partners' API</a> is mounted beside it."

provisioning = TenantProvisioning()


@provisioning.invite()
def send_invitation(admin: InvitedAdmin, invitation: Invitation) -> None:
    """Write the mail into a folder; an app would send it."""
    folder = Path(current_app.config["MAIL_FOLDER"])
    folder.mkdir(parents=True, exist_ok=True)
    text = f"To: {admin.email}\n\n{invitation.tenant['client_name']} is ready: {invitation.link}\n"
    (folder / f"{invitation.id}.txt").write_text(text)


def create_app() -> Flask:
    """Make the host: a page, a sign-up page and a 404 page of its own, and the partners' API beside them."""
    app = Flask(__name__, instance_path=str(INSTANCE))
    app.config["PROVISIONING_AUTO_MIGRATE"] = True
    app.config["PROVISIONING_INVITATION_URL"] = "http://127.0.0.1:5000/welcome/{token}"
    app.config["MAIL_FOLDER"] = str(INSTANCE / "mail")
    app.config.from_prefixed_env()
    if not app.config.get("JWT_SECRET_KEY"):
        app.config["JWT_SECRET_KEY"] = load_or_create_secret(INSTANCE / "jwt-secret")
    if not (app.config.get("PROVISIONING_LICENSE_FILE") or app.config.get("PROVISIONING_LICENSE")):
        app.config.update(make_demo_license())

    provisioning.init_app(app)

    @app.get("/")
    def show_home() -> str:
        return PAGE.format("Example Cloud", WELCOME)

    # A program that looks at the links of a mail sends GET, which must not accept.
    @app.get("/welcome/<token>")
    def show_invitation(token: str) -> str | tuple[str, int]:
        try:
            invitation = provisioning.find_invitation(token)
        except InvitationRefused as refusal:
            return PAGE.format("Not valid", refusal), 410
        return PAGE.format("Welcome", FORM.format(escape(invitation.admin.name or invitation.admin.email)))

    @app.post("/welcome/<token>")
    def accept_invitation(token: str) -> str | tuple[str, int]:
        try:
            invitation = provisioning.accept_invitation(token)  # an app adds its user here
        except InvitationRefused as refusal:
            return PAGE.format("Not valid", refusal), 410
        return PAGE.format("Welcome", f"You administer {escape(invitation.tenant['client_name'])} now.")

    @app.errorhandler(404)
    def not_found(error: Exception) -> tuple[str, int]:
        return PAGE.format("Nothing here", "The host's own 404 page."), 404

    return app


def load_or_create_secret(path: Path) -> str:
    """Return the secret in `path`; the first call creates it, readable by this user alone.

    It is stored so that the server accepts a token that `flask provisioning token` signs in another process.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:  # created with mode 0600
            file.write(secrets.token_hex(32))
            file.flush()
            with contextlib.suppress(FileExistsError):
                os.link(file.name, path)
    return path.read_text()


def make_demo_license() -> dict[str, object]:
    """Sign a licence with a key pair that exists as long as this process."""
    pair = vendor.keygen("quickstart")
    key = vendor.private_key(pair.private_pem)
    return {
        "PROVISIONING_LICENSE": vendor.issue(key, pair.kid, customer="Quickstart"),
        "PROVISIONING_LICENSE_PUBLIC_KEYS": {pair.kid: pair.public},
    }
