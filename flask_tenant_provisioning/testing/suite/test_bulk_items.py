"""Results of a job's rows, in pages, as NDJSON and as CSV that can be sent again; and a job's progress."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from flask_tenant_provisioning.testing.callers import Caller, Document
from flask_tenant_provisioning.testing.responses import ApiResponse
from flask_tenant_provisioning.testing.uploads import (
    get_job_path,
    list_items,
    make_rows_with_error,
    read_job,
    require_job,
    upload,
    upload_and_wait,
    wait_for_job,
)
from flask_tenant_provisioning.web.headers import CSV, EVENT_STREAM, NDJSON

WRONG_ITEMS = {"state=gone": "#/state", "limit=0": "#/limit", "cursor=": "#/cursor", "sort=row": "#/sort"}


def run_partly_failing_job(partner: Caller) -> Document:
    """Run a job of three rows whose second row fails."""
    return upload_and_wait(partner, make_rows_with_error(partner), CSV)


def get_all_items(partner: Caller, job: Document, kind: str, query: str = "") -> ApiResponse:
    """All that came of the job's rows, as this media type."""
    response = partner("GET", get_job_path(job, f"/items{query}"), headers={"Accept": kind}).expect(200)
    response.require(response.media_type == kind, f"answer with {kind}, not {response.media_type}")
    return response


def read_table(response: ApiResponse) -> list[dict[str, str]]:
    """The rows of a CSV."""
    return [*csv.DictReader(io.StringIO(response.text, newline=""))]


def read_events(response: ApiResponse) -> list[dict[str, str]]:
    """The events of a stream, each by its fields (HTML, §9.2.6)."""
    texts = (text for text in response.text.split("\n\n") if "data:" in text)
    return [dict(line.split(": ", 1) for line in text.splitlines()) for text in texts]


def test_items_are_shown_in_the_order_of_the_rows(provisioning_partner: Caller) -> None:
    job = run_partly_failing_job(provisioning_partner)
    whole, query = list_items(provisioning_partner, job), "?limit=2"
    first = provisioning_partner("GET", get_job_path(job, f"/items{query}"))
    page = first.document()
    first.require([item["row"] for item in whole] == [1, 2, 3], "show each row once, in its order")
    rest = provisioning_partner("GET", get_job_path(job, f"/items{query}&cursor={page['next']}"))
    same = page["items"] + rest.document()["items"] == whole and rest.document()["next"] is None
    first.require(same, "show the same on its pages")
    link = re.fullmatch(r'<([^>]+)>; rel="next"', first.header("Link"))
    if link is None:
        first.fail('answer with one Link whose rel is "next"')
    linked = provisioning_partner("GET", provisioning_partner.api.get_path(link[1]))
    linked.require(linked.document() == rest.document(), "lead to the next page")


def test_items_are_shown_by_their_state(provisioning_partner: Caller) -> None:
    job = run_partly_failing_job(provisioning_partner)
    for state, expected in (("succeeded", [1, 3]), ("failed", [2]), ("unchanged", []), ("skipped", [])):
        response = provisioning_partner("GET", get_job_path(job, f"/items?state={state}"))
        response.require(
            [item["row"] for item in response.document()["items"]] == expected, f"show rows {expected} alone"
        )


def test_a_cursor_of_items_is_for_these_alone(provisioning_partner: Caller) -> None:
    job, other = run_partly_failing_job(provisioning_partner), run_partly_failing_job(provisioning_partner)
    place = provisioning_partner("GET", get_job_path(job, "/items?limit=1")).document()["next"]
    for path in (get_job_path(job, "/items?state=succeeded"), get_job_path(other, "/items?limit=1")):
        provisioning_partner("GET", f"{path}&cursor={place}").problem(400, "invalid-cursor")


@pytest.mark.parametrize("query", WRONG_ITEMS)
def test_invalid_result_parameters_are_named(provisioning_partner: Caller, query: str) -> None:
    response = provisioning_partner(
        "GET", get_job_path(run_partly_failing_job(provisioning_partner), f"/items?{query}")
    )
    response.require(
        {*response.faults("invalid-parameter")} == {WRONG_ITEMS[query]}, f"name {WRONG_ITEMS[query]} alone"
    )


def test_ndjson_has_every_item(provisioning_partner: Caller) -> None:
    job = run_partly_failing_job(provisioning_partner)
    for query in ("", "?state=failed"):
        response = get_all_items(provisioning_partner, job, NDJSON, query)
        expected = provisioning_partner("GET", get_job_path(job, f"/items{query}")).document()["items"]
        response.require(
            [json.loads(line) for line in response.text.splitlines()] == expected, "have an item on each line"
        )


def test_csv_has_every_row_with_its_result(provisioning_partner: Caller) -> None:
    job = run_partly_failing_job(provisioning_partner)
    response = get_all_items(provisioning_partner, job, CSV)
    rows, expected = read_table(response), list_items(provisioning_partner, job)
    for row, item in zip(rows, expected, strict=True):
        shown = (row["external_id"], row["result.row"], row["result.state"], row["result.status"])
        wanted = (item["external_id"], str(item["row"]), item["state"], str(item["status"]))
        response.require(shown == wanted, "show each row as it was sent, with its state and status")
        response.require(row["result.tenant"] == (item["tenant"] or ""), "name the tenant of each row")
    bad = rows[1]
    response.require(
        (bad["result.line"], bad["result.code"]) == ("3", "validation-error"), "say what is wrong, and where"
    )


def test_a_corrected_table_can_be_sent_again(provisioning_partner: Caller) -> None:
    job = run_partly_failing_job(provisioning_partner)
    response = get_all_items(provisioning_partner, job, CSV, "?state=failed")
    (row,) = read_table(response)
    corrected = response.text.replace(row["email"], provisioning_partner.body()["email"], 1)
    again = upload_and_wait(provisioning_partner, corrected.encode(), CSV)
    response.require((again["state"], again["total"]) == ("succeeded", 1), "be sent again once the row is corrected")
    response.require(len(provisioning_partner.list_tenants()) == 3, "make the tenant that was missing")


@pytest.mark.parametrize("kind", [NDJSON, CSV])
@pytest.mark.parametrize("name", ["limit=1", "cursor=x"])
def test_a_stream_has_no_pages(provisioning_partner: Caller, kind: str, name: str) -> None:
    path = get_job_path(run_partly_failing_job(provisioning_partner), f"/items?{name}")
    response = provisioning_partner("GET", path, headers={"Accept": kind})
    pointer = f"#/{name.partition('=')[0]}"
    response.require({*response.faults("invalid-parameter")} == {pointer}, f"name {pointer} alone")


@pytest.mark.parametrize("action", ["/items", "/progress"])
def test_unacceptable_media_type_is_refused(provisioning_partner: Caller, action: str) -> None:
    path = get_job_path(run_partly_failing_job(provisioning_partner), action)
    provisioning_partner("GET", path, headers={"Accept": "text/html"}).problem(406, "not-acceptable")


def test_progress_stream_ends_with_the_finished_job(provisioning_partner: Caller) -> None:
    job = run_partly_failing_job(provisioning_partner)
    path, accepted = get_job_path(job, "/progress"), {"Accept": EVENT_STREAM}
    response = provisioning_partner("GET", path, headers=accepted).expect(200)
    response.require(response.media_type == EVENT_STREAM, f"answer with {EVENT_STREAM}")
    last = read_events(response)[-1]
    response.require(last.get("event") == "finished", "end with the event finished")
    response.require(json.loads(last["data"]) == job, "show the job as it ended")
    seen = {**accepted, "Last-Event-ID": last["id"]}
    again = provisioning_partner("GET", path, headers=seen).expect(204)
    again.require(not again.body, "say that nothing follows, without a body")
    other = provisioning_partner("GET", path, headers={**accepted, "Last-Event-ID": "no such event"}).expect(200)
    other.require(read_events(other)[-1] == last, "tell the end to who has not heard of it")


def test_progress_events_show_the_current_job(provisioning_partner: Caller) -> None:
    accepted = read_job(upload(provisioning_partner, make_rows_with_error(provisioning_partner)), 202)
    response = provisioning_partner("GET", get_job_path(accepted, "/progress")).expect(200)
    for event in read_events(response):
        shown = json.loads(event["data"])
        require_job(response, shown)
        kind = "progress" if shown["finished_at"] is None else "finished"
        response.require((event["event"], shown["job"]) == (kind, accepted["job"]), f"call this event {kind}")
    wait_for_job(provisioning_partner, accepted)
