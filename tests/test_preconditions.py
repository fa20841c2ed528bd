"""If-Match and If-None-Match (RFC 9110 §13), and what wins over them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from tests.refusals import NO_TAG, STALE as STALE_DETAIL, WEAK_TAG, invalid, refused
from tests.witness import everything, hosted
from tests.world import EXAMPLE, PREFIX, Caller, problem

NO_VERSION = "If-Match names no version: an ETag is a number in quotes here, and a proxy may have changed it."
NOWHERE = "/tenants/0193d5f0-0000-7000-8000-000000000000"
WRITES: dict[str, dict[str, Any]] = {"PATCH": {"json": {"industry": "Energy"}}, "PUT": {"json": EXAMPLE}, "DELETE": {}}
MATCHING = {
    "the same": '"1"',
    "any": "*",
    "any, padded": " * ",
    "first of a list": '"1", "2"',
    "last of a list": '"0", "2","1"',
    "beside a weak one": 'W/"1", "1"',
    "empty elements": ', ,"1",,',
    "padded": ' "1" ',
    "encoded, by Apache or Caddy": '"1-gzip"',
    "encoded, by Jetty": '"1--gzip"',
    "encoded, by Flask-Compress": '"1:br"',
    "encoded, by LiteSpeed": '"1;gz;;;"',
    "encoded, and others": '"0-br", "1.zstd"',
}
OTHERS = {
    "another": '"2"',
    "a list of others": '"0", "2"',
    "another, encoded": '"2-gzip"',
    "longer, encoded": '"11-gzip"',
    "leading zero, encoded": '"01-gzip"',
    "weak, of another version": 'W/"0"',
    "leading zero": '"01"',
    "longer": '"11"',
}
#: Tags that are not those of an answer, and what is said of them.
CHANGED = {
    "weak": ('W/"1"', WEAK_TAG),
    "weak ones": ('W/"0", W/"1"', WEAK_TAG),
    "weak and encoded": ('W/"1-gzip"', WEAK_TAG),
    "white space inside": ('" 1"', NO_TAG),
    "empty tag": ('""', NO_VERSION),
    "any, quoted": ('"*"', NO_VERSION),
    "a comma in a tag": ('"0,1"', NO_VERSION),
    "not ASCII": ('"\xe9"', NO_VERSION),
    "made anew by a cache": ('"1:1549298324.1234"', NO_VERSION),
    "of no encoding": ('"1-other"', NO_VERSION),
    "an encoding without a sign before it": ('"1gzip"', NO_VERSION),
    "an encoding alone": ('"-gzip"', NO_VERSION),
    "not quoted": ("1", NO_TAG),
    "half quoted": ('"1', NO_TAG),
    "single quotes": ("'1'", NO_TAG),
    "no comma": ('"1" "2"', NO_TAG),
    "any in a list": ('"0", *', NO_TAG),
    "weak, lower case": ('w/"1"', NO_TAG),
    "good, then malformed": ('"1", oops', NO_TAG),
    "empty": ("", NO_TAG),
    "ten thousand commas": ("," * 10_000, NO_TAG),
    "a hundred thousand tags": (", ".join(['"x"'] * 100_000), NO_VERSION),
}


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("header", MATCHING.values(), ids=MATCHING)
def test_a_write_to_the_version_that_if_match_names_is_done(partner: Caller, method: str, header: str) -> None:
    answer = write(partner, method, one(partner.create()), {"If-Match": header})
    assert (answer.status_code, answer.headers["ETag"], answer.get_json()["version"]) == (200, '"2"', 2)


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("header", OTHERS.values(), ids=OTHERS)
def test_a_write_to_another_version_answers_412_and_changes_nothing(partner: Caller, method: str, header: str) -> None:
    made = partner.create()
    refused(write(partner, method, one(made), {"If-Match": header}), 412, "precondition-failed", STALE_DETAIL)
    assert partner("GET", one(made)).get_json() == made


@pytest.mark.parametrize(("header", "detail"), CHANGED.values(), ids=CHANGED)
def test_a_tag_that_was_changed_on_its_way_is_told_as_such(partner: Caller, header: str, detail: str) -> None:
    made = partner.create()
    refused(write(partner, "PATCH", one(made), {"If-Match": header}), 412, "precondition-failed", detail)
    assert partner("GET", one(made)).get_json() == made


@pytest.mark.parametrize("header", ['"1-gzip"', 'W/"1"', 'W/"1:br"', '"0", "1;gz"'])
def test_a_tag_of_an_encoding_is_not_modified_and_excludes(partner: Caller, header: str) -> None:
    made = partner.create()
    answer = partner("GET", one(made), headers={"If-None-Match": header})
    assert (answer.status_code, answer.headers["ETag"]) == (304, '"1"')
    excluded = write(partner, "PATCH", one(made), {"If-None-Match": header})
    detail = "The resource has the version that If-None-Match excludes."
    refused(excluded, 412, "precondition-failed", detail)


def test_every_version_has_its_own_etag(partner: Caller) -> None:
    made = partner.create()
    seen = [partner("PATCH", one(made), json={"industry": text}).headers["ETag"] for text in ("a", "b", "b", "c")]
    assert seen == ['"2"', '"3"', '"3"', '"4"']
    stale = partner("PATCH", one(made), json={"industry": "d"}, headers={"If-Match": '"3"'})
    refused(stale, 412, "precondition-failed", STALE_DETAIL)


def test_a_stale_if_match_is_refused_even_where_nothing_would_change(partner: Caller) -> None:
    made = partner.create(industry="Energy")
    answer = write(partner, "PATCH", one(made), {"If-Match": '"7"'})
    refused(answer, 412, "precondition-failed", STALE_DETAIL)


@pytest.mark.parametrize(
    "header",
    ['"1"', 'W/"1"', "*", '"0", "1"', 'W/"0", W/"1"', ' "1" '],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_has_this_version_gets_304(partner: Caller, method: str, header: str) -> None:
    made = partner.create()
    answer = partner(method, one(made), headers={"If-None-Match": header})
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", '"1"')
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(answer.headers["X-Request-ID"]) == 32


@pytest.mark.parametrize("header", ['"2"', 'W/"2"', '"0", "2"', "1", '"1', "", '"*"', "oops"])
def test_who_has_another_version_gets_the_tenant(partner: Caller, header: str) -> None:
    made = partner.create()
    answer = partner("GET", one(made), headers={"If-None-Match": header})
    assert (answer.status_code, answer.headers["ETag"], answer.get_json()) == (200, '"1"', made)


def test_a_deleted_tenant_has_a_version_too(partner: Caller) -> None:
    made = partner.create()
    partner("DELETE", one(made))
    assert partner("GET", one(made), headers={"If-None-Match": '"1"'}).status_code == 200
    assert partner("GET", one(made), headers={"If-None-Match": '"2"'}).status_code == 304


STALE = {"If-Match": '"999"'}


@pytest.mark.parametrize("method", WRITES)
def test_401_wins_over_412(partner: Caller, method: str) -> None:
    answer = partner.client.open(PREFIX + one(partner.create()), method=method, headers=STALE, **WRITES[method])
    refused(answer, 401, "authentication-required", "Authentication required.")


@pytest.mark.parametrize(("method", "permission"), [
    ("PATCH", "tenant:update"), ("PUT", "tenant:update"), ("DELETE", "tenant:delete"),
])  # fmt: skip
def test_403_wins_over_412(partner: Caller, method: str, permission: str) -> None:
    viewer = partner.as_("partner-viewer")
    detail = f"This needs the permission {permission}."
    answer = write(viewer, method, one(partner.create()), STALE)
    refused(answer, 403, "insufficient-permission", detail, required=[permission])


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("header", ['"999"', "*"])
def test_404_wins_over_412(app: Flask, partner: Caller, method: str, header: str) -> None:
    for path in (NOWHERE, one(Caller(app).create()), "/tenants/oops"):
        answer = write(partner, method, path, {"If-Match": header})
        refused(answer, 404, "tenant-not-found", "Tenant not found.")


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_400_wins_over_412(partner: Caller, method: str) -> None:
    path = one(partner.create())
    malformed = partner(method, path, data=b"{", content_type="application/json", headers=STALE)
    assert (malformed.status_code, malformed.get_json()["code"]) == (400, "malformed-json")
    wrong = partner(method, path, json={**EXAMPLE, "email": "nobody"}, headers=STALE)
    invalid(wrong, ("#/email", "invalid-email", "Invalid email address."))


@pytest.mark.parametrize("method", WRITES)
def test_an_unknown_parameter_wins_over_412(partner: Caller, method: str) -> None:
    answer = write(partner, method, f"{one(partner.create())}?force=true", STALE)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid-parameter")


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_415_and_406_win_over_412(partner: Caller, method: str) -> None:
    path = one(partner.create())
    assert partner(method, path, data="{}", content_type="text/plain", headers=STALE).status_code == 415
    assert partner(method, path, json=EXAMPLE, headers={**STALE, "Accept": "text/html"}).status_code == 406


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_409_of_the_state_wins_over_412(partner: Caller, method: str) -> None:
    path = one(partner.create())
    partner("DELETE", path)
    detail = "A deleted tenant cannot be changed."
    refused(write(partner, method, path, STALE), 409, "invalid-state", detail, tenant_status="deleted")


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_412_wins_over_a_taken_address(partner: Caller, method: str) -> None:
    holder, made = partner.create(), partner.create()
    body = {"client_name": "Example Corp", "email": holder["email"]}
    refused(partner(method, one(made), json=body, headers=STALE), 412, "precondition-failed", STALE_DETAIL)


#: Every write to a tenant that exists: what is sent where, to a tenant in which state.
EVERY_WRITE: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "patch": ("PATCH", "/tenants/{}", {"json": {"industry": "Energy"}}, "active"),
    "patch, unchanged": ("PATCH", "/tenants/{}", {"json": {}}, "active"),
    "replace": ("PUT", "/tenants/{}", {"json": EXAMPLE}, "active"),
    "upsert": ("PUT", "/tenants/by-external-id/crm-1", {"json": EXAMPLE}, "active"),
    "suspend": ("POST", "/tenants/{}/suspend", {}, "active"),
    "suspend, already": ("POST", "/tenants/{}/suspend", {}, "suspended"),
    "reactivate": ("POST", "/tenants/{}/reactivate", {}, "suspended"),
    "delete": ("DELETE", "/tenants/{}", {}, "active"),
    "delete, already": ("DELETE", "/tenants/{}", {}, "deleted"),
    "restore": ("POST", "/tenants/{}/restore", {}, "deleted"),
    "purge": ("DELETE", "/tenants/{}?purge=true", {}, "active"),
    "purge, deleted": ("DELETE", "/tenants/{}?purge=true", {}, "deleted"),
}
TO_AN_ID = [name for name in EVERY_WRITE if name != "upsert" and "," not in name]
DEMANDED = "Send the resource's ETag in If-Match."


@pytest.fixture(scope="module")
def strict_app(request: pytest.FixtureRequest, database: str) -> Iterator[Flask]:
    with hosted(request, database, PROVISIONING_REQUIRE_IF_MATCH=True) as app:
        yield app


@pytest.fixture
def strict(strict_app: Flask) -> Caller:
    """Somebody who may do everything, in an app that demands If-Match."""
    return Caller(strict_app, roles=["provisioning-admin"])


@pytest.mark.parametrize("headers", [{}, {"If-None-Match": '"99"'}], ids=["no condition", "another condition"])
@pytest.mark.parametrize("name", EVERY_WRITE)
def test_where_if_match_is_demanded_a_write_without_it_answers_428(
    strict: Caller, name: str, headers: dict[str, str]
) -> None:
    made = ready(strict, name)
    before = everything(strict.app)
    refused(written(strict, name, made, headers), 428, "precondition-required", DEMANDED)
    assert everything(strict.app) == before


@pytest.mark.parametrize("header", ['"{}"', "*", '"0", "{}"'], ids=["its version", "any version", "a list"])
@pytest.mark.parametrize("name", EVERY_WRITE)
def test_where_if_match_is_demanded_any_that_matches_counts(strict: Caller, name: str, header: str) -> None:
    made = ready(strict, name)
    answer = written(strict, name, made, {"If-Match": header.format(made["version"])})
    assert answer.status_code in (200, 204), answer.text


@pytest.mark.parametrize("header", ['"99"', '"0", W/"99"'])
@pytest.mark.parametrize("name", EVERY_WRITE)
def test_where_if_match_is_demanded_another_answers_412(strict: Caller, name: str, header: str) -> None:
    made = ready(strict, name)
    refused(written(strict, name, made, {"If-Match": header}), 412, "precondition-failed", STALE_DETAIL)


def test_creating_is_exempt(strict: Caller) -> None:
    assert strict("POST", "/tenants", json=EXAMPLE).status_code == 201


def test_an_upsert_that_creates_is_exempt(strict: Caller) -> None:
    path, body = "/tenants/by-external-id/crm-9", {**EXAMPLE, "email": "new@example.com"}
    assert strict("PUT", path, json=body, headers={"If-None-Match": "*"}).status_code == 201
    answer = strict("PUT", path, json=body, headers={"If-None-Match": "*"})
    detail = "The resource has the version that If-None-Match excludes."
    refused(answer, 412, "precondition-failed", detail)


def test_reading_is_exempt(strict: Caller) -> None:
    made = strict.create()
    assert strict("GET", one(made)).status_code == strict("GET", "/tenants").status_code == 200


def test_a_missing_if_match_is_not_remembered_under_the_key(strict: Caller) -> None:
    made = strict.create()
    key = {"Idempotency-Key": "key-1"}
    refused(written(strict, "patch", made, key), 428, "precondition-required", DEMANDED)
    answer = written(strict, "patch", made, {**key, "If-Match": '"1"'})
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')


@pytest.mark.parametrize("headers", [{}, STALE], ids=["over 428", "over 412"])
class TestWhatWins:
    """Over a precondition that is missing, and over one that fails."""

    @pytest.mark.parametrize("name", EVERY_WRITE)
    def test_401(self, strict: Caller, name: str, headers: dict[str, str]) -> None:
        made, nobody = ready(strict, name), Caller(strict.app)
        nobody.token = "oops"
        problem(written(nobody, name, made, headers), status=401, code="invalid-token")

    @pytest.mark.parametrize("name", EVERY_WRITE)
    def test_403(self, strict: Caller, name: str, headers: dict[str, str]) -> None:
        made = ready(strict, name)
        viewer = strict.as_("partner-viewer")
        problem(written(viewer, name, made, headers), status=403, code="insufficient-permission")

    @pytest.mark.parametrize("name", TO_AN_ID)
    def test_404(self, strict: Caller, name: str, headers: dict[str, str]) -> None:
        nothing = {"tenant": NOWHERE.rpartition("/")[2]}
        refused(written(strict, name, nothing, headers), 404, "tenant-not-found", "Tenant not found.")

    @pytest.mark.parametrize("name", EVERY_WRITE)
    def test_400(self, strict: Caller, name: str, headers: dict[str, str]) -> None:
        made = ready(strict, name)
        answer = written(strict, name, made, headers, query="force=true")
        problem(answer, status=400, code="invalid-parameter")

    @pytest.mark.parametrize("name", ["patch", "replace", "upsert", "suspend"])
    def test_400_of_the_body(self, strict: Caller, name: str, headers: dict[str, str]) -> None:
        made = ready(strict, name)
        answer = written(strict, name, made, headers, json={"status": "active"})
        problem(answer, status=400, code="validation-error")

    @pytest.mark.parametrize(("name", "state"), [
        ("patch", "deleted"), ("replace", "deleted"), ("suspend", "deleted"), ("reactivate", "deleted"),
        ("restore", "active"), ("restore", "suspended"),
    ])  # fmt: skip
    def test_409_of_the_state(self, strict: Caller, name: str, state: str, headers: dict[str, str]) -> None:
        made = in_state(strict, state)
        problem(written(strict, name, made, headers), status=409, code="invalid-state", tenant_status=state)


def test_of_several_headers_every_tag_counts(partner: Caller) -> None:
    answer = partner("PATCH", one(partner.create()), json={}, headers={"If-Match": '"7","8", "1"'})
    assert answer.status_code == 200


def ready(caller: Caller, name: str) -> dict[str, Any]:
    """A tenant in the state that this write starts from."""
    return in_state(caller, EVERY_WRITE[name][3])


def in_state(caller: Caller, state: str) -> dict[str, Any]:
    made = caller.create(external_id="crm-1")
    tag = {"If-Match": "*"}
    if state == "suspended":
        caller("POST", f"{one(made)}/suspend", headers=tag)
    elif state == "deleted":
        caller("DELETE", one(made), headers=tag)
    found: dict[str, Any] = caller("GET", one(made)).get_json()
    assert found["status"] == state
    return found


def written(
    caller: Caller, name: str, tenant: dict[str, Any], headers: dict[str, str], query: str = "", **options: Any
) -> Any:
    """The answer to one of `EVERY_WRITE`."""
    method, path, given, _ = EVERY_WRITE[name]
    joined = path.format(tenant["tenant"]) + (f"{'&' if '?' in path else '?'}{query}" if query else "")
    return caller(method, joined, headers=headers, **{**given, **options})


def one(tenant: dict[str, Any]) -> str:
    return f"/tenants/{tenant['tenant']}"


def write(caller: Caller, method: str, path: str, headers: dict[str, str]) -> Any:
    return caller(method, path, headers=headers, **WRITES[method])
