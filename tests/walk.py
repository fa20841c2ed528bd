"""A walk through the whole contract, from outside: what a partner of any host hears, stop by stop."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import jwt
from flask import Flask
from werkzeug.test import Client, TestResponse

from tests.recording import Exchange, Outcome, exchange_of
from tests.refusals import invalid, invalid_parameter, refused
from tests.world import EXAMPLE, PREFIX, configuration, problem

Stop = Callable[["Walker"], None]
STOPS: dict[str, Stop] = {}
NOWHERE = "/tenants/01930000-0000-7000-8000-000000000000"
BARE = 'Bearer realm="provisioning"'
_numbers = itertools.count(1)


class Walker:
    """A partner who speaks HTTP to `app`, found below the path `root`, and knows nothing of what it is made of."""

    def __init__(self, app: Flask, root: str = "") -> None:
        self._client = Client(app)
        self.exchanges: list[Exchange] = []
        self.base = root + PREFIX
        self.partner = f"walker-{next(_numbers)}-{time.time_ns():x}"

    def token(self, role: str = "partner-admin", **claims: Any) -> str:
        """A token as the identity provider signs it."""
        named = {"sub": "someone", "roles": [role], "partner_id": self.partner, "exp": time.time() + 600, **claims}
        return jwt.encode(named, configuration()["JWT_SECRET_KEY"], "HS256")

    def __call__(
        self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> TestResponse:
        """What is answered below the mount. Headers are given with _ for -; `token` is a partner-admin's unless given.

        An address that the API gave is followed as it is, with :meth:`follow`.
        """
        return self._send(method, self.base + path, body, token, headers)

    def follow(self, address: str, **headers: str) -> TestResponse:
        """What is answered at an address that the API gave: at this very path, wherever it leads."""
        assert address.startswith("/"), address
        return self._send("GET", address, None, None, headers)

    def _send(self, method: str, address: str, body: Any, token: str | None, headers: dict[str, str]) -> TestResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        bearer = self.token() if token is None else token
        if bearer:
            sent["Authorization"] = f"Bearer {bearer}"
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        answer = self._client.open(address, method=method, data=data, headers=sent)
        self.exchanges.append(exchange_of(answer))
        assert answer.headers["Cache-Control"] == "no-store", answer.text
        return answer

    def new(self, **fields: Any) -> dict[str, Any]:
        """A tenant that was created just now."""
        answer = self("POST", "/tenants", {**EXAMPLE, "email": f"w{next(_numbers)}@example.com", **fields})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.get_json()
        return made


def stop(function: Stop) -> Stop:
    """Add a stop to the walk, by the name of the function."""
    STOPS[function.__name__] = function
    return function


def walk(app: Flask, root: str = "") -> dict[str, Outcome]:
    """Whether the contract fails at each stop, where callers find the app below the path `root`."""
    return {name: _visit(Walker(app, root), visit) for name, visit in STOPS.items()}


def _visit(walker: Walker, visit: Stop) -> Outcome:
    failed = False
    try:
        visit(walker)
    except (AssertionError, KeyError, TypeError, ValueError):
        failed = True
    return Outcome(failed, tuple(walker.exchanges))


def at(tenant: dict[str, Any], action: str = "") -> str:
    """The path of a tenant."""
    return f"/tenants/{tenant['tenant']}{action}"


def linked(answer: TestResponse) -> str:
    """The address of the Link header."""
    return str(answer.headers["Link"].partition("<")[2].partition(">")[0])


@stop
def create(walker: Walker) -> None:
    answer = walker("POST", "/tenants", EXAMPLE)
    made = answer.get_json()
    assert (answer.status_code, answer.content_type) == (201, "application/json")
    assert {**made, **EXAMPLE, "partner": walker.partner, "status": "active", "version": 1} == made
    assert (answer.headers["Location"], answer.headers["ETag"]) == (walker.base + at(made), '"1"')


@stop
def read(walker: Walker) -> None:
    made = walker.new()
    answer = walker("GET", at(made))
    assert (answer.status_code, answer.get_json()) == (200, made)


@stop
def not_modified(walker: Walker) -> None:
    answer = walker("GET", at(walker.new()), If_None_Match='"1"')
    assert (answer.status_code, answer.data) == (304, b"")


@stop
def empty_list(walker: Walker) -> None:
    answer = walker("GET", "/tenants")
    assert (answer.status_code, answer.get_json()) == (200, {"items": [], "next": None})


@stop
def pages(walker: Walker) -> None:
    made = [walker.new()["tenant"] for _ in range(3)]
    first = walker("GET", "/tenants?limit=2&sort=created_at")
    assert first.headers["Link"].startswith(f"<{walker.base}/tenants?")
    second = walker.follow(linked(first))
    assert [one["tenant"] for page in (first, second) for one in page.get_json()["items"]] == made


@stop
def patch(walker: Walker) -> None:
    made = walker.new()
    sent = {"industry": None, "metadata": {"ä": "€"}}
    answer = walker("PATCH", at(made), sent, Content_Type="application/merge-patch+json")
    changed = answer.get_json()
    assert answer.status_code == 200
    assert changed == {**made, **sent, "version": 2, "updated_at": changed["updated_at"]}


@stop
def put(walker: Walker) -> None:
    made = walker.new()
    sent = {"client_name": "Other", "email": made["email"]}
    answer = walker("PUT", at(made), sent)
    assert (answer.status_code, answer.get_json()["client_name"], answer.get_json()["industry"]) == (200, "Other", None)


@stop
def upsert(walker: Walker) -> None:
    answers = [walker("PUT", "/tenants/by-external-id/a%2Fb", EXAMPLE) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert [answer.get_json()["version"] for answer in answers] == [1, 1]


@stop
def suspend_and_reactivate(walker: Walker) -> None:
    made = walker.new()
    suspended = walker("POST", at(made, "/suspend"), {"reason": "unpaid"})
    again = walker("POST", at(made, "/reactivate"))
    assert [one.get_json()["status"] for one in (suspended, again)] == ["suspended", "active"]


@stop
def delete_and_restore(walker: Walker) -> None:
    made = walker.new()
    deleted = walker("DELETE", at(made))
    restored = walker("POST", at(made, "/restore"))
    assert [one.get_json()["status"] for one in (deleted, restored)] == ["deleted", "active"]


@stop
def purge(walker: Walker) -> None:
    made, admin = walker.new(), walker.token("provisioning-admin")
    answer = walker("DELETE", f"{at(made)}?purge=true", token=admin)
    assert (answer.status_code, answer.data) == (204, b"")
    problem(walker("GET", at(made)), code="tenant-not-found")


@stop
def rehearsal(walker: Walker) -> None:
    answer = walker("POST", "/tenants?validate_only=true", EXAMPLE)
    assert (answer.status_code, answer.headers["X-Validate-Only"]) == (201, "true")
    assert walker("GET", "/tenants").get_json()["items"] == []


@stop
def replay(walker: Walker) -> None:
    first, second = (walker("POST", "/tenants", EXAMPLE, Idempotency_Key="k") for _ in range(2))
    assert (second.status_code, second.data, second.headers["Idempotency-Replayed"]) == (201, first.data, "true")


@stop
def key_reused_is_422(walker: Walker) -> None:
    walker("POST", "/tenants", EXAMPLE, Idempotency_Key="k")
    answer = walker("POST", "/tenants", {**EXAMPLE, "industry": "Energy"}, Idempotency_Key="k")
    problem(answer, status=422, code="idempotency-key-reused")


@stop
def precondition_failed_is_412(walker: Walker) -> None:
    answer = walker("PATCH", at(walker.new()), {"industry": None}, If_Match='"7"')
    problem(answer, status=412, code="precondition-failed")


@stop
def taken_email_is_409(walker: Walker) -> None:
    made = walker.new()
    answer = walker("POST", "/tenants", {**EXAMPLE, "email": made["email"].upper()})
    problem(answer, status=409, code="tenant-exists", field="email", conflicting_tenant=made["tenant"])


@stop
def wrong_state_is_409(walker: Walker) -> None:
    problem(walker("POST", at(walker.new(), "/restore")), status=409, code="invalid-state")


@stop
def no_token_is_401(walker: Walker) -> None:
    answer = walker("GET", "/tenants", token="")
    refused(answer, 401, "authentication-required", "Authentication required.")
    assert answer.headers["WWW-Authenticate"] == BARE


@stop
def forged_token_is_401(walker: Walker) -> None:
    forged = f"{walker.token().rpartition('.')[0]}.{'A' * 43}"
    answer = walker("GET", "/tenants", token=forged)
    problem(answer, status=401, code="invalid-token")
    assert answer.headers["WWW-Authenticate"] == f'{BARE}, error="invalid_token"'


@stop
def stale_token_is_401(walker: Walker) -> None:
    problem(walker("GET", "/tenants", token=walker.token(exp=time.time() - 1)), status=401, code="token-expired")


@stop
def viewer_who_writes_is_403(walker: Walker) -> None:
    answer = walker("POST", "/tenants", EXAMPLE, token=walker.token("partner-viewer"))
    problem(answer, status=403, code="insufficient-permission", required=["tenant:create"])


@stop
def absent_tenant_is_404(walker: Walker) -> None:
    problem(walker("GET", NOWHERE), status=404, code="tenant-not-found")


@stop
def unknown_path_is_404(walker: Walker) -> None:
    for path in ("", "/", "/nowhere", "/tenants/a/b"):
        refused(walker("GET", path, token=""), 404, "not-found", "Not found.")


@stop
def wrong_method_is_405(walker: Walker) -> None:
    answer = walker("DELETE", "/tenants", token="")
    refused(answer, 405, "method-not-allowed", "DELETE is not possible here.")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


@stop
def unacceptable_is_406(walker: Walker) -> None:
    problem(walker("GET", "/tenants", Accept="text/html"), status=406, code="not-acceptable")


@stop
def large_body_is_413(walker: Walker) -> None:
    answer = walker("POST", "/tenants", b" " * (1024 * 1024 + 1))
    refused(answer, 413, "body-too-large", "The body is larger than 1048576 bytes.", limit=1024 * 1024)


@stop
def form_is_415(walker: Walker) -> None:
    answer = walker("POST", "/tenants", b"client_name=x", Content_Type="application/x-www-form-urlencoded")
    problem(answer, status=415, code="unsupported-media-type")


@stop
def malformed_json_is_400(walker: Walker) -> None:
    problem(walker("POST", "/tenants", b'{"a": NaN}'), status=400, code="malformed-json")


@stop
def faulty_fields_are_400(walker: Walker) -> None:
    answer = walker("POST", "/tenants", {**EXAMPLE, "email": "nobody"})
    invalid(answer, ("#/email", "invalid-email", "Invalid email address."))


@stop
def faulty_parameter_is_400(walker: Walker) -> None:
    answer = walker("GET", "/tenants?limit=0")
    invalid_parameter(answer, ("#/limit", "invalid-limit", "Must be a whole number from 1 on."))


@stop
def upload(walker: Walker) -> None:
    rows = [{**EXAMPLE, "email": f"u{next(_numbers)}@example.com"} for _ in range(20)]
    body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    answer = walker("POST", "/bulk-jobs", body, Content_Type="application/x-ndjson")
    assert (answer.status_code, answer.get_json()["total"]) == (202, 20)


@stop
def every_location_leads_to_what_was_made(walker: Walker) -> None:
    row = json.dumps(EXAMPLE).encode() + b"\n"
    endpoint = {"url": "https://[3000::1]/", "events": ["tenant.*"]}
    for path, body, typed, name in (
        ("/tenants", EXAMPLE, "application/json", "tenant"),
        ("/bulk-jobs", row, "application/x-ndjson", "job"),
        ("/webhooks", endpoint, "application/json", "webhook"),
    ):
        made = walker("POST", path, body, Content_Type=typed)
        found = walker.follow(made.headers["Location"])
        assert (found.status_code, found.get_json()[name]) == (200, made.get_json()[name])


@stop
def every_next_leads_on(walker: Walker) -> None:
    made = [walker.new()["tenant"] for _ in range(2)]
    feed = walker("GET", "/events?limit=1")
    rest = walker.follow(linked(feed))
    assert [one["tenant"] for page in (feed, rest) for one in page.get_json()["items"]] == made
    page = walker("GET", "/tenants?limit=1&sort=created_at").get_json()
    assert walker("GET", f"/tenants?sort=created_at&cursor={page['next']}").get_json()["items"][0]["tenant"] == made[1]


@stop
def what_a_problem_names_is_there(walker: Walker) -> None:
    refusal = walker("GET", "/tenants?x=1").get_json()
    explained = walker.follow(refusal["type"], Accept="application/json")
    assert (explained.status_code, explained.get_json()["code"]) == (200, "invalid-parameter")
    assert walker.follow(refusal["instance"]).status_code == 200


@stop
def what_the_docs_load_is_there(walker: Walker) -> None:
    for path in ("/docs", "/problems/not-found"):
        page = walker("GET", path, token="", Accept="text/html")
        for reference in re.findall(r'(?:src|href)="([^"]*)"', page.text):
            address = urljoin(f"http://host{walker.base}{path}", reference).removeprefix("http://host")
            assert walker.follow(address, Accept="*/*").status_code == 200


@stop
def tags_are_ours_however_packed(walker: Walker) -> None:
    made = walker.new(metadata={f"note{number}": "x" * 400 for number in range(5)})
    answer = walker("GET", at(made), Accept_Encoding="gzip")
    assert (answer.headers["ETag"], answer.get_json()) == ('"1"', made)


@stop
def request_id(walker: Walker) -> None:
    answer = walker("GET", "/nowhere", X_Request_ID="r-1")
    assert answer.get_json()["request_id"] == answer.headers["X-Request-ID"]


@stop
def no_cookie_plays_a_part(walker: Walker) -> None:
    for path, status in (("/openapi.json", 200), ("/nowhere", 404)):
        answer = walker("GET", path, token="", Cookie="session=nonsense")
        assert (answer.status_code, answer.mimetype != "application/problem+json") == (status, status == 200)
        assert ("Set-Cookie" in answer.headers, "Cookie" in answer.headers.get("Vary", "")) == (False, False)


@stop
def openapi(walker: Walker) -> None:
    document = walker("GET", "/openapi.json", token="").get_json()
    assert document["openapi"].startswith("3.1")
    assert [server["url"] for server in document["servers"]] == [walker.base]


@stop
def docs(walker: Walker) -> None:
    answer = walker("GET", "/docs", token="")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")


@stop
def problems(walker: Walker) -> None:
    answer = walker("GET", "/problems/not-found", token="")
    assert (answer.status_code, answer.get_json()["code"]) == (200, "not-found")


@stop
def health(walker: Walker) -> None:
    assert walker("GET", "/health", token="").status_code == 200
