"""Secrets in settings: sealed at rest, never shown, bound to their own row, and sealed again by rekey."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, ValidationError, fields
from sqlalchemy import text, update

from flask_tenant_provisioning.errors import SecretUnavailable
from flask_tenant_provisioning.settings import reaction
from flask_tenant_provisioning.settings.storage import Scope
from tests.support import tenant_settings
from tests.support.assertions import assert_invalid_fields
from tests.support.callers import Caller
from tests.support.commands import run_command
from tests.support.database.rows import fetch_rows, get_storage
from tests.support.hosts import get_engine, get_mount
from tests.support.servers import run_concurrently
from tests.support.tenant_settings import MASK, MakeHost, patch_settings, read_settings, settings_path

OLD, NEW = "the old key of this host", "the new key of this host"
PATH = ("mail", "password")
SEALED = re.compile(r"1\.[0-9a-f]{12}\.[\w=-]+")
SECRETS = ("hunter22-of-the-tenant", "hunter23-of-the-tenant", "hunter24-of-the-partner", "hunter25-too-wrong")


@pytest.fixture
def make(database_url: str) -> Iterator[MakeHost]:
    """Makes hosts with settings on one database."""
    with tenant_settings.open_hosts(database_url) as make:
        yield make


def password(app: Flask, tenant: dict[str, Any]) -> Any:
    """The tenant's password, as the host reads it."""
    with app.app_context():
        return tenant_settings.get_extension(app).settings_for(tenant["tenant"]).mail.password


def dump_database(app: Flask) -> str:
    """All that the database holds, as text."""
    storage, rows = get_storage(app), []
    with get_engine(app).connect() as connection:
        for table in storage.metadata.tables:
            rows += connection.execute(text(f"SELECT * FROM {table}")).fetchall()
    return repr(rows)


def busy(app: Flask) -> tuple[Caller, dict[str, Any]]:
    """A tenant and a partner of whose secrets much has happened."""
    partner, admin = Caller(app, "acme"), Caller(app, roles=["provisioning-admin"])
    tenant = partner.create()
    partner("POST", "/webhooks", json={"url": "https://93.184.215.14/hook"})
    path, key = settings_path(tenant), {"Idempotency-Key": "one"}
    patch_settings(partner, path, {"mail": {"password": SECRETS[0]}}, headers=key)
    patch_settings(partner, path, {"mail": {"password": SECRETS[0]}}, headers=key)
    patch_settings(partner, path, {"mail": {"password": SECRETS[1]}, "look": {"key": {"secret": SECRETS[0]}}})
    patch_settings(admin, "/partners/acme/settings", {"mail": {"password": SECRETS[2]}})
    partner("POST", f"{path}/rollback", json={"version": 1})
    partner("PATCH", path, json={"mail": {"password": SECRETS[3], "daily": "x"}})
    partner("PATCH", path, json={"look": {"colour": "red", "key": {"secret": SECRETS[3]}}})
    partner("GET", f"{path}/history")
    partner("GET", "/events")
    return partner, tenant


def test_no_secret_is_in_the_database_the_log_or_an_answer(make: MakeHost, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    app = make()
    partner, tenant = busy(app)
    assert password(app, tenant) == SECRETS[0]
    paths = (
        settings_path(tenant),
        f"{settings_path(tenant)}/history",
        "/partners/acme/settings",
        "/partners/acme/settings/history",
        "/events",
    )
    seen = [partner("GET", path).text for path in paths]
    for secret in SECRETS:
        assert secret not in dump_database(app)
        assert secret not in caplog.text
        assert not [text for text in seen if secret in text]
    assert all(MASK in text for text in seen)


def test_a_database_file_holds_no_secret(make: MakeHost, database: str) -> None:
    if database != "sqlite":
        pytest.skip("a server keeps its files to itself")
    app = make()
    busy(app)
    file = Path(str(get_engine(app).url.database))
    get_engine(app).dispose()
    content = b"".join(part.read_bytes() for part in file.parent.glob(f"{file.name}*"))
    assert b"settings_updated" in content
    assert not [secret for secret in SECRETS if secret.encode() in content]


def test_errors_do_not_contain_the_secret(make: MakeHost) -> None:
    class Loud(Schema):
        token = fields.String(metadata={"secret": True})
        other = fields.String()

        def load(self, data: Any, **options: Any) -> Any:
            if "token" in data and "bad" in data["token"]:
                raise ValidationError({"token": [f"{data['token']} is bad"], "other": [f"not with {data['token']}"]})
            return super().load(data, **options)

    app = make({"loud": Loud})
    partner = Caller(app)
    response = partner("PUT", settings_path(partner.create()), json={"loud": {"token": "bad-secret", "other": "x"}})
    hidden = ("invalid-field", "Not valid.")
    assert_invalid_fields(response, ("#/loud/other", *hidden), ("#/loud/token", *hidden))


def test_the_digest_of_a_repeatable_request_is_no_help_to_guess_a_secret(make: MakeHost) -> None:
    keys = {"PROVISIONING_ENCRYPTION_KEYS": [OLD]}
    first_app, other = (make(PROVISIONING_SECRET_KEY=f"{name} secret of the host", **keys) for name in ("one", "other"))
    tenant = Caller(first_app, "acme").create()
    for body, number in (({"mail": {"daily": 5}}, 1), ({"mail": {"password": "hunter22", "note": None}}, 2)):
        for app in (first_app, other):
            headers = {"Idempotency-Key": f"{number} {app is first_app}"}
            patch_settings(Caller(app, "acme"), settings_path(tenant), body, headers=headers)
            again = Caller(app, "acme")("PATCH", settings_path(tenant), json=body, headers=headers)
            assert again.headers["Idempotency-Replayed"] == "true"
        same = {
            row["fingerprint"] for row in fetch_rows(first_app, "idempotency") if row["key"].startswith(str(number))
        }
        assert len(same) == number


# The mask.


def test_masked_document_can_be_sent_back(make: MakeHost) -> None:
    app = make()
    partner, admin = Caller(app, "acme"), Caller(app, roles=["provisioning-admin"])
    tenant = partner.create()
    settings = patch_settings(partner, settings_path(tenant), {"mail": {"password": "hunter22", "daily": 5}})
    assert settings["explicit"] == {"mail": {"password": MASK, "daily": 5}}
    assert partner("PUT", settings_path(tenant), json=settings["explicit"]).get_json() == settings
    assert patch_settings(partner, settings_path(tenant), {"mail": {"password": MASK, "daily": 6}})["version"] == 2
    assert password(app, tenant) == "hunter22"
    other = partner.create()
    patch_settings(admin, "/partners/acme/settings", {"mail": {"password": "hunter23"}})
    assert partner("PUT", settings_path(other), json={"mail": {"password": MASK}}).get_json()["explicit"] == {}
    assert password(app, other) == "hunter23"


def test_a_secret_object_is_merged_in_clear(make: MakeHost) -> None:
    app = make()
    partner = Caller(app)
    tenant = partner.create()
    patch_settings(partner, settings_path(tenant), {"look": {"key": {"a": "1", "b": "2"}}})
    patch_settings(partner, settings_path(tenant), {"look": {"key": {"b": None, "c": "3"}}})
    with app.app_context():
        assert tenant_settings.get_extension(app).settings_for(tenant["tenant"]).look.key == {"a": "1", "c": "3"}


# In its own place alone.


def test_secret_copied_to_another_tenant_does_not_open(make: MakeHost, caplog: pytest.LogCaptureFixture) -> None:
    app = make(PROVISIONING_SETTINGS_CACHE_SECONDS=0)
    partner = Caller(app)
    tenant, other = partner.create(), partner.create()
    patch_settings(partner, settings_path(tenant), {"mail": {"password": "hunter22"}})
    patch_settings(partner, settings_path(other), {"mail": {"password": "hunter23", "daily": 5}})
    storage = get_storage(app)
    settings = storage.table("settings")
    (sealed,) = [row["secrets"] for row in fetch_rows(app, "settings", tenant_id=tenant["tenant"])]
    with storage.engine.begin() as connection:
        connection.execute(update(settings).where(settings.c.tenant_id == other["tenant"]).values(secrets=sealed))
    with app.app_context():
        mail = tenant_settings.get_extension(app).settings_for(other["tenant"]).mail
    assert mail.daily == 5
    with pytest.raises(SecretUnavailable, match="The secret 'password'"):
        mail["password"]
    assert read_settings(partner, other)["explicit"] == {"mail": {"password": MASK, "daily": 5}}
    assert caplog.text.count("cannot be opened") == 1
    assert patch_settings(partner, settings_path(other), {"mail": {"daily": 6}})["version"] == 2
    assert fetch_rows(app, "settings", tenant_id=other["tenant"])[0]["secrets"] == sealed
    patch_settings(partner, settings_path(other), {"mail": {"password": "hunter24"}})
    assert password(app, other) == "hunter24"


# A new key.


def test_everything_is_sealed_by_the_new_key_and_the_old_one_can_go(make: MakeHost) -> None:
    partner, tenant = busy(make(PROVISIONING_ENCRYPTION_KEYS=[OLD]))
    both, alone = (make(PROVISIONING_ENCRYPTION_KEYS=keys) for keys in ([NEW, OLD], [NEW]))
    unopened = run_command(alone, "rekey")
    assert (unopened.status, unopened.out) == (
        1, "Re-encrypted: 0 webhooks, 0 settings, 0 versions of settings.\n",
    )  # fmt: skip
    assert f"settings of the tenant {tenant['tenant']}: It was sealed with the key " in unopened.err
    assert "settings of the partner acme: It was sealed with the key " in unopened.err
    assert "Error: The secrets of 7 of them cannot be decrypted." in unopened.err
    assert read_settings(Caller(alone, "acme"), tenant) == read_settings(partner, tenant)
    assert run_command(both, "rekey") == (0, "Re-encrypted: 1 webhooks, 2 settings, 4 versions of settings.\n", "")
    assert run_command(both, "rekey") == (0, "Re-encrypted: 0 webhooks, 0 settings, 0 versions of settings.\n", "")
    assert run_command(alone, "rekey").status == 0
    assert password(alone, tenant) == SECRETS[0]
    back = Caller(alone, "acme")("POST", f"{settings_path(tenant)}/rollback", json={"version": 2})
    assert back.status_code == 200, back.text
    assert password(alone, tenant) == SECRETS[1]


def test_rekey_seals_versions_in_steps(make: MakeHost) -> None:
    partner = Caller(make(PROVISIONING_ENCRYPTION_KEYS=[OLD]), "acme")
    tenant = partner.create()
    for number in range(60):
        patch_settings(partner, settings_path(tenant), {"mail": {"password": f"hunter{number}"}})
    both = make(PROVISIONING_ENCRYPTION_KEYS=[NEW, OLD])
    assert run_command(both, "rekey").out == "Re-encrypted: 0 webhooks, 1 settings, 60 versions of settings.\n"
    texts = [sealed for row in fetch_rows(both, "settings_history") for sealed in SEALED.findall(str(row["secrets"]))]
    assert len(texts) == 59
    assert all(map(get_mount(both).keyring.is_current, texts))
    alone = make(PROVISIONING_ENCRYPTION_KEYS=[NEW], PROVISIONING_SETTINGS_CACHE_SECONDS=0)
    for version in (1, 25, 26, 60):
        assert (
            Caller(alone, "acme")("POST", f"{settings_path(tenant)}/rollback", json={"version": version}).status_code
            == 200
        )
        assert password(alone, tenant) == f"hunter{version - 1}"


def test_rekey_seals_settings_in_batches(make: MakeHost) -> None:
    app = make(PROVISIONING_ENCRYPTION_KEYS=[OLD])
    storage, keyring = get_storage(app), get_mount(app).keyring
    texts = {f"p{n:03}": keyring.seal('"hunter22"', Scope(f"p{n:03}", "").sealing_context(PATH)) for n in range(201)}
    values = [
        {
            "partner_id": partner,
            "tenant_id": "",
            "version": 1,
            "document": "{}",
            "history_bytes": 0,
            "secrets": json.dumps({"mail": {"password": text}}),
            "updated_at": "2025-01-01T00:00:00.000000Z",
        }
        for partner, text in texts.items()
    ]
    with storage.engine.begin() as connection:
        connection.execute(storage.table("settings").insert(), values)
    both = make(PROVISIONING_ENCRYPTION_KEYS=[NEW, OLD])
    assert run_command(both, "rekey").out == "Re-encrypted: 0 webhooks, 201 settings, 0 versions of settings.\n"
    for row in fetch_rows(both, "settings"):
        text = json.loads(row["secrets"])["mail"]["password"]
        assert get_mount(both).keyring.is_current(text)
        assert get_mount(both).keyring.open(text, Scope(row["partner_id"], "").sealing_context(PATH)) == '"hunter22"'


def test_concurrent_write_survives_rekey(make: MakeHost) -> None:
    app = make(PROVISIONING_ENCRYPTION_KEYS=[OLD])
    partner = Caller(app, "acme")
    tenants = [partner.create() for _ in range(4)]
    for tenant in tenants:
        patch_settings(partner, settings_path(tenant), {"mail": {"password": "hunter22"}})
    both = make(PROVISIONING_ENCRYPTION_KEYS=[NEW, OLD])

    def work(number: int) -> Any:
        if number == 4:
            return run_command(both, "rekey").status
        caller = Caller(both, "acme")
        for turn in range(5):
            patch_settings(caller, settings_path(tenants[number]), {"mail": {"password": f"hunter {number} {turn}"}})
        return 0

    assert run_concurrently(5, work) == [0] * 5
    assert [password(both, tenant) for tenant in tenants] == [f"hunter {n} 4" for n in range(4)]
    assert [read_settings(partner, tenant)["version"] for tenant in tenants] == [6] * 4


# What becomes a secret, and what is none any more.


class Open(Schema):
    password = fields.String()
    daily = fields.Integer()


class ClosedSchema(Schema):
    password = fields.String(metadata={"secret": True})
    daily = fields.Integer()


def test_later_declared_secret_is_hidden_and_sealed(make: MakeHost) -> None:
    app = make({"mail": Open})
    partner = Caller(app, "acme")
    tenant = partner.create()
    patch_settings(partner, settings_path(tenant), {"mail": {"password": "hunter22"}})
    later = make({"mail": ClosedSchema})
    partner = Caller(later, "acme")
    assert read_settings(partner, tenant)["explicit"] == {"mail": {"password": MASK}}
    (first,) = partner("GET", f"{settings_path(tenant)}/history").get_json()["items"]
    assert first["changes"] == {"mail.password": {"previous": None, "new": MASK}}
    assert patch_settings(partner, settings_path(tenant), {"mail": {"password": MASK}})["version"] == 1
    assert run_command(later, "rekey").out == "Re-encrypted: 0 webhooks, 1 settings, 1 versions of settings.\n"
    assert "hunter22" not in repr([fetch_rows(later, name) for name in ("settings", "settings_history")])
    assert password(later, tenant) == "hunter22"


def test_former_secret_is_hidden_until_it_is_set_again(make: MakeHost) -> None:
    partner = Caller(make({"mail": ClosedSchema}), "acme")
    tenant = partner.create()
    patch_settings(partner, settings_path(tenant), {"mail": {"password": "hunter22"}})
    later = make({"mail": Open})
    partner = Caller(later, "acme")
    assert read_settings(partner, tenant)["effective"] == {"mail": {"password": MASK}}
    assert patch_settings(partner, settings_path(tenant), {"mail": {"password": MASK, "daily": 1}})["version"] == 2
    assert password(later, tenant) == "hunter22"
    settings = patch_settings(partner, settings_path(tenant), {"mail": {"password": "open"}})
    assert settings["explicit"] == {"mail": {"password": "open", "daily": 1}}


# From one partner to another.


def test_settings_move_with_their_tenant_and_open_there(make: MakeHost) -> None:
    app = make()
    partner, tenant = busy(app)
    id = tenant["tenant"]
    before = read_settings(partner, tenant)
    history = partner("GET", f"{settings_path(tenant)}/history").get_json()["items"]
    there, admin = Caller(app, "globex"), Caller(app, roles=["provisioning-admin"])
    assert there("GET", "/tenants").get_json()["items"] == []
    with app.app_context():
        assert tenant_settings.get_extension(app).settings_for(id).mail.password == SECRETS[0]
    assert admin("POST", f"/tenants/{id}/move", json={"partner": "globex"}).status_code == 200
    assert fetch_rows(app, "settings", partner_id="acme", tenant_id=id) == []
    assert fetch_rows(app, "settings_history", partner_id="acme", tenant_id=id) == []
    assert read_settings(there, tenant) == before
    assert there("GET", f"{settings_path(tenant)}/history").get_json()["items"] == history
    assert there("POST", f"{settings_path(tenant)}/rollback", json={"version": 2}).status_code == 200
    with app.app_context():
        assert tenant_settings.get_extension(app).settings_for(id).mail.password == SECRETS[1]
        assert tenant_settings.get_extension(app).settings_for(id, partner="globex").mail.password == SECRETS[1]


def test_settings_whose_secrets_cannot_be_opened_are_not_moved(make: MakeHost) -> None:
    _, tenant = busy(make(PROVISIONING_ENCRYPTION_KEYS=[OLD]))
    app = make(PROVISIONING_ENCRYPTION_KEYS=[NEW])
    before = fetch_rows(app, "settings"), fetch_rows(app, "settings_history")
    keyring = get_mount(app).keyring
    with pytest.raises(SecretUnavailable):
        get_storage(app).transaction(
            lambda session: reaction.move_settings(session, keyring, "acme", "globex", tenant["tenant"])
        )
    assert (fetch_rows(app, "settings"), fetch_rows(app, "settings_history")) == before
