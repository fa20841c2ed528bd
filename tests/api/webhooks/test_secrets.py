"""Endpoints' secrets: sealed at rest, shown once, replaced with an overlap."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from flask_tenant_provisioning.config import Config, ConfigurationError
from flask_tenant_provisioning.keyring import Keyring, UnsealError, load_keyring
from flask_tenant_provisioning.webhooks import endpoint_secrets, models
from flask_tenant_provisioning.webhooks.models import Endpoint
from flask_tenant_provisioning.webhooks.signing import parse_verifying_key, signing_key
from tests.support.assertions import check_problem
from tests.support.callers import Caller
from tests.support.hosts import get_engine, get_mount

MakeApp = Callable[..., Flask]
KEYRING = Keyring(["a key of this host, long enough"])
OTHER = Keyring(["a key of another host, long enough"])
ID = "01930000-0000-7000-8000-000000000000"
NOON, EVENING, TOMORROW, LATER = (f"2025-02-{day}:00:00.000000Z" for day in ("10T12", "10T20", "11T12", "17T12"))
HOOK = {"url": "https://93.184.215.14/hook"}


def endpoint(column: str, **values: Any) -> Endpoint:
    """An endpoint with these secrets."""
    return Endpoint(**{**dict.fromkeys(Endpoint._fields), "id": ID, "secrets": column, **values})


def signatures(column: str, now: str, keyring: Keyring = KEYRING) -> list[str]:
    """Return the signatures of the endpoint's keys at the instant `now`."""
    return [key.sign(b"content") for key in endpoint_secrets.load_signing_keys(keyring, endpoint(column), now)]


def signature(secret: str | None) -> str:
    assert secret is not None
    return signing_key(secret).sign(b"content")


def test_the_column_holds_no_secret_and_the_keyring_opens_it() -> None:
    secret = endpoint_secrets.create_secret(KEYRING, ID, "v1")
    assert secret.secret is not None
    assert secret.secret.startswith("whsec_")
    assert secret.secret.removeprefix("whsec_") not in secret.column
    assert signatures(secret.column, NOON) == [signature(secret.secret)]


def test_a_v1a_secret_is_never_shown_and_its_public_key_always() -> None:
    secret = endpoint_secrets.create_secret(KEYRING, ID, "v1a")
    public = models.get_public_key(endpoint(secret.column))
    assert (secret.secret, public is None) == (None, False)
    assert parse_verifying_key(str(public)).matches(b"content", signatures(secret.column, NOON)[0])


def test_v1_has_no_public_key() -> None:
    assert models.get_public_key(endpoint(endpoint_secrets.create_secret(KEYRING, ID, "v1").column)) is None


def test_the_old_secret_signs_too_until_its_time_is_over() -> None:
    old = endpoint_secrets.create_secret(KEYRING, ID, "v1")
    new = endpoint_secrets.rotate_secret(KEYRING, ID, "v1", old.column, NOON, TOMORROW)
    both = [signature(new.secret), signature(old.secret)]
    assert signatures(new.column, NOON) == signatures(new.column, EVENING) == both
    assert signatures(new.column, TOMORROW) == both[:1]


def test_without_overlap_no_older_secret_signs_on() -> None:
    first = endpoint_secrets.create_secret(KEYRING, ID, "v1")
    second = endpoint_secrets.rotate_secret(KEYRING, ID, "v1", first.column, NOON, LATER)
    third = endpoint_secrets.rotate_secret(KEYRING, ID, "v1", second.column, EVENING, EVENING)
    assert signatures(third.column, EVENING) == [signature(third.secret)]


def test_a_longer_overlap_does_not_bring_an_older_secret_back() -> None:
    first = endpoint_secrets.create_secret(KEYRING, ID, "v1")
    second = endpoint_secrets.rotate_secret(KEYRING, ID, "v1", first.column, NOON, TOMORROW)
    third = endpoint_secrets.rotate_secret(KEYRING, ID, "v1", second.column, EVENING, LATER)
    assert len(signatures(third.column, EVENING)) == 3
    assert signatures(third.column, TOMORROW) == [signature(third.secret), signature(second.secret)]


def test_ten_replaced_secrets_sign_at_most_the_newest() -> None:
    secrets = [endpoint_secrets.create_secret(KEYRING, ID, "v1")]
    for _ in range(15):
        secrets.append(endpoint_secrets.rotate_secret(KEYRING, ID, "v1", secrets[-1].column, NOON, TOMORROW))
    assert signatures(secrets[-1].column, NOON) == [signature(secret.secret) for secret in reversed(secrets[-11:])]


def test_expired_secrets_are_removed() -> None:
    first = endpoint_secrets.create_secret(KEYRING, ID, "v1")
    second = endpoint_secrets.rotate_secret(KEYRING, ID, "v1", first.column, NOON, EVENING)
    third = endpoint_secrets.rotate_secret(KEYRING, ID, "v1", second.column, TOMORROW, LATER)
    assert len(json.loads(third.column)) == 2


def test_another_hosts_keyring_and_another_endpoint_open_nothing() -> None:
    column = endpoint_secrets.create_secret(KEYRING, ID, "v1").column
    with pytest.raises(UnsealError):
        signatures(column, NOON, OTHER)
    with pytest.raises(UnsealError):
        endpoint_secrets.load_signing_keys(KEYRING, endpoint(column, id=ID.replace("8", "9")), NOON)


def test_a_new_key_of_the_host_seals_while_the_old_one_opens() -> None:
    old = Keyring(["the old key of this host"])
    both = Keyring(["the new key of this host", "the old key of this host"])
    first = endpoint_secrets.create_secret(old, ID, "v1")
    second = endpoint_secrets.rotate_secret(both, ID, "v1", first.column, NOON, TOMORROW)
    assert signatures(second.column, NOON, both) == [signature(second.secret), signature(first.secret)]
    assert [both.is_current(entry["sealed"]) for entry in json.loads(second.column)] == [True, False]


# At rest, as a whole.


def dump_database(app: Flask) -> str:
    """All that the database holds, as text."""
    rows = []
    with get_engine(app).connect() as connection:
        for table in ("webhooks", "deliveries", "attempts", "events", "idempotency"):
            rows += connection.execute(text(f"SELECT * FROM provisioning_{table}")).fetchall()
    return repr(rows)


def test_no_secret_is_in_the_database_or_the_log(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    partner = Caller(make_app())
    document = partner("POST", "/webhooks", json=HOOK, headers={"Idempotency-Key": "create"}).get_json()
    path = f"/webhooks/{document['webhook']}"
    rotated = partner("POST", f"{path}/rotate-secret", headers={"Idempotency-Key": "rotate"}).get_json()
    partner("POST", f"{path}/test")
    for secret in (document["secret"], rotated["secret"]):
        bare = secret.removeprefix("whsec_")
        assert bare not in dump_database(partner.app)
        assert bare not in caplog.text


def test_a_database_file_holds_no_secret(make_app: MakeApp, database: str) -> None:
    if database != "sqlite":
        pytest.skip("a server keeps its files to itself")
    app = make_app()
    secret = Caller(app)("POST", "/webhooks", json=HOOK, headers={"Idempotency-Key": "1"}).get_json()["secret"]
    path = get_engine(app).url.database
    get_engine(app).dispose()
    files = [file for file in Path(path).parent.iterdir() if file.is_file()]
    assert files
    assert not any(secret.removeprefix("whsec_").encode() in file.read_bytes() for file in files)


def test_a_repeated_creation_shows_the_same_secret(partner: Caller) -> None:
    first, again = (partner("POST", "/webhooks", json=HOOK, headers={"Idempotency-Key": "same"}) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.get_json() == first.get_json()
    assert again.get_json()["secret"].startswith("whsec_")
    assert len(partner("GET", "/webhooks").get_json()["items"]) == 1


def test_lost_encryption_key_returns_a_problem(database_url: str, make_app: MakeApp) -> None:
    before = make_app(PROVISIONING_ENCRYPTION_KEYS=["the key that was there before"])
    after = make_app(PROVISIONING_ENCRYPTION_KEYS=["the key that came in its place"])
    headers = {"Idempotency-Key": "1"}
    assert Caller(before, "acme")("POST", "/webhooks", json=HOOK, headers=headers).status_code == 201
    repeated = Caller(after, "acme")("POST", "/webhooks", json=HOOK, headers=headers)
    check_problem(repeated, status=503, code="secret-unavailable")
    assert repeated.headers["Retry-After"] == "60"


def test_a_sealed_answer_is_opened_under_its_own_key_alone(partner: Caller) -> None:
    """A response copied to another `Idempotency-Key` does not reveal its secret."""
    first = partner("POST", "/webhooks", json=HOOK, headers={"Idempotency-Key": "mine"})
    assert first.status_code == 201
    with get_engine(partner.app).begin() as connection:
        moved = text("UPDATE provisioning_idempotency SET key = 'theirs' WHERE key = 'mine' AND partner_id = :partner")
        assert connection.execute(moved, {"partner": partner.partner}).rowcount == 1
    repeated = partner("POST", "/webhooks", json=HOOK, headers={"Idempotency-Key": "theirs"})
    check_problem(repeated, status=503, code="secret-unavailable")


def test_lost_encryption_key_allows_read_change_and_rotate(make_app: MakeApp) -> None:
    before = make_app(PROVISIONING_ENCRYPTION_KEYS=["the key that was there before"])
    after = make_app(PROVISIONING_ENCRYPTION_KEYS=["the key that came in its place"])
    document = Caller(before, "acme")("POST", "/webhooks", json={**HOOK, "signing": "v1a"}).get_json()
    partner, path = Caller(after, "acme"), f"/webhooks/{document['webhook']}"
    assert partner("GET", path).get_json()["public_key"] == document["public_key"]
    assert partner("PATCH", path, json={"enabled": False}).status_code == 200
    assert partner("POST", f"{path}/rotate-secret").get_json()["public_key"] != document["public_key"]


# Whose key it is.


def test_secrets_are_sealed_with_the_secret_key_by_default(make_app: MakeApp) -> None:
    app = make_app()
    sealed = get_mount(app).keyring.seal("secret", "row")
    assert Keyring([str(app.secret_key)]).open(sealed, "row") == "secret"


def test_the_first_key_seals_and_every_key_opens(make_app: MakeApp) -> None:
    keys = ["the new key of this host", "the old key of this host"]
    ring = get_mount(make_app(PROVISIONING_ENCRYPTION_KEYS=keys)).keyring
    assert Keyring(keys[:1]).open(ring.seal("secret", "row"), "row") == "secret"
    assert ring.open(Keyring(keys[1:]).seal("secret", "row"), "row") == "secret"


def test_nothing_is_sealed_without_a_key() -> None:
    with pytest.raises(ConfigurationError, match="PROVISIONING_ENCRYPTION_KEYS"):
        load_keyring(Flask("host"), Config.read({}, {}))
