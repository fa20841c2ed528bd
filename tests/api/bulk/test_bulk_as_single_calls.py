"""A bulk job comes to what its rows come to as single calls, one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.tenants.quotas import QuotaSQL
from tests.support.bulk import Bulk
from tests.support.callers import Caller
from tests.support.database.rows import fetch_rows, get_storage
from tests.support.events import read_feed
from tests.support.hosts import make_config

Body = dict[str, Any]
#: An active, a suspended and a deleted tenant, one without an external id, and two more that are active.
TENANTS = ("a", "b", "c", "d", "e", "f")
LIVING = 5
UNKNOWN = "00000000-0000-7000-8000-000000000000"
#: What tells two runs of the same rows apart.
VARYING = {"id", "timestamp", "created_at", "updated_at", "deleted_at", "purge_at", "partner", "request_id", "line"}


class Effects(NamedTuple):
    """The effects of rows: the result of each, the tenants by name, and their events in the feed's order."""

    results: list[Any]
    tenants: list[Any]
    events: list[Any]


class Stage:
    """A partner with tenants of every state; the limits are its own."""

    def __init__(self, app: Flask, most: int | None) -> None:
        self.app, self.partner = app, Caller(app)
        self.bulk = Bulk(app, self.partner)
        tenants = {name: self._create_tenant(name) for name in TENANTS}
        self.ids = {name: tenant["tenant"] for name, tenant in tenants.items()} | {"unknown": UNKNOWN}
        self.ok("POST", f"/tenants/{self.ids['b']}/suspend", json={"reason": "unpaid"})
        self.ok("DELETE", f"/tenants/{self.ids['c']}")
        limits = {"max_tenants": None if most is None else LIVING + most, "allowed_plans": ["gold", "silver"]}
        admin = Caller(app, roles=["provisioning-admin"])
        assert admin("PATCH", f"/partners/{self.partner.partner}", json=limits).status_code == 200
        counted = {"scope": self.partner.partner, "tenants": LIVING, "until": None}
        storage = get_storage(app)
        storage.transaction(lambda session: session.run(storage.once(QuotaSQL).confirm, counted))

    def ok(self, method: str, path: str, **options: Any) -> Body:
        response = self.partner(method, path, **options)
        assert response.status_code < 300, response.text
        document: Body = response.get_json()
        return document

    def _create_tenant(self, name: str) -> Body:
        more = {} if name == "d" else {"external_id": name}
        return self.partner.create(client_name=name, email=f"{name}@example.com", metadata={"of": name}, **more)

    def with_id(self, sent: Any) -> Any:
        """A row with the id of the tenant that it names."""
        if isinstance(sent, dict) and sent.get("tenant") in self.ids:
            return sent | {"tenant": self.ids[sent["tenant"]]}
        return sent

    def job(self, operation: str, sent: Sequence[Any], query: str = "") -> list[Any]:
        """The results of a job."""
        path = f"/bulk-jobs?operation={operation}{query}"
        job = self.ok("POST", path, json=[self.with_id(row) for row in sent])["job"]
        self.bulk.work()
        items = self.ok("GET", f"/bulk-jobs/{job}/items?limit=200")["items"]
        return [self._plain(item) for item in items]

    def read_effects(self, results: list[Any]) -> Effects:
        """The effects in the database once the rows are done."""
        tenants = self.ok("GET", "/tenants?include_deleted=true&limit=200")["items"]
        named = {tenant: name for name, tenant in self.ids.items()}
        shown = sorted(
            (named.get(tenant["tenant"]) or f"new {tenant['email']}", self._plain(tenant)) for tenant in tenants
        )
        events = [event for event in read_feed(self.partner) if event["type"] != "bulk_job.finished"]
        self._require_exact_counters()
        return Effects(results, shown, [self._summarize_event(event) for event in events])

    def _require_exact_counters(self) -> None:
        living = len(fetch_rows(self.app, "tenants", partner_id=self.partner.partner, live=1))
        for counter in fetch_rows(self.app, "usage", partner_id=self.partner.partner):
            assert (counter["tenants"], counter["reserved"]) == (living, 0)

    def _summarize_event(self, event: Body) -> Any:
        changes = {name: change for name, change in (event.get("changes") or {}).items() if name not in VARYING}
        return self._plain({**event, "changes": changes, "actor": None})

    def _plain(self, value: Any) -> Any:
        """A value with its known ids as names, others as new, and without what is different each time."""
        if isinstance(value, dict):
            return {name: self._plain(member) for name, member in value.items() if name not in VARYING}
        if isinstance(value, list):
            return [self._plain(member) for member in value]
        for name, tenant in self.ids.items():
            if value == tenant:
                return name
        is_id = isinstance(value, str) and len(value) == len(UNKNOWN) and value.count("-") == 4
        return "new" if is_id else value


class Calls(Stage):
    """The same partner, who makes a single call for each row; only keys and duplicates are the job's own rules."""

    def do(self, operation: str, sent: Sequence[Any]) -> list[Any]:
        """Send the single calls; return their responses as results of rows."""
        self._operation, self._firsts, keys = operation, dict[str, int](), dict[str, tuple[str, Any]]()
        results = []
        for number, row in enumerate(sent, 1):
            body = dict(self.with_id(row))
            key = body.pop("idempotency_key", None)
            results.append(self._once(number, body, key, keys))
        return [self._plain(result) for result in results]

    def _once(self, number: int, body: Body, key: Any, keys: dict[str, tuple[str, Any]]) -> Body:
        same = json.dumps(body, sort_keys=True)
        if key == "":
            wrong = {"pointer": "#/idempotency_key", "code": "invalid-idempotency-key"}
            wrong["detail"] = "Must have 1 to 255 printable ASCII characters."
            return self._make_refusal(number, body, [*self._wrong(body), wrong])
        before = keys.get(key) if key is not None else None
        if before is not None and not self._wrong(body):
            if before[0] == same:
                return {**before[1], "row": number, "state": "unchanged"}
            response = {"status": 422, "code": "idempotency-key-reused"}
            return self._make_failure(
                number, body, {**response, "detail": "Another row was sent with this key before."}
            )
        result = self._run_row(number, body)
        if key is not None and result["state"] != "failed":
            keys[key] = same, result
        return result

    def _run_row(self, number: int, body: Body) -> Body:
        if wrong := self._wrong(body):
            return self._make_refusal(number, body, wrong)
        method, path, sent = self._call(body)
        options = {} if sent is None else {"json": sent}
        tried = self.partner(method, f"{path}?validate_only=true", **options)
        if tried.status_code >= 300:
            return self._make_failure(number, body, tried.get_json())
        tenant = tried.get_json()["tenant"]
        if (first := self._firsts.get(tenant)) is not None:
            refusal = {"status": 409, "code": "duplicate-row", "first_row": first}
            return self._make_failure(number, body, {**refusal, "detail": f"Row {first} refers to the same tenant."})
        before = self.partner("GET", f"/tenants/{tenant}").get_json().get("version")
        response = self.partner(method, path, **options)
        assert response.status_code == tried.status_code, response.text
        after = response.get_json()
        if self._operation != "create":
            self._firsts[after["tenant"]] = number
        state = "unchanged" if after["version"] == before else "succeeded"
        result = {"row": number, "state": state, "status": response.status_code, "problem": None}
        return {**result, "tenant": after["tenant"], "external_id": after["external_id"]}

    def _call(self, body: Body) -> tuple[str, str, Body | None]:
        if self._operation == "create":
            return "POST", "/tenants", body
        if self._operation == "upsert":
            return "PUT", f"/tenants/by-external-id/{quote(body['external_id'], safe='')}", body
        path, rest = f"/tenants/{self._tenant(body)}", {**body}
        if self._operation == "update":
            rest.pop("tenant" if "tenant" in body else "external_id")
            return "PATCH", path, rest
        if self._operation == "delete":
            return "DELETE", path, None
        reason = {"reason": body["reason"]} if "reason" in body else {}
        return "POST", f"{path}/{self._operation}", reason if self._operation == "suspend" else None

    def _tenant(self, body: Body) -> str:
        """The id of the tenant that the row means: the one, or the living one of that external id, or both."""
        if self._operation == "update" and "tenant" in body:
            return str(body["tenant"])
        if "external_id" not in body:
            return str(body["tenant"])
        tenants = self.ok("GET", f"/tenants?external_id={quote(body['external_id'])}")["items"]
        tenant = tenants[0]["tenant"] if tenants else UNKNOWN
        return tenant if body.get("tenant", tenant) == tenant else UNKNOWN

    def _wrong(self, body: Body) -> list[Body]:
        """Return the errors of the row itself, as a single call with the same body lists them."""
        names = body.keys() & {"tenant", "external_id"}
        if self._operation in ("create", "upsert"):
            method, path, sent = "POST", "/tenants", body
        elif self._operation == "update":
            by = "tenant" if "tenant" in body else "external_id"
            method, path, sent = "PATCH", f"/tenants/{UNKNOWN}", {k: v for k, v in body.items() if k != by}
        else:
            reason = {name: value for name, value in body.items() if name not in names}
            method, path, sent = "POST", f"/tenants/{UNKNOWN}/suspend", reason
        document = self.partner(method, f"{path}?validate_only=true", json=sent).get_json()
        errors = list(document.get("errors") or []) if document.get("code") == "validation-error" else []
        if self._operation == "upsert" and body.get("external_id") is None:
            errors.append({"pointer": "#/external_id", "code": "required", "detail": "This field is required."})
        if self._operation not in ("create", "upsert") and not names:
            detail = "A row names its tenant by `tenant` or by `external_id`."
            errors.append({"pointer": "#", "code": "required", "detail": detail})
        return errors

    def _make_refusal(self, number: int, body: Body, errors: list[Body]) -> Body:
        some = f"{len(errors)} fields are invalid." if len(errors) > 1 else "1 field is invalid."
        response = {"status": 400, "code": "validation-error", "detail": some}
        ordered = sorted(errors, key=lambda error: str(error["pointer"]))
        return self._make_failure(number, body, {**response, "errors": ordered})

    def _make_failure(self, number: int, body: Body, response: Body) -> Body:
        problem = {name: value for name, value in response.items() if name not in ("type", "title", "instance")}
        named = body.get("external_id")
        external_id = named if isinstance(named, str) and len(named) <= 128 else None
        result = {
            "row": number,
            "state": "failed",
            "status": response["status"],
            "tenant": None,
            "external_id": external_id,
        }
        return {**result, "problem": problem}


def plain(results: list[Any]) -> list[Any]:
    """Results without the titles and types of problems."""
    rows = []
    for result in results:
        problem = result["problem"] and {k: v for k, v in result["problem"].items() if k not in ("type", "title")}
        rows.append({**result, "problem": problem})
    return rows


def require_same(app: Flask, operation: str, sent: Sequence[Any], most: int | None = None) -> Effects:
    """All ways come to the same; returns what."""
    calls, rowwise, whole = Calls(app, most), Stage(app, most), Stage(app, most)
    expected = calls.read_effects(plain(calls.do(operation, sent)))
    before = rowwise.read_effects([])
    rehearsed = plain(rowwise.job(operation, sent, "&validate_only=true"))
    assert rehearsed == expected.results
    assert rowwise.read_effects([]) == before
    assert rowwise.read_effects(plain(rowwise.job(operation, sent))) == expected
    results = plain(whole.job(operation, sent, "&mode=atomic"))
    if any(result["state"] == "failed" for result in expected.results):
        skipped = {"state": "skipped", "status": None, "tenant": None}
        assert results == [
            result if result["state"] == "failed" else _merge_skipped(result, skipped) for result in expected.results
        ]
        assert whole.read_effects([]) == before
    else:
        assert whole.read_effects(results) == expected
    return expected


def _merge_skipped(result: Body, skipped: Body) -> Body:
    return {**result, **skipped}


@pytest.fixture(autouse=True)
def require_that_no_fast_path_failed(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Rows that fail together are done singly then, which comes to the same and would hide it."""
    yield
    assert "failed together" not in caplog.text


@pytest.fixture(params=["together", "hooks"])
def host(request: pytest.FixtureRequest, database_url: str) -> Flask:
    """A host without hooks, and one that takes part in every operation, so that rows are done one by one."""
    provisioning, app = TenantProvisioning(), Flask("host")
    app.config.update(make_config())
    if request.param == "hooks":
        for operation in ("create", "update", "suspend", "reactivate", "delete"):
            provisioning.hook(f"tenant.{operation}", name=operation)(lambda: None)
    provisioning.init_app(app, database_url)
    return app


def new(name: str, **more: Any) -> Body:
    return {"client_name": name, "email": f"{name}@example.com", **more}


CASES: dict[str, tuple[str, list[Any], int | None]] = {
    "a key that a failed row left free": (
        "update",
        [
            {"external_id": "nope", "idempotency_key": "k"},
            {"external_id": "a", "plan": "gold", "idempotency_key": "k"},
            {"external_id": "a", "plan": "silver"},
        ],
        None,
    ),
    "a tenant that is meant before and after such a key": (
        "update",
        [
            {"external_id": "nope", "idempotency_key": "k"},
            {"external_id": "a", "plan": "gold"},
            {"external_id": "f", "plan": "gold", "idempotency_key": "k"},
            {"external_id": "a", "plan": "silver"},
        ],
        None,
    ),
    "a key that is sent again and again": (
        "create",
        [new("a", idempotency_key="k"), new("x", idempotency_key="k"), new("y"), new("x", idempotency_key="k")],
        None,
    ),
    "two conflicts": (
        "create",
        [new("x", external_id="1"), new("a", external_id="1"), new("x", external_id="b"), new("y", external_id="1")],
        None,
    ),
    "two conflicts at the limit": (
        "create",
        [new("x"), new("y"), new("x"), new("a"), new("z")],
        2,
    ),
    "a conflict with a row that failed": ("create", [new("x", external_id="a"), new("x"), new("y")], None),
    "all that is wrong with an upsert": ("upsert", [{"email": "bad", "idempotency_key": "", "more": 1}], None),
    "all that is wrong with an update": ("update", [{"email": "bad", "phone_number": 1, "idempotency_key": ""}], None),
    "all that is wrong with a suspension": ("suspend", [{"reason": 1, "idempotency_key": ""}], None),
    "events in the order of rows": (
        "upsert",
        [
            new("y", external_id="y"),
            new("a2", external_id="a"),
            new("x", external_id="x"),
            new("f2", external_id="f"),
            new("a", external_id="z"),
            new("e2", external_id="e"),
        ],
        None,
    ),
    "a deleted tenant deleted": ("delete", [{"tenant": "c"}, {"external_id": "c"}, {"tenant": "a"}], None),
}


@pytest.mark.parametrize("case", CASES)
def test_job_equals_single_calls(app: Flask, case: str) -> None:
    require_same(app, *CASES[case])


domains = st.sampled_from(["example.com", "EXAMPLE.COM"])
emails = st.builds("{}@{}".format, st.sampled_from([*TENANTS, "x", "y"]), domains)
addresses = st.one_of(emails, emails, emails, st.sampled_from(["bad", None, 1]))
external_ids = st.sampled_from([*TENANTS, "x", "y", "z"])
keys = st.sampled_from(["k", "k", "l", ""])
others: dict[str, st.SearchStrategy[Any]] = {
    "plan": st.sampled_from(["gold", "silver", "lead", None]),
    "metadata": st.sampled_from([{"of": "a"}, {"of": None}, {"more": 'ü"\\'}, {}, {"wrong": 1}]),
    "phone_number": st.sampled_from(["+1234567890", "no", None]),
    "more": st.just(1),
}
whole = st.fixed_dictionaries(
    {"client_name": st.sampled_from(["n", "Ä", "n"]), "email": addresses},
    optional={"external_id": external_ids, "idempotency_key": keys, "plan": others["plan"], "more": others["more"]},
)
upserted = st.one_of(
    st.fixed_dictionaries(
        {"client_name": st.sampled_from([*"abn"]), "email": emails, "external_id": external_ids},
        optional={"idempotency_key": keys, "plan": others["plan"], "metadata": others["metadata"]},
    ),
    whole,
)
named = st.one_of(
    st.fixed_dictionaries({"tenant": st.sampled_from([*TENANTS, "unknown"])}),
    st.fixed_dictionaries({"external_id": external_ids}),
)
patched = st.builds(
    lambda name, patch: {**patch, **name},
    st.one_of(named, named, named, named, st.just({})),
    st.fixed_dictionaries(
        {}, optional={"email": addresses, "external_id": external_ids, "idempotency_key": keys, **others}
    ),
)
meant = st.builds(
    lambda row, other, more: {**row, **other, **more},
    st.one_of(named, named, st.just({})),
    st.one_of(st.just({}), named),
    st.fixed_dictionaries({}, optional={"idempotency_key": keys}),
)
reasons = st.sampled_from([{}, {"reason": "late"}, {"reason": 1}])
suspended = st.builds(lambda row, more: {**row, **more}, meant, reasons)
ROWS: dict[str, st.SearchStrategy[Any]] = {
    "create": whole, "upsert": upserted, "update": patched, "suspend": suspended, "reactivate": meant, "delete": meant,
}  # fmt: skip


def require_same_of_random_rows(app: Flask, operation: str, examples: int) -> None:
    room = st.sampled_from([None, 0, 1, 2] if operation in ("create", "upsert") else [None])

    @given(st.lists(ROWS[operation], min_size=3, max_size=14), room)
    @settings(
        max_examples=examples, phases=[Phase.generate], deadline=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def same(sent: list[Body], most: int | None) -> None:
        require_same(app, operation, sent, most)

    same()


@pytest.mark.slow
@pytest.mark.parametrize("operation", ROWS)
def test_random_rows_equal_single_calls(host: Flask, operation: str) -> None:
    require_same_of_random_rows(host, operation, 25)


@pytest.mark.parametrize("operation", ["create", "upsert", "update"])
def test_few_random_rows_equal_single_calls(app: Flask, operation: str) -> None:
    require_same_of_random_rows(app, operation, 1)
