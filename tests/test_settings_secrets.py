"""Secrets in settings: sealed at rest, shown to nobody, each opened in its own place alone, and sealed anew."""

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
from flask_tenant_provisioning.settings import lifecycle
from flask_tenant_provisioning.settings.storage import Scope
from tests import own_settings
from tests.commands import run
from tests.own_settings import MASK, MakeHost, at, change, read
from tests.refusals import invalid
from tests.servers import at_once
from tests.witness import rows, storage_of
from tests.world import Caller, engine_of, mount_of

OLD, NEW = "the old key of this host", "the new key of this host"
PATH = ("mail", "password")
SEALED = re.compile(r"1\.[0-9a-f]{12}\.[\w=-]+")
SECRETS = ("hunter22-of-the-tenant", "hunter23-of-the-tenant", "hunter24-of-the-partner", "hunter25-too-wrong")


@pytest.fixture
def make(database_url: str) -> Iterator[MakeHost]:
    """Makes hosts with settings on one database."""
    with own_settings.hosts(database_url) as make:
        yield make


def password(app: Flask, tenant: dict[str, Any]) -> Any:
    """The tenant's password, as the host reads it."""
    with app.app_context():
        return own_settings.of(app).settings_for(tenant["tenant"]).mail.password


def dumped(app: Flask) -> str:
    """All that the database holds, as text."""
    storage, found = storage_of(app), []
    with engine_of(app).connect() as connection:
        for table in storage.metadata.tables:
            found += connection.execute(text(f"SELECT * FROM {table}")).fetchall()
    return repr(found)


def busy(app: Flask) -> tuple[Caller, dict[str, Any]]:
    """A tenant and a partner of whose secrets much has happened."""
    partner, admin = Caller(app, "acme"), Caller(app, roles=["provisioning-admin"])
    tenant = partner.create()
    partner("POST", "/webhooks", json={"url": "https://93.184.215.14/hook"})
    path, key = at(tenant), {"Idempotency-Key": "one"}
    change(partner, path, {"mail": {"password": SECRETS[0]}}, headers=key)
    change(partner, path, {"mail": {"password": SECRETS[0]}}, headers=key)
    change(partner, path, {"mail": {"password": SECRETS[1]}, "look": {"key": {"secret": SECRETS[0]}}})
    change(admin, "/partners/acme/settings", {"mail": {"password": SECRETS[2]}})
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
        at(tenant),
        f"{at(tenant)}/history",
        "/partners/acme/settings",
        "/partners/acme/settings/history",
        "/events",
    )
    seen = [partner("GET", path).text for path in paths]
    for secret in SECRETS:
        assert secret not in dumped(app)
        assert secret not in caplog.text
        assert not [answer for answer in seen if secret in answer]
    assert all(MASK in answer for answer in seen)


def test_a_database_file_holds_no_secret(make: MakeHost, database: str) -> None:
    if database != "sqlite":
        pytest.skip("a server keeps its files to itself")
    app = make()
    busy(app)
    file = Path(str(engine_of(app).url.database))
    engine_of(app).dispose()
    found = b"".join(one.read_bytes() for one in file.parent.glob(f"{file.name}*"))
    assert b"settings_updated" in found
    assert not [secret for secret in SECRETS if secret.encode() in found]


def test_what_is_wrong_with_a_secret_is_told_without_it(make: MakeHost) -> None:
    class Loud(Schema):
        token = fields.String(metadata={"secret": True})
        other = fields.String()

        def load(self, data: Any, **options: Any) -> Any:
            if "token" in data and "bad" in data["token"]:
                raise ValidationError({"token": [f"{data['token']} is bad"], "other": [f"not with {data['token']}"]})
            return super().load(data, **options)

    app = make({"loud": Loud})
    partner = Caller(app)
    answer = partner("PUT", at(partner.create()), json={"loud": {"token": "bad-secret", "other": "x"}})
    hidden = ("invalid-field", "Not valid.")
    invalid(answer, ("#/loud/other", *hidden), ("#/loud/token", *hidden))


def test_the_digest_of_a_repeatable_request_is_no_help_to_guess_a_secret(make: MakeHost) -> None:
    keys = {"PROVISIONING_ENCRYPTION_KEYS": [OLD]}
    one, other = (make(PROVISIONING_SECRET_KEY=f"{name} secret of the host", **keys) for name in ("one", "other"))
    tenant = Caller(one, "acme").create()
    for body, number in (({"mail": {"daily": 5}}, 1), ({"mail": {"password": "hunter22", "note": None}}, 2)):
        for app in (one, other):
            headers = {"Idempotency-Key": f"{number} {app is one}"}
            change(Caller(app, "acme"), at(tenant), body, headers=headers)
            again = Caller(app, "acme")("PATCH", at(tenant), json=body, headers=headers)
            assert again.headers["Idempotency-Replayed"] == "true"
        same = {row["fingerprint"] for row in rows(one, "idempotency") if row["key"].startswith(str(number))}
        assert len(same) == number


# The mask.


def test_what_was_read_can_be_sent_back(make: MakeHost) -> None:
    app = make()
    partner, admin = Caller(app, "acme"), Caller(app, roles=["provisioning-admin"])
    tenant = partner.create()
    found = change(partner, at(tenant), {"mail": {"password": "hunter22", "daily": 5}})
    assert found["explicit"] == {"mail": {"password": MASK, "daily": 5}}
    assert partner("PUT", at(tenant), json=found["explicit"]).get_json() == found
    assert change(partner, at(tenant), {"mail": {"password": MASK, "daily": 6}})["version"] == 2
    assert password(app, tenant) == "hunter22"
    other = partner.create()
    change(admin, "/partners/acme/settings", {"mail": {"password": "hunter23"}})
    assert partner("PUT", at(other), json={"mail": {"password": MASK}}).get_json()["explicit"] == {}
    assert password(app, other) == "hunter23"


def test_a_secret_object_is_merged_in_clear(make: MakeHost) -> None:
    app = make()
    partner = Caller(app)
    tenant = partner.create()
    change(partner, at(tenant), {"look": {"key": {"a": "1", "b": "2"}}})
    change(partner, at(tenant), {"look": {"key": {"b": None, "c": "3"}}})
    with app.app_context():
        assert own_settings.of(app).settings_for(tenant["tenant"]).look.key == {"a": "1", "c": "3"}


# In its own place alone.


def test_a_sealed_value_that_is_copied_elsewhere_does_not_open(
    make: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    app = make(PROVISIONING_SETTINGS_CACHE_SECONDS=0)
    partner = Caller(app)
    one, other = partner.create(), partner.create()
    change(partner, at(one), {"mail": {"password": "hunter22"}})
    change(partner, at(other), {"mail": {"password": "hunter23", "daily": 5}})
    storage = storage_of(app)
    settings = storage.table("settings")
    (sealed,) = [row["secrets"] for row in rows(app, "settings", tenant_id=one["tenant"])]
    with storage.engine.begin() as connection:
        connection.execute(update(settings).where(settings.c.tenant_id == other["tenant"]).values(secrets=sealed))
    with app.app_context():
        found = own_settings.of(app).settings_for(other["tenant"]).mail
    assert found.daily == 5
    with pytest.raises(SecretUnavailable, match="The secret 'password'"):
        found["password"]
    assert read(partner, other)["explicit"] == {"mail": {"password": MASK, "daily": 5}}
    assert caplog.text.count("cannot be opened") == 1
    assert change(partner, at(other), {"mail": {"daily": 6}})["version"] == 2
    assert rows(app, "settings", tenant_id=other["tenant"])[0]["secrets"] == sealed
    change(partner, at(other), {"mail": {"password": "hunter24"}})
    assert password(app, other) == "hunter24"


# A new key.


def test_everything_is_sealed_by_the_new_key_and_the_old_one_can_go(make: MakeHost) -> None:
    partner, tenant = busy(make(PROVISIONING_ENCRYPTION_KEYS=[OLD]))
    both, alone = (make(PROVISIONING_ENCRYPTION_KEYS=keys) for keys in ([NEW, OLD], [NEW]))
    unopened = run(alone, "rekey")
    assert (unopened.status, unopened.out) == (
        1, "Re-encrypted: 0 webhooks, 0 settings, 0 versions of settings.\n",
    )  # fmt: skip
    assert f"settings of the tenant {tenant['tenant']}: It was sealed with the key " in unopened.err
    assert "settings of the partner acme: It was sealed with the key " in unopened.err
    assert "Error: The secrets of 7 of them cannot be decrypted." in unopened.err
    assert read(Caller(alone, "acme"), tenant) == read(partner, tenant)
    assert run(both, "rekey") == (0, "Re-encrypted: 1 webhooks, 2 settings, 4 versions of settings.\n", "")
    assert run(both, "rekey") == (0, "Re-encrypted: 0 webhooks, 0 settings, 0 versions of settings.\n", "")
    assert run(alone, "rekey").status == 0
    assert password(alone, tenant) == SECRETS[0]
    back = Caller(alone, "acme")("POST", f"{at(tenant)}/rollback", json={"version": 2})
    assert back.status_code == 200, back.text
    assert password(alone, tenant) == SECRETS[1]


def test_many_versions_are_sealed_anew_step_by_step(make: MakeHost) -> None:
    partner = Caller(make(PROVISIONING_ENCRYPTION_KEYS=[OLD]), "acme")
    tenant = partner.create()
    for number in range(60):
        change(partner, at(tenant), {"mail": {"password": f"hunter{number}"}})
    both = make(PROVISIONING_ENCRYPTION_KEYS=[NEW, OLD])
    assert run(both, "rekey").out == "Re-encrypted: 0 webhooks, 1 settings, 60 versions of settings.\n"
    texts = [sealed for row in rows(both, "settings_history") for sealed in SEALED.findall(str(row["secrets"]))]
    assert len(texts) == 59
    assert all(map(mount_of(both).keyring.is_current, texts))
    alone = make(PROVISIONING_ENCRYPTION_KEYS=[NEW], PROVISIONING_SETTINGS_CACHE_SECONDS=0)
    for version in (1, 25, 26, 60):
        assert Caller(alone, "acme")("POST", f"{at(tenant)}/rollback", json={"version": version}).status_code == 200
        assert password(alone, tenant) == f"hunter{version - 1}"


def test_the_settings_of_many_are_sealed_anew_batch_by_batch(make: MakeHost) -> None:
    app = make(PROVISIONING_ENCRYPTION_KEYS=[OLD])
    storage, keyring = storage_of(app), mount_of(app).keyring
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
    assert run(both, "rekey").out == "Re-encrypted: 0 webhooks, 201 settings, 0 versions of settings.\n"
    for row in rows(both, "settings"):
        text = json.loads(row["secrets"])["mail"]["password"]
        assert mount_of(both).keyring.is_current(text)
        assert mount_of(both).keyring.open(text, Scope(row["partner_id"], "").sealing_context(PATH)) == '"hunter22"'


def test_who_writes_meanwhile_loses_nothing(make: MakeHost) -> None:
    app = make(PROVISIONING_ENCRYPTION_KEYS=[OLD])
    partner = Caller(app, "acme")
    tenants = [partner.create() for _ in range(4)]
    for tenant in tenants:
        change(partner, at(tenant), {"mail": {"password": "hunter22"}})
    both = make(PROVISIONING_ENCRYPTION_KEYS=[NEW, OLD])

    def work(number: int) -> Any:
        if number == 4:
            return run(both, "rekey").status
        caller = Caller(both, "acme")
        for turn in range(5):
            change(caller, at(tenants[number]), {"mail": {"password": f"hunter {number} {turn}"}})
        return 0

    assert at_once(5, work) == [0] * 5
    assert [password(both, tenant) for tenant in tenants] == [f"hunter {n} 4" for n in range(4)]
    assert [read(partner, tenant)["version"] for tenant in tenants] == [6] * 4


# What becomes a secret, and what is none any more.


class Open(Schema):
    password = fields.String()
    daily = fields.Integer()


class Closed(Schema):
    password = fields.String(metadata={"secret": True})
    daily = fields.Integer()


def test_what_is_declared_a_secret_later_is_hidden_and_then_sealed(make: MakeHost) -> None:
    app = make({"mail": Open})
    partner = Caller(app, "acme")
    tenant = partner.create()
    change(partner, at(tenant), {"mail": {"password": "hunter22"}})
    later = make({"mail": Closed})
    partner = Caller(later, "acme")
    assert read(partner, tenant)["explicit"] == {"mail": {"password": MASK}}
    (first,) = partner("GET", f"{at(tenant)}/history").get_json()["items"]
    assert first["changes"] == {"mail.password": {"previous": None, "new": MASK}}
    assert change(partner, at(tenant), {"mail": {"password": MASK}})["version"] == 1
    assert run(later, "rekey").out == "Re-encrypted: 0 webhooks, 1 settings, 1 versions of settings.\n"
    assert "hunter22" not in repr([rows(later, name) for name in ("settings", "settings_history")])
    assert password(later, tenant) == "hunter22"


def test_what_was_a_secret_is_not_shown_until_it_is_set_anew(make: MakeHost) -> None:
    partner = Caller(make({"mail": Closed}), "acme")
    tenant = partner.create()
    change(partner, at(tenant), {"mail": {"password": "hunter22"}})
    later = make({"mail": Open})
    partner = Caller(later, "acme")
    assert read(partner, tenant)["effective"] == {"mail": {"password": MASK}}
    assert change(partner, at(tenant), {"mail": {"password": MASK, "daily": 1}})["version"] == 2
    assert password(later, tenant) == "hunter22"
    found = change(partner, at(tenant), {"mail": {"password": "open"}})
    assert found["explicit"] == {"mail": {"password": "open", "daily": 1}}


# From one partner to another.


def test_settings_move_with_their_tenant_and_open_there(make: MakeHost) -> None:
    app = make()
    partner, tenant = busy(app)
    id = tenant["tenant"]
    before = read(partner, tenant)
    history = partner("GET", f"{at(tenant)}/history").get_json()["items"]
    there, admin = Caller(app, "globex"), Caller(app, roles=["provisioning-admin"])
    assert there("GET", "/tenants").get_json()["items"] == []
    with app.app_context():
        assert own_settings.of(app).settings_for(id).mail.password == SECRETS[0]
    assert admin("POST", f"/tenants/{id}/move", json={"partner": "globex"}).status_code == 200
    assert rows(app, "settings", partner_id="acme", tenant_id=id) == []
    assert rows(app, "settings_history", partner_id="acme", tenant_id=id) == []
    assert read(there, tenant) == before
    assert there("GET", f"{at(tenant)}/history").get_json()["items"] == history
    assert there("POST", f"{at(tenant)}/rollback", json={"version": 2}).status_code == 200
    with app.app_context():
        assert own_settings.of(app).settings_for(id).mail.password == SECRETS[1]
        assert own_settings.of(app).settings_for(id, partner="globex").mail.password == SECRETS[1]


def test_settings_whose_secrets_cannot_be_opened_are_not_moved(make: MakeHost) -> None:
    _, tenant = busy(make(PROVISIONING_ENCRYPTION_KEYS=[OLD]))
    app = make(PROVISIONING_ENCRYPTION_KEYS=[NEW])
    before = rows(app, "settings"), rows(app, "settings_history")
    keyring = mount_of(app).keyring
    with pytest.raises(SecretUnavailable):
        storage_of(app).transaction(
            lambda session: lifecycle.move_settings(session, keyring, "acme", "globex", tenant["tenant"])
        )
    assert (rows(app, "settings"), rows(app, "settings_history")) == before
