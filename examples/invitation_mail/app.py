"""A host that sends invitations by mail, in the language of the person, and lets that person sign up."""

from __future__ import annotations

from typing import Any

from flask import Flask, redirect, render_template_string, request, url_for
from flask.typing import ResponseReturnValue
from flask_mailman import EmailMessage, Mail
from flask_sqlalchemy import SQLAlchemy
from werkzeug.security import generate_password_hash

from flask_tenant_provisioning import Invitation, InvitationRefused, InvitedAdmin, TenantProvisioning

db = SQLAlchemy()
mail = Mail()
provisioning = TenantProvisioning()
TEXTS = {
    "en": ("Your access to {tenant}", "Hello {name},\n\nchoose your password: {link}\n"),
    "pt": ("Seu acesso a {tenant}", "Olá {name},\n\nescolha sua senha: {link}\n"),
}
FORM = """<!doctype html>
<meta name="referrer" content="no-referrer">
<title>Welcome</title>
<form method="post">
  <p>{{ invitation.tenant.client_name }}: {{ invitation.admin.email }}</p>
  <label>Password <input type="password" name="password" minlength="12" required></label>
  <button>Sign up</button>
</form>"""


class User(db.Model):  # type: ignore[name-defined, misc]
    """A user of one tenant."""

    id = db.Column(db.Integer, primary_key=True)
    email = db.Column(db.String(254), nullable=False)
    tenant_id = db.Column(db.String(36), nullable=False)
    password = db.Column(db.String(255), nullable=False)
    __table_args__ = (db.UniqueConstraint("tenant_id", "email"),)


@provisioning.invite(timeout=30)
def send_invitation(tenant: dict[str, Any], admin: InvitedAdmin, invitation: Invitation) -> None:
    """Send the mail. Each attempt has the same Message-ID, by which mailboxes recognise a second one."""
    language = (admin.locale or "en").partition("-")[0].lower()
    subject, body = TEXTS.get(language, TEXTS["en"])
    words = {"tenant": tenant["client_name"], "name": admin.name or admin.email, "link": invitation.link}
    headers = {"Message-ID": f"<{invitation.idempotency_key.replace(':', '.')}@app.example.com>"}
    subject = " ".join(subject.format(**words).split())  # a header is one line, whatever a tenant is called
    EmailMessage(subject, body.format(**words), to=[admin.email], headers=headers).send()


def welcome(token: str) -> ResponseReturnValue:
    """Show the form, and by POST accept the invitation and add the user in one transaction."""
    try:
        if request.method == "GET":
            return render_template_string(FORM, invitation=provisioning.find_invitation(token))
        invitation = provisioning.accept_invitation(token)
    except InvitationRefused as refusal:
        db.session.rollback()
        return str(refusal), 410
    password = generate_password_hash(request.form["password"])
    tenant_id = invitation.tenant["tenant"]
    db.session.add(User(email=invitation.admin.email, tenant_id=tenant_id, password=password))
    db.session.commit()
    return redirect(url_for("users"))


def list_users() -> ResponseReturnValue:
    """List the addresses of all users."""
    return list(db.session.scalars(db.select(User.email).order_by(User.email)))


def create_app() -> Flask:
    """Make the app."""
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///mail.db"
    app.config["MAIL_BACKEND"] = "console"
    app.config["MAIL_DEFAULT_SENDER"] = "welcome@app.example.com"
    app.config["PROVISIONING_INVITATION_URL"] = "http://127.0.0.1:5000/welcome/{token}"
    app.config["PROVISIONING_AUTO_MIGRATE"] = True
    app.config.from_prefixed_env()
    db.init_app(app)
    mail.init_app(app)
    provisioning.init_app(app, db)
    app.add_url_rule("/welcome/<token>", view_func=welcome, methods=["GET", "POST"])
    app.add_url_rule("/users", "users", list_users)
    with app.app_context():
        db.create_all()
    return app
