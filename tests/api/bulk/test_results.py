"""Results of a job over HTTP: in pages, as NDJSON, and as a table that can be corrected and sent again."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.bulk import actions
from flask_tenant_provisioning.bulk.results import ErrorBudget
from tests.support.assertions import assert_invalid_parameters, assert_problem
from tests.support.bulk import Bulk
from tests.support.callers import Caller
from tests.support.hosts import PREFIX, make_config

JOBS = "/bulk-jobs"
CSV, NDJSON = "text/csv", "application/x-ndjson"
#: Every sign that a spreadsheet takes for the beginning of a formula, written out: the test is not to ask the code.
FORMULA_SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
RESULT = ["result.row", "result.line", "result.state", "result.status", "result.tenant", "result.code", "result.detail"]


def make_row(n: int, **more: Any) -> dict[str, Any]:
    return {"client_name": f"Client {n}", "email": f"admin{n}@example.com", **more}


def finish_job(partner: Caller, data: bytes, media_type: str = NDJSON, query: str = "") -> str:
    """Run a job; return the path of its items."""
    response = partner("POST", f"{JOBS}{query}", data=data, content_type=media_type)
    assert response.status_code == 202, response.text
    Bulk(partner.app, partner).work()
    return f"{JOBS}/{response.get_json()['job']}/items"


def lines(*sent: Any) -> bytes:
    return b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in sent)


def table(partner: Caller, path: str) -> list[list[str]]:
    """The rows of the CSV, the header first."""
    response = partner("GET", path, headers={"Accept": CSV})
    assert (response.status_code, response.content_type) == (200, "text/csv; charset=utf-8; header=present"), (
        response.text
    )
    return list(csv.reader(io.StringIO(response.text)))


def test_a_row_that_was_done_and_one_that_failed(partner: Caller) -> None:
    path = finish_job(partner, lines(make_row(1, external_id="one"), {"client_name": "", "external_id": "two"}))
    (tenant,) = partner("GET", "/tenants").get_json()["items"]
    response = partner("GET", path)
    assert (response.status_code, response.headers["Vary"]) == (200, "Accept")
    problem = {
        "type": f"{PREFIX}/problems/validation-error",
        "title": "Invalid input",
        "status": 400,
        "code": "validation-error",
        "detail": "2 fields are invalid.",
        "line": 2,
        "errors": [
            {"pointer": "#/client_name", "code": "invalid-length", "detail": "Must have 1 to 255 characters."},
            {"pointer": "#/email", "code": "required", "detail": "This field is required."},
        ],
    }
    assert response.get_json() == {
        "items": [
            {
                "row": 1, "state": "succeeded", "status": 201, "tenant": tenant["tenant"], "external_id": "one",
                "problem": None,
            },
            {"row": 2, "state": "failed", "status": 400, "tenant": None, "external_id": "two", "problem": problem},
        ],
        "next": None,
    }  # fmt: skip


def test_failed_row_has_the_problem_of_the_single_call(partner: Caller) -> None:
    partner.create(email="taken@example.com")
    (item,) = partner("GET", finish_job(partner, lines(make_row(1, email="taken@example.com")))).get_json()["items"]
    single = partner("POST", "/tenants", json=make_row(1, email="taken@example.com")).get_json()
    for name in ("instance", "request_id"):
        del single[name]
    assert item["problem"] == {**single, "line": 1}
    assert item["status"] == 409


def test_pages_go_through_all_rows_of_a_state(partner: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "CHUNK_ROWS", 3)
    path = finish_job(partner, lines(*(make_row(n, email="nobody") if n % 2 else make_row(n) for n in range(1, 11))))
    for state, expected in [("failed", [1, 3, 5, 7, 9]), ("succeeded", [2, 4, 6, 8, 10]), ("skipped", [])]:
        rows, query = [], f"?state={state}&limit=2"
        while query:
            page = partner("GET", f"{path}{query}").get_json()
            rows += [item["row"] for item in page["items"]]
            query = f"?state={state}&limit=2&cursor={page['next']}" if page["next"] else ""
        assert rows == expected


def test_a_page_has_50_items_unless_asked_for_more(partner: Caller) -> None:
    path = finish_job(partner, lines(*map(make_row, range(60))))
    assert len(partner("GET", path).get_json()["items"]) == 50
    assert len(partner("GET", f"{path}?limit=2000").get_json()["items"]) == 60


def test_a_cursor_is_good_for_its_own_job_and_state(partner: Caller) -> None:
    path, other = (
        finish_job(partner, lines(make_row(1), make_row(2))),
        finish_job(partner, lines(make_row(3), make_row(4))),
    )
    cursor = partner("GET", f"{path}?limit=1").get_json()["next"]
    for wrong in (f"{other}?cursor={cursor}", f"{path}?state=failed&cursor={cursor}", f"{path}?cursor=x"):
        assert partner("GET", wrong).get_json()["code"] == "invalid-cursor"


def test_invalid_result_parameters_are_refused(partner: Caller) -> None:
    path = finish_job(partner, lines(make_row(1)))
    assert_invalid_parameters(
        partner("GET", f"{path}?state=good&limit=0&sort=row"),
        ("#/limit", "invalid-limit", "Must be a whole number from 1 on."),
        ("#/sort", "unknown-field", "There is no such field."),
        ("#/state", "invalid-choice", "Must be one of: succeeded, failed, unchanged, skipped."),
    )


@pytest.mark.parametrize("accept", [CSV, NDJSON])
def test_a_stream_has_no_pages(partner: Caller, accept: str) -> None:
    path = finish_job(partner, lines(make_row(1)))
    response = partner("GET", f"{path}?limit=1&cursor=x", headers={"Accept": accept})
    entry = {"code": "not-for-streams", "detail": "Only pages of JSON have it: this is all in one."}
    errors = [{"pointer": f"#/{name}", **entry} for name in ("cursor", "limit")]
    assert_problem(response, 400, "invalid-parameter", "A stream has no pages.", errors=errors)


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/*", "text/csv; charset=utf-8; header=present"),
        ("application/x-ndjson, application/json;q=0.5", NDJSON),
        ("application/json, text/csv", "application/json"),
        ("text/csv;q=0.9, application/x-ndjson;q=0.8", "text/csv; charset=utf-8; header=present"),
    ],
)
def test_the_accept_header_chooses(partner: Caller, accept: str | None, answered: str) -> None:
    path = finish_job(partner, lines(make_row(1)))
    response = partner("GET", path, headers={"Accept": accept} if accept else {})
    assert (response.status_code, response.content_type) == (200, answered)
    response.close()


def test_other_types_are_not_acceptable(partner: Caller) -> None:
    path, offered = finish_job(partner, lines(make_row(1))), ["application/json", NDJSON, CSV]
    detail = f"This is answered as {', '.join(offered)}."
    assert_problem(
        partner("GET", path, headers={"Accept": "text/html"}), 406, "not-acceptable", detail, offered=offered
    )


def test_ndjson_items_equal_the_pages(partner: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "CHUNK_ROWS", 2)
    path = finish_job(partner, lines(make_row(1), b"{", make_row(2), make_row(2), 5))
    for state in ("", "?state=failed"):
        response = partner("GET", f"{path}{state}", headers={"Accept": NDJSON})
        items = [json.loads(line) for line in response.text.splitlines()]
        assert items == partner("GET", f"{path}{state}").get_json()["items"]
    assert [item["row"] for item in items] == [2, 4, 5]


def test_the_table_has_the_columns_of_the_upload_and_of_the_result(partner: Caller) -> None:
    sent = 'email;client_name;metadata.tier;plan\nnobody;"Müller; Söhne";"a ""b""";\nno one;A;;red\n'
    path = finish_job(partner, sent.encode(), CSV)
    response = partner("GET", path, headers={"Accept": CSV})
    assert response.headers["Content-Disposition"] == f'attachment; filename="{path.split("/")[2]}.csv"'
    assert table(partner, path) == [
        ["client_name", "email", "plan", "metadata.tier", *RESULT],
        ["Müller; Söhne", "nobody", "", 'a "b"', "1", "2", "failed", "400", "", "validation-error",
         "email: Invalid email address."],
        ["A", "no one", "red", "", "2", "3", "failed", "400", "", "validation-error",
         "email: Invalid email address."],
    ]  # fmt: skip


def test_rows_of_json_become_a_table_too(partner: Caller) -> None:
    row = {**make_row(1), "metadata": {"a": "1", "b": "zwei\nZeilen"}, "industry": None, "plan": 5}
    path = finish_job(partner, lines(row, b"{", [1], {"metadata": [1], "email": True}))
    header, *rows = table(partner, path)
    assert header == ["client_name", "email", "industry", "plan", "metadata", "metadata.a", "metadata.b", *RESULT]
    table_rows = [dict(zip(header, cells, strict=True)) for cells in rows]
    assert [row["metadata.b"] for row in table_rows] == ["zwei\nZeilen", "", "", ""]
    assert [row["plan"] for row in table_rows] == ["5", "", "", ""]
    assert [row["metadata"] for row in table_rows] == ["", "", "", "[1]"]
    assert [row["email"] for row in table_rows] == ["admin1@example.com", "", "", "true"]
    assert [row["result.code"] for row in table_rows] == [
        "validation-error",
        "malformed-json",
        "validation-error",
        "validation-error",
    ]


def test_errors_beyond_the_limit_are_counted() -> None:
    room, kept = ErrorBudget(5), []
    for _ in range(4):
        errors, members = [*"abc"], dict[str, Any]()
        room.trim(errors, members)
        kept.append(("".join(errors), members))
    assert kept == [("abc", {}), ("ab", {"errors_omitted": 1}), *[("a", {"errors_omitted": 2})] * 2]
    errors, members = [*"abc"], {"errors_omitted": 7}
    room.trim(errors, members)
    assert (errors, members) == (["a"], {"errors_omitted": 9})


def test_a_row_keeps_100_errors(partner: Caller) -> None:
    path = finish_job(partner, lines({f"n{n}": 0 for n in range(120)}))
    (item,) = partner("GET", path).get_json()["items"]
    assert (len(item["problem"]["errors"]), item["problem"]["errors_omitted"]) == (100, 22)
    assert item["problem"]["detail"] == "122 fields are invalid."


def test_names_that_no_header_could_hold_are_no_table(partner: Caller) -> None:
    path = finish_job(partner, lines({"a" * 200_000: 1}, {"b" * 200_000: 1}))
    response = partner("GET", path, headers={"Accept": CSV})
    detail = "The names of the rows' columns are longer than a row may be. Request another media type."
    assert_problem(response, 406, "not-acceptable", detail)


@pytest.mark.parametrize("sign", FORMULA_SIGNS)
def test_no_cell_is_a_formula_to_an_administrator(partner: Caller, sign: str) -> None:
    row = {
        "client_name": "x",
        "email": f"{sign}1",
        "phone_number": f"'{sign}1",
        "industry": f"a{sign}",
        f"{sign}k": "v",
    }
    path = finish_job(partner, lines(row))
    administrator = Caller(partner.app, roles=["provisioning-admin"])
    theirs, ours = table(administrator, path), table(partner, path)
    named = dict(zip(theirs[0], theirs[1], strict=True))
    assert (named["email"], named["phone_number"], named["industry"]) == (f"'{sign}1", f"''{sign}1", f"a{sign}")
    assert named[f"'{sign}k"] == "v"
    assert not any(cell.startswith(tuple(FORMULA_SIGNS)) for cells in theirs for cell in cells)
    own = dict(zip(ours[0], ours[1], strict=True))
    assert {name: own[name] for name in row} == row


def test_a_corrected_table_can_be_sent_again(partner: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "CHUNK_ROWS", 2)
    rows = [
        make_row(1),
        make_row(2, email="nobody", metadata={"tier": "gold"}),
        make_row(3),
        make_row(4, email="no one"),
    ]
    path = finish_job(partner, lines(*rows))
    failed = partner("GET", f"{path}?state=failed", headers={"Accept": CSV}).text
    assert failed.count("\r\n") == 3
    corrected = failed.replace("nobody", "two@example.com").replace("no one", "four@example.com")
    again = finish_job(partner, corrected.encode(), CSV)
    assert [item["state"] for item in partner("GET", again).get_json()["items"]] == ["succeeded", "succeeded"]
    tenants = partner("GET", "/tenants?sort=client_name").get_json()["items"]
    assert [(tenant["client_name"], tenant["email"], tenant["metadata"]) for tenant in tenants] == [
        ("Client 1", "admin1@example.com", {}),
        ("Client 2", "two@example.com", {"tier": "gold"}),
        ("Client 3", "admin3@example.com", {}),
        ("Client 4", "four@example.com", {}),
    ]


class BillingSchema(Schema):
    seats = fields.Integer(strict=True)
    tags = fields.List(fields.String())
    note = fields.String()
    code = fields.Raw()


def test_fields_of_the_host_s_own_survive_the_table(database_url: str) -> None:
    provisioning, app = TenantProvisioning(), Flask("host")
    provisioning.tenant_fields(BillingSchema)
    app.config.update(make_config())
    provisioning.init_app(app, database_url)
    partner = Caller(app)
    own = {"seats": 5, "tags": ["a", "b"], "note": "12", "code": "12"}
    path = finish_job(partner, lines(make_row(1, email="nobody", **own)))
    failed = partner("GET", path, headers={"Accept": CSV}).text
    finish_job(partner, failed.replace("nobody", "one@example.com").encode(), CSV)
    (tenant,) = partner("GET", "/tenants").get_json()["items"]
    assert {name: tenant[name] for name in own} == own


def test_failed_atomic_job_lists_skipped_rows(partner: Caller) -> None:
    path = finish_job(partner, lines(make_row(1), make_row(2, email="nobody")), query="?mode=atomic")
    skipped, failed = partner("GET", path).get_json()["items"]
    assert skipped == {
        "row": 1,
        "state": "skipped",
        "status": None,
        "tenant": None,
        "external_id": None,
        "problem": None,
    }
    assert (failed["state"], failed["status"]) == ("failed", 400)
    assert [cells[-5] for cells in table(partner, f"{path}?state=skipped")] == ["result.state", "skipped"]


def test_more_columns_than_a_table_has_are_read_otherwise(partner: Caller) -> None:
    path = finish_job(partner, lines({f"field {n}": 1 for n in range(994)}))
    response = partner("GET", path, headers={"Accept": CSV})
    detail = "The rows have more columns than the 993 that a table may have. Request another media type."
    assert_problem(response, 406, "not-acceptable", detail)
    assert partner("GET", path, headers={"Accept": NDJSON}).status_code == 200


def test_unfinished_job_lists_its_items_so_far(partner: Caller) -> None:
    response = partner("POST", JOBS, json=[make_row(1)])
    path = f"{JOBS}/{response.get_json()['job']}/items"
    assert partner("GET", path).get_json() == {"items": [], "next": None}
    assert partner("GET", path, headers={"Accept": NDJSON}).text == ""
    assert table(partner, path) == [RESULT]


def test_problems_of_the_host_s_own_have_their_titles(make_app: Callable[..., Flask], database_url: str) -> None:
    provisioning, app = TenantProvisioning(), Flask("host")
    app.config.update(make_config())
    provisioning.init_app(app, database_url)

    @provisioning.hook("tenant.create")
    def refuse(tenant: Any) -> None:
        raise KeyError("nobody pays for it")

    provisioning.map_error(KeyError, status=402, code="unpaid", title="Nobody pays", detail="Pay first.")
    partner = Caller(app)
    (item,) = partner("GET", finish_job(partner, lines(make_row(1)))).get_json()["items"]
    assert item["problem"] == {
        "type": f"{PREFIX}/problems/unpaid",
        "title": "Nobody pays",
        "status": 402,
        "code": "unpaid",
        "detail": "Pay first.",
        "line": 1,
    }
