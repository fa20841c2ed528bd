"""The history of settings: each version as it was, kept as its difference from the next one."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields

from flask_tenant_provisioning.database.pages import measure_text
from flask_tenant_provisioning.database.session import Session
from flask_tenant_provisioning.settings import actions
from flask_tenant_provisioning.settings.actions import SettingsTarget
from flask_tenant_provisioning.settings.storage import RowContents, unseal_contents
from flask_tenant_provisioning.settings.versions import (
    apply_difference,
    choose_encoding,
    encode_difference,
    encode_whole,
    make_difference,
    restore_version,
)
from tests.support import tenant_settings
from tests.support.callers import Caller
from tests.support.commands import run_command
from tests.support.database.rows import fetch_all_rows, fetch_rows
from tests.support.hosts import get_mount
from tests.support.tenant_settings import MakeHost, patch_settings, read_settings, settings_path

OLD, NEW, NEWEST = "the old key of this host", "the new key of this host", "the newest key of this host"
#: A value that a document repeats to be large.
FILLING = "x" * 100
#: Keys of an object that hardly differ, and values that differ in their type alone.
NAMES = ("a", "b", "c", "ä", "", "0")
SCALARS = (None, True, False, 0, 1, 1.0, -0.0, 2**53, "", "a", "[]", "ä😀")


@pytest.fixture
def make(database_url: str) -> Iterator[MakeHost]:
    """Makes hosts with settings on one database."""
    with tenant_settings.open_hosts(database_url) as make:
        yield make


def random_json(source: random.Random, depth: int = 3) -> Any:
    """A JSON value."""
    kind = source.random()
    if depth and kind < 0.5:
        return {name: random_json(source, depth - 1) for name in source.sample(NAMES, source.randrange(len(NAMES)))}
    if depth and kind < 0.6:
        return [random_json(source, depth - 1) for _ in range(source.randrange(4))]
    return source.choice(SCALARS)


def alter(source: random.Random, value: Any) -> Any:
    """The same, with something changed in it, as a patch or a whole new value does."""
    if not isinstance(value, dict) or source.random() < 0.15:
        return random_json(source)
    changed = dict(value)
    for name in source.sample(NAMES, 2):
        if name in changed and source.random() < 0.4:
            del changed[name]
        else:
            changed[name] = alter(source, changed.get(name))
    if source.random() < 0.2:
        return dict(source.sample(list(changed.items()), len(changed)))
    return changed


# Differences.


@pytest.mark.parametrize(
    ("newer", "older", "difference"),
    [
        ({"a": 1}, {"a": 1}, None),
        ({"a": 1}, {"a": None}, {"a": [None]}),
        ({"a": None}, {}, {"a": []}),
        ({}, {"a": None}, {"a": [None, 0]}),
        ({"b": 1}, {"a": 1, "b": 1}, {"a": [1, 0]}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": []}}),
        ({"a": 1}, {"a": True}, {"a": [True]}),
        ({"a": 1}, {"a": 1.0}, {"a": [1.0]}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [[1]]}),
        ({"a": []}, {"a": {}}, {"a": [{}]}),
        ({"a": {}}, {"a": []}, {"a": [[]]}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, [{"b": 2, "a": 1}]),
    ],
)
def test_difference_contains_only_changed_members(newer: Any, older: Any, difference: Any) -> None:
    assert json.dumps(make_difference(newer, older)) == json.dumps(difference)


@pytest.mark.parametrize("seed", range(20))
def test_difference_restores_the_older_value_exactly(seed: int) -> None:
    source = random.Random(seed)
    for _ in range(200):
        newer = random_json(source)
        older = alter(source, newer)
        before = json.dumps(newer)
        difference = make_difference(newer, older)
        if difference is None:
            assert json.dumps(older) == before
            continue
        sent = json.loads(json.dumps(difference))
        assert json.dumps(apply_difference(newer, sent)) == json.dumps(older)
        assert json.dumps(newer) == before


@pytest.mark.parametrize(("members", "changed"), [(1, 1), (600, 1), (600, 200), (600, 600)])
def test_whole_versions_bound_reads_without_exceeding_the_differences(members: int, changed: int) -> None:
    source = random.Random(members + changed)
    before, taken, since, whole_bytes, differences = RowContents({}, {}), 0, 0, 0, 0
    for _ in range(600):
        values = {**before.document.get("free", {})}
        names = source.sample(range(members), changed) if values else range(members)
        values.update({f"key{name}": f"{source.random()}{FILLING}" for name in names})
        after = RowContents({"free": values}, {})
        columns, taken = choose_encoding(after, before, taken + 300)
        size, whole = sum(map(measure_text, columns)), sum(map(measure_text, encode_whole(before)))
        differences += 300 + sum(map(measure_text, encode_difference(after, before)))
        if columns == encode_whole(before):
            since, whole_bytes = 0, whole_bytes + size
        else:
            since += size
        assert since <= whole
        before = after
    assert whole_bytes <= differences


def test_a_difference_that_is_no_smaller_than_the_version_is_not_kept() -> None:
    before, after = (RowContents({"free": {"a": name * 1000}}, {}) for name in "ab")
    columns, taken = choose_encoding(after, before, 100)
    assert (columns, taken) == (encode_whole(before), 0)
    small = RowContents({"free": {"a": "a" * 1000, "b": 1}}, {})
    columns, taken = choose_encoding(small, before, 7 + 100)
    assert columns == encode_difference(small, before)
    assert (columns.document, columns.secrets) == ('{"free":{"b":[]}}', None)
    assert taken == 7 + 100 + len(columns.document)


# What a write leaves.


def sizes(app: Flask) -> dict[str, int]:
    """Return the bytes of values in each table."""
    return {
        table: sum(len(str(value).encode()) for row in rows for value in row.values() if value is not None)
        for table, rows in fetch_all_rows(app).items()
    }


def large(number: int) -> dict[str, str]:
    """An object of nearly 60 KB."""
    return {f"key{n}": f"{number} {n} {FILLING}" for n in range(500)}


def test_a_small_patch_of_a_large_document_leaves_little(make: MakeHost) -> None:
    app = make()
    partner = Caller(app)
    tenant = partner.create()
    patch_settings(partner, settings_path(tenant), {"mail": {"password": "hunter22"}, "free": {"a": large(0)}})
    before, (first,) = sizes(app), fetch_rows(app, "settings_history")
    assert before["settings"] > 50_000
    for number in range(1, 4):
        patch_settings(partner, settings_path(tenant), {"free": {"a": {"key7": number}}})
    after = sizes(app)
    history = fetch_rows(app, "settings_history")
    assert [json.loads(row["document"]) for row in history] == [
        {"free": {"a": {"key7": [f"0 7 {FILLING}"]}}},
        {"free": {"a": {"key7": [1]}}},
        {"free": {"a": {"key7": [2]}}},
        {},
    ]
    assert [row["secrets"] for row in history] == [None] * 4
    grown = {table: after[table] - before[table] for table in before if after[table] != before[table]}
    assert grown.keys() == {"settings", "settings_history", "events"}
    assert grown["settings"] < 10
    assert grown["settings_history"] < 3 * 400 + 100
    assert grown["events"] < 3 * 1500
    assert first["document"] == "{}"


def test_many_small_patches_leave_little_too(make: MakeHost) -> None:
    app = make(PROVISIONING_SETTINGS_HISTORY=1000)
    partner = Caller(app)
    tenant = partner.create()
    patch_settings(partner, settings_path(tenant), {"free": {"a": large(0)}})
    for number in range(40):
        patch_settings(partner, settings_path(tenant), {"free": {"a": {"key7": number}}})
    history = fetch_rows(app, "settings_history")
    assert sum(len(str(row["document"])) for row in history) < 40 * 60 + 200
    shown = read_settings(partner, tenant)
    back = partner("POST", f"{settings_path(tenant)}/rollback", json={"version": 1}).get_json()
    assert back == {
        **shown,
        "version": 42,
        **{m: {**shown[m], "free": {"a": large(0)}} for m in ("effective", "explicit")},
    }


def test_a_secret_that_stays_is_kept_once(make: MakeHost) -> None:
    app = make()
    partner = Caller(app)
    tenant = partner.create()
    patch_settings(
        partner, settings_path(tenant), {"look": {"key": {"k": FILLING * 200}}, "free": {"a": FILLING * 200}}
    )
    for number in range(3):
        patch_settings(partner, settings_path(tenant), {"free": {"b": number}})
    assert [row["secrets"] for row in fetch_rows(app, "settings_history")] == [None] * 4


def test_removed_version_leaves_nothing(make: MakeHost) -> None:
    app = make(PROVISIONING_SETTINGS_HISTORY=2)
    partner = Caller(app)
    tenant = partner.create()
    patch_settings(
        partner, settings_path(tenant), {"mail": {"password": "hunter22"}, "free": {"a": large(0), "b": "only here"}}
    )
    (newest,) = fetch_rows(app, "settings")
    sealed = json.loads(newest["secrets"])["mail"]["password"]
    patch_settings(partner, settings_path(tenant), {"mail": {"password": "hunter23"}, "free": {"b": None}})
    assert sealed in str(fetch_rows(app, "settings_history"))
    patch_settings(partner, settings_path(tenant), {"free": {"c": 1}})
    history = fetch_rows(app, "settings_history")
    assert [row["version"] for row in history] == [2, 3]
    assert sealed not in str(history)
    assert "only here" not in str([row["document"] for row in history])


# Every version, as it was.


class Model:
    """An owner's settings, with what they showed in each version, and what the secrets were."""

    def __init__(self, partner: Caller, path: str, most: int) -> None:
        self.partner, self.path, self.most = partner, path, most
        self.shown: dict[int, str] = {}
        self.opened: dict[int, str] = {}
        self.look()

    def look(self) -> None:
        """Read the present version."""
        document = self.partner("GET", self.path).get_json()
        self.version = document["version"]
        self.shown[self.version] = json.dumps(document["explicit"])
        self.opened[self.version] = self._open(self.version)

    def _open(self, version: int) -> str:
        """A version with its secrets in clear."""
        mount = get_mount(self.partner.app)
        kind, id = self.path.split("/")[1:3]
        target = SettingsTarget(id) if kind == "partners" else SettingsTarget(None, id)

        def work(session: Session) -> str:
            state = actions.read(session, mount.keyring, target)
            scope = state.owner.scope
            contents = restore_version(session, state.row, scope, version) if version else RowContents({}, {})
            assert contents is not None
            stored = unseal_contents(state.namespaces, scope, contents, mount.keyring)
            secrets = stored.contents.secrets
            return json.dumps(
                {
                    name: {key: [value] if key in secrets.get(name, {}) else value for key, value in pairs.items()}
                    for name, pairs in stored.values.items()
                }
            )

        return mount.storage.read(work)

    def check(self) -> None:
        """Require each version that is kept, and no other, to be as it was: what a rollback would make of it."""
        for version in range(1, self.version + 2):
            path = f"{self.path}/rollback?validate_only=true"
            response = self.partner("POST", path, json={"version": version})
            if self.version - self.most < version <= self.version:
                assert response.status_code == 200, response.text
                assert json.dumps(response.get_json()["explicit"]) == self.shown[version]
                assert self._open(version) == self.opened[version]
            else:
                assert (response.status_code, response.get_json()["code"]) == (404, "settings-version-not-found")


def random_write(source: random.Random, model: Model) -> tuple[str, str, Any]:
    """A request that changes settings."""
    kind = source.random()
    oldest = max(model.version - model.most + 1, 1)
    if kind < 0.15 and model.version:
        return "POST", "/rollback", {"version": source.choice((0, source.randint(oldest, model.version)))}
    free = {name: random_json(source) for name in source.sample("abce", source.randrange(1, 3))}
    mail: dict[str, Any] = {"daily": source.randint(1, 5), "note": source.choice((None, "x"))}
    mail |= {"password": f"hunter{source.randint(20, 22)}"} if source.random() < 0.4 else {}
    mail |= {"headers": {name: source.choice("xy") for name in source.sample("pqrs", 3)}}
    look = {"key": {"k": source.randint(1, 3)}, "colour": source.choice(("green", "blue"))}
    chosen = {"mail": mail, "look": look, "free": free}
    body: dict[str, Any] = {name: chosen[name] for name in source.sample(sorted(chosen), source.randrange(1, 4))}
    if kind < 0.7:
        body |= {name: None for name in chosen.keys() - body.keys() if source.random() < 0.15}
        return "PATCH", "", body
    body.setdefault("free", {})
    if source.random() < 0.5:
        body["free"]["big"] = FILLING * source.randint(1, 40)
    return "PUT", "", body


@pytest.mark.parametrize("seed", range(4))
def test_random_writes_leave_the_history_that_whole_documents_would(make: MakeHost, seed: int) -> None:
    source, most = random.Random(seed), 6
    app = make(PROVISIONING_SETTINGS_HISTORY=most, PROVISIONING_ENCRYPTION_KEYS=[OLD])
    partner, admin = Caller(app, "acme"), Caller(app, roles=["provisioning-admin"])
    tenant = partner.create()
    Caller(app, "globex")("GET", "/tenants")
    models = [Model(partner, settings_path(tenant), most), Model(admin, "/partners/acme/settings", most)]
    if seed % 2:
        models.reverse()
    for turn in range(24):
        model = models[turn % 4 == 3]
        method, path, body = random_write(source, model)
        response = model.partner(method, model.path + path, json=body)
        assert response.status_code == 200, response.text
        if response.get_json()["version"] != model.version:
            assert response.get_json()["version"] == model.version + 1
            model.look()
        if turn == 12:
            for model in models:
                model.check()
            both = make(PROVISIONING_SETTINGS_HISTORY=most, PROVISIONING_ENCRYPTION_KEYS=[NEW, OLD])
            assert run_command(both, "rekey").status == 0
            app = make(PROVISIONING_SETTINGS_HISTORY=most, PROVISIONING_ENCRYPTION_KEYS=[NEW])
            for model in models:
                model.partner = Caller(app, model.partner.partner, roles=["provisioning-admin"])
        if turn == 18:
            response = models[0].partner("POST", f"/tenants/{tenant['tenant']}/move", json={"partner": "globex"})
            assert response.status_code == 200, response.text
    for model in models:
        model.check()


# Secrets.


class Open(Schema):
    keys = fields.Dict()
    password = fields.String()


class ClosedSchema(Schema):
    keys = fields.Dict(metadata={"secret": True})
    password = fields.String(metadata={"secret": True})


def test_later_declared_secret_is_sealed_in_every_version(make: MakeHost) -> None:
    partner = Caller(make({"mail": Open}), "acme")
    tenant = partner.create()
    wanted: list[dict[str, Any]] = [{"keys": {f"key{n}": FILLING for n in range(50)} | {"a": "hunter20"}}]
    patch_settings(partner, settings_path(tenant), {"mail": wanted[0]})
    for number in range(21, 25):
        wanted.append({"keys": {**wanted[-1]["keys"], "a": f"hunter{number}"}, "password": f"hunter{number % 2}"})
        patch_settings(partner, settings_path(tenant), {"mail": {**wanted[-1], "keys": {"a": f"hunter{number}"}}})
    later = make({"mail": ClosedSchema}, PROVISIONING_SETTINGS_CACHE_SECONDS=0)
    assert run_command(later, "rekey").out == "Re-encrypted: 0 webhooks, 1 settings, 5 versions of settings.\n"
    assert run_command(later, "rekey").out == "Re-encrypted: 0 webhooks, 0 settings, 0 versions of settings.\n"
    assert "hunter" not in repr([fetch_rows(later, name) for name in ("settings", "settings_history")])
    partner = Caller(later, "acme")
    for version, values in enumerate(wanted, 1):
        assert partner("POST", f"{settings_path(tenant)}/rollback", json={"version": version}).status_code == 200
        with later.app_context():
            mail = tenant_settings.get_extension(later).settings_for(tenant["tenant"]).mail
            assert dict(mail) == values


def test_versions_with_unreadable_secrets_keep_them_and_are_reported(make: MakeHost) -> None:
    app = make(PROVISIONING_ENCRYPTION_KEYS=[OLD])
    tenant = Caller(app, "acme").create()
    for password in ("hunter22", "hunter23"):
        patch_settings(Caller(app, "acme"), settings_path(tenant), {"mail": {"password": password}})
    (row,) = fetch_rows(app, "settings")
    other = make(PROVISIONING_ENCRYPTION_KEYS=[NEW])
    patch_settings(
        Caller(other, "acme"), settings_path(tenant), {"mail": {"password": "hunter24"}, "look": {"key": {"k": 1}}}
    )
    newer = make(PROVISIONING_ENCRYPTION_KEYS=[NEWEST, NEW])
    result = run_command(newer, "rekey")
    assert (result.status, result.out) == (1, "Re-encrypted: 0 webhooks, 1 settings, 1 versions of settings.\n")
    assert "Error: The secrets of 2 of them cannot be decrypted." in result.err
    assert json.loads(row["secrets"])["mail"]["password"] in str(fetch_rows(app, "settings_history"))
    everyone = make(PROVISIONING_ENCRYPTION_KEYS=[NEWEST, OLD], PROVISIONING_SETTINGS_CACHE_SECONDS=0)
    for version, password in enumerate(("hunter22", "hunter23", "hunter24"), 1):
        assert (
            Caller(everyone, "acme")("POST", f"{settings_path(tenant)}/rollback", json={"version": version}).status_code
            == 200
        )
        with everyone.app_context():
            assert tenant_settings.get_extension(everyone).settings_for(tenant["tenant"]).mail.password == password
