"""Bulk jobs in the OpenAPI document; their responses have several media types."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.support import hosts
from tests.support.callers import Caller
from tests.support.openapi import DocumentedHost

JOBS, JOB = "/bulk-jobs", "/bulk-jobs/{job_id}"


@pytest.fixture
def app(database_url: str) -> Flask:
    return hosts.make_host(database_url)


@pytest.fixture
def documented(app: Flask) -> DocumentedHost:
    return DocumentedHost(app)


@pytest.fixture
def partner(app: Flask) -> Caller:
    return Caller(app)


def parameters(documented: DocumentedHost, path: str) -> set[str]:
    """The names of what an operation takes."""
    document_parameters = documented.operation("GET", path)["parameters"]
    return {
        parameter["name"] if "name" in parameter else parameter["$ref"].rpartition("/")[2]
        for parameter in document_parameters
    }


def test_answers_about_bulk_jobs_are_as_documented(documented: DocumentedHost, partner: Caller) -> None:
    created = partner("POST", JOBS, data=b"{}\n", headers={"Content-Type": "application/x-ndjson"})
    documented.require(created, "POST", JOBS)
    job_path = f"{JOBS}/{created.get_json()['job']}"
    for method, action, headers, status in (
        ("GET", "", {}, 200),
        ("POST", "/resume", {}, 202),
        ("POST", "/cancel", {}, 200),
        ("GET", "/items?limit=1", {}, 200),
        ("GET", "/items", {"Accept": "application/x-ndjson"}, 200),
        ("GET", "/items", {"Accept": "text/csv"}, 200),
        ("GET", "/progress", {}, 200),
        ("GET", "/progress", {"Last-Event-ID": "cancelled-0"}, 204),
    ):
        response = partner(method, job_path + action, headers=headers)
        assert response.status_code == status, response.text
        documented.require(response, method, JOB + action.partition("?")[0])
    documented.require(partner("GET", JOBS), "GET", JOBS)


def test_the_progress_takes_the_id_of_the_last_event_that_was_seen(documented: DocumentedHost) -> None:
    assert "Last-Event-ID" in parameters(documented, f"{JOB}/progress")
    assert "Last-Event-ID" not in parameters(documented, f"{JOB}/items")


def test_a_list_in_several_media_types_leads_to_its_next_page(documented: DocumentedHost) -> None:
    described = documented.find_response("GET", f"{JOB}/items", 200)
    assert "Link" in described["headers"]
    link = documented.component("links", described["links"]["list_bulk_items"]["$ref"].rpartition("/")[2])
    assert link["parameters"] == {"cursor": "$response.body#/next"}


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/jsonl", "text/csv"])
def test_an_upload_of_nothing_is_documented_as_none(documented: DocumentedHost, partner: Caller, kind: str) -> None:
    schema = documented.operation("POST", JOBS)["requestBody"]["content"][kind]["schema"]
    assert documented.errors(schema, "") != []
    assert partner("POST", JOBS, data=b"", headers={"Content-Type": kind}).status_code == 400
