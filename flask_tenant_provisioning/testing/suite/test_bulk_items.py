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


def get_all_items(partner: Caller, found: Document, kind: str, query: str = "") -> ApiResponse:
    """All that came of the job's rows, as this media type."""
    answer = partner("GET", get_job_path(found, f"/items{query}"), headers={"Accept": kind}).expect(200)
    answer.require(answer.media_type == kind, f"answer with {kind}, not {answer.media_type}")
    return answer


def read_table(answer: ApiResponse) -> list[dict[str, str]]:
    """The rows of a CSV."""
    return [*csv.DictReader(io.StringIO(answer.text, newline=""))]


def read_events(answer: ApiResponse) -> list[dict[str, str]]:
    """The events of a stream, each by its fields (HTML, §9.2.6)."""
    texts = (text for text in answer.text.split("\n\n") if "data:" in text)
    return [dict(line.split(": ", 1) for line in text.splitlines()) for text in texts]


def test_items_are_shown_in_the_order_of_the_rows(provisioning_partner: Caller) -> None:
    found = run_partly_failing_job(provisioning_partner)
    whole, asked = list_items(provisioning_partner, found), "?limit=2"
    first = provisioning_partner("GET", get_job_path(found, f"/items{asked}"))
    page = first.document()
    first.require([one["row"] for one in whole] == [1, 2, 3], "show each row once, in its order")
    rest = provisioning_partner("GET", get_job_path(found, f"/items{asked}&cursor={page['next']}"))
    same = page["items"] + rest.document()["items"] == whole and rest.document()["next"] is None
    first.require(same, "show the same on its pages")
    link = re.fullmatch(r'<([^>]+)>; rel="next"', first.header("Link"))
    if link is None:
        first.fail('answer with one Link whose rel is "next"')
    linked = provisioning_partner("GET", provisioning_partner.api.get_path(link[1]))
    linked.require(linked.document() == rest.document(), "lead to the next page")


def test_items_are_shown_by_their_state(provisioning_partner: Caller) -> None:
    found = run_partly_failing_job(provisioning_partner)
    for state, expected in (("succeeded", [1, 3]), ("failed", [2]), ("unchanged", []), ("skipped", [])):
        answer = provisioning_partner("GET", get_job_path(found, f"/items?state={state}"))
        answer.require([one["row"] for one in answer.document()["items"]] == expected, f"show rows {expected} alone")


def test_a_cursor_of_items_is_for_these_alone(provisioning_partner: Caller) -> None:
    found, other = run_partly_failing_job(provisioning_partner), run_partly_failing_job(provisioning_partner)
    place = provisioning_partner("GET", get_job_path(found, "/items?limit=1")).document()["next"]
    for path in (get_job_path(found, "/items?state=succeeded"), get_job_path(other, "/items?limit=1")):
        provisioning_partner("GET", f"{path}&cursor={place}").problem(400, "invalid-cursor")


@pytest.mark.parametrize("query", WRONG_ITEMS)
def test_invalid_result_parameters_are_named(provisioning_partner: Caller, query: str) -> None:
    answer = provisioning_partner("GET", get_job_path(run_partly_failing_job(provisioning_partner), f"/items?{query}"))
    answer.require({*answer.faults("invalid-parameter")} == {WRONG_ITEMS[query]}, f"name {WRONG_ITEMS[query]} alone")


def test_ndjson_has_every_item(provisioning_partner: Caller) -> None:
    found = run_partly_failing_job(provisioning_partner)
    for query in ("", "?state=failed"):
        answer = get_all_items(provisioning_partner, found, NDJSON, query)
        expected = provisioning_partner("GET", get_job_path(found, f"/items{query}")).document()["items"]
        answer.require([json.loads(line) for line in answer.text.splitlines()] == expected, "have an item on each line")


def test_csv_has_every_row_with_its_result(provisioning_partner: Caller) -> None:
    found = run_partly_failing_job(provisioning_partner)
    answer = get_all_items(provisioning_partner, found, CSV)
    rows, expected = read_table(answer), list_items(provisioning_partner, found)
    for row, item in zip(rows, expected, strict=True):
        told = (row["external_id"], row["result.row"], row["result.state"], row["result.status"])
        wanted = (item["external_id"], str(item["row"]), item["state"], str(item["status"]))
        answer.require(told == wanted, "show each row as it was sent, with its state and status")
        answer.require(row["result.tenant"] == (item["tenant"] or ""), "name the tenant of each row")
    bad = rows[1]
    answer.require(
        (bad["result.line"], bad["result.code"]) == ("3", "validation-error"), "say what is wrong, and where"
    )


def test_a_corrected_table_can_be_sent_again(provisioning_partner: Caller) -> None:
    found = run_partly_failing_job(provisioning_partner)
    answer = get_all_items(provisioning_partner, found, CSV, "?state=failed")
    (row,) = read_table(answer)
    corrected = answer.text.replace(row["email"], provisioning_partner.body()["email"], 1)
    again = upload_and_wait(provisioning_partner, corrected.encode(), CSV)
    answer.require((again["state"], again["total"]) == ("succeeded", 1), "be sent again once the row is corrected")
    answer.require(len(provisioning_partner.list_tenants()) == 3, "make the tenant that was missing")


@pytest.mark.parametrize("kind", [NDJSON, CSV])
@pytest.mark.parametrize("name", ["limit=1", "cursor=x"])
def test_a_stream_has_no_pages(provisioning_partner: Caller, kind: str, name: str) -> None:
    path = get_job_path(run_partly_failing_job(provisioning_partner), f"/items?{name}")
    answer = provisioning_partner("GET", path, headers={"Accept": kind})
    pointer = f"#/{name.partition('=')[0]}"
    answer.require({*answer.faults("invalid-parameter")} == {pointer}, f"name {pointer} alone")


@pytest.mark.parametrize("action", ["/items", "/progress"])
def test_unacceptable_media_type_is_refused(provisioning_partner: Caller, action: str) -> None:
    path = get_job_path(run_partly_failing_job(provisioning_partner), action)
    provisioning_partner("GET", path, headers={"Accept": "text/html"}).problem(406, "not-acceptable")


def test_progress_stream_ends_with_the_finished_job(provisioning_partner: Caller) -> None:
    found = run_partly_failing_job(provisioning_partner)
    path, accepted = get_job_path(found, "/progress"), {"Accept": EVENT_STREAM}
    answer = provisioning_partner("GET", path, headers=accepted).expect(200)
    answer.require(answer.media_type == EVENT_STREAM, f"answer with {EVENT_STREAM}")
    last = read_events(answer)[-1]
    answer.require(last.get("event") == "finished", "end with the event finished")
    answer.require(json.loads(last["data"]) == found, "show the job as it ended")
    seen = {**accepted, "Last-Event-ID": last["id"]}
    again = provisioning_partner("GET", path, headers=seen).expect(204)
    again.require(not again.body, "say that nothing follows, without a body")
    other = provisioning_partner("GET", path, headers={**accepted, "Last-Event-ID": "no such event"}).expect(200)
    other.require(read_events(other)[-1] == last, "tell the end to who has not heard of it")


def test_progress_events_show_the_current_job(provisioning_partner: Caller) -> None:
    begun = read_job(upload(provisioning_partner, make_rows_with_error(provisioning_partner)), 202)
    answer = provisioning_partner("GET", get_job_path(begun, "/progress")).expect(200)
    for event in read_events(answer):
        shown = json.loads(event["data"])
        require_job(answer, shown)
        kind = "progress" if shown["finished_at"] is None else "finished"
        answer.require((event["event"], shown["job"]) == (kind, begun["job"]), f"call this event {kind}")
    wait_for_job(provisioning_partner, begun)
