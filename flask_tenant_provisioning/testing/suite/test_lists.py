"""`GET /tenants`: whole, in order, as it was asked for; and cursors that grant nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from flask_tenant_provisioning.testing.callers import TENANTS, Caller
from flask_tenant_provisioning.testing.responses import ApiResponse

COUNT = 5
WRONG_QUERIES = {
    "limit=0": "#/limit",
    "limit=-1": "#/limit",
    "limit=x": "#/limit",
    "limit=1.5": "#/limit",
    "limit=": "#/limit",
    "sort=email": "#/sort",
    "sort=created_at,-client_name": "#/sort",
    "status=gone": "#/status",
    "email=nobody": "#/email",
    "created_after=yesterday": "#/created_after",
    "created_before=2025-02-10T16:30:00": "#/created_before",
    "include_deleted=1": "#/include_deleted",
    "q=": "#/q",
    "external_id=": "#/external_id",
    "cursor=": "#/cursor",
}


def iter_pages(partner: Caller, **query: Any) -> Iterator[ApiResponse]:
    """Every page of a list, by `next`."""
    cursor = None
    while True:
        response = partner("GET", f"{TENANTS}?{urlencode({**query, **({'cursor': cursor} if cursor else {})})}")
        yield response
        cursor = response.document()["next"]
        if cursor is None:
            return


def list_items(partner: Caller, **query: Any) -> list[dict[str, Any]]:
    """The whole list."""
    return [tenant for response in iter_pages(partner, **query) for tenant in response.document()["items"]]


def create_tenants(partner: Caller) -> list[dict[str, Any]]:
    """A few tenants of one partner's, in the order of their creation."""
    return [partner.create(client_name=f"{name} {partner.body()['client_name']}") for name in "caBEd"]


@pytest.fixture
def first_page(provisioning_partner: Caller) -> ApiResponse:
    """The first of several pages."""
    create_tenants(provisioning_partner)
    return provisioning_partner("GET", f"{TENANTS}?limit=2")


def get_next_page(partner: Caller, cursor: str, **query: Any) -> ApiResponse:
    """Read the page after `cursor`, of a list that may be another."""
    return partner("GET", f"{TENANTS}?{urlencode({'limit': 2, **query, 'cursor': cursor})}")


def test_a_list_shows_whole_tenants(provisioning_partner: Caller) -> None:
    tenants = create_tenants(provisioning_partner)
    response = provisioning_partner("GET", TENANTS)
    document = response.document()
    response.require({*document} == {"items", "next"} and document["next"] is None, "answer items, and no next")
    for tenant in document["items"]:
        response.require_tenant(tenant)
    response.require(document["items"] == tenants, "list the tenants in the order of their creation")


def test_an_empty_list_is_a_list(provisioning_partner: Caller) -> None:
    response = provisioning_partner("GET", TENANTS)
    response.require(response.document() == {"items": [], "next": None}, "answer an empty list")
    response.require("Link" not in response.headers, "name no next page")


@pytest.mark.parametrize("limit", [1, 2, COUNT, COUNT + 1, 100_000])
def test_following_next_leads_to_every_tenant_once(provisioning_partner: Caller, limit: int) -> None:
    tenants, responses = create_tenants(provisioning_partner), []
    listed: list[dict[str, Any]] = []
    for response in iter_pages(provisioning_partner, limit=limit):
        responses.append(response)
        page = response.document()["items"]
        response.require(0 < len(page) <= limit, f"hold 1 to {limit} tenants")
        listed += page
    responses[-1].require(listed == tenants, "end the list after every tenant was shown once")


def test_link_header_leads_to_the_next_page(provisioning_partner: Caller, first_page: ApiResponse) -> None:
    link = re.fullmatch(r'<([^>]+)>; rel="next"', first_page.header("Link"))
    if link is None:
        first_page.fail('answer with one Link whose rel is "next"')
    query = parse_qs(urlsplit(link[1]).query)
    expected = {"limit": ["2"], "cursor": [first_page.document()["next"]]}
    first_page.require(query == expected, "keep in its Link what was asked")
    response = provisioning_partner("GET", provisioning_partner.api.get_path(link[1]))
    same = get_next_page(provisioning_partner, first_page.document()["next"]).document()
    response.require(response.document()["items"] == same["items"], "show the next page")


def test_new_tenant_does_not_shift_pages(provisioning_partner: Caller, first_page: ApiResponse) -> None:
    provisioning_partner.create()
    rest = list_items(provisioning_partner, limit=2, cursor=first_page.document()["next"])
    names = [tenant["tenant"] for tenant in (*first_page.document()["items"], *rest)]
    first_page.require(len(names) == len({*names}) == COUNT + 1, "be followed by every other tenant, once")


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "client_name", "-client_name"])
def test_a_list_is_sorted_over_all_its_pages(provisioning_partner: Caller, sort: str) -> None:
    tenants = create_tenants(provisioning_partner)
    if sort.endswith("client_name"):
        tenants.sort(key=lambda tenant: unicodedata.normalize("NFKC", tenant["client_name"]).casefold())
    expected = tenants[::-1] if sort.startswith("-") else tenants
    response = provisioning_partner("GET", f"{TENANTS}?sort={sort}")
    response.require(response.document()["items"] == expected, f"sort the list by {sort}")
    response.require(list_items(provisioning_partner, sort=sort, limit=2) == expected, f"sort its pages by {sort}")


@pytest.mark.parametrize("name", ["email", "external_id", "industry", "plan", "status"])
def test_a_filter_leaves_the_others_out(provisioning_partner: Caller, name: str) -> None:
    tenants = create_tenants(provisioning_partner)
    wanted = tenants[2]
    if wanted[name] is None:
        pytest.skip(f"the tenants that the suite makes here have no {name}")
    response = provisioning_partner("GET", f"{TENANTS}?{urlencode({name: wanted[name]})}")
    expected = [tenant for tenant in tenants if tenant[name] == wanted[name]]
    response.require(response.document()["items"] == expected, f"list those whose {name} is {wanted[name]!r}")


def test_email_filter_ignores_case(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    response = provisioning_partner("GET", f"{TENANTS}?email={quote(tenant['email'].upper())}")
    response.require(response.document()["items"] == [tenant], "find the tenant")


def test_a_name_is_found_by_its_beginning(provisioning_partner: Caller) -> None:
    tenants = create_tenants(provisioning_partner)
    response = provisioning_partner("GET", f"{TENANTS}?q={tenants[2]['client_name'][:3].swapcase().replace(' ', '+')}")
    response.require(response.document()["items"] == [tenants[2]], "find the tenant by the beginning of its name")
    for odd in ("%25", "_", "%5C", "'"):
        nothing = provisioning_partner("GET", f"{TENANTS}?q={odd}")
        nothing.require(nothing.document()["items"] == [], "take every character for itself")


@pytest.mark.parametrize("name", ["created", "updated"])
def test_a_time_divides_a_list(provisioning_partner: Caller, name: str) -> None:
    tenants = create_tenants(provisioning_partner)
    for bound, when, expected in (
        ("after", "2000-01-01T00:00:00Z", tenants),
        ("after", "2999-01-01T00:00:00+02:00", []),
        ("before", "2999-01-01T00:00:00Z", tenants),
        ("before", "2000-01-01T00:00:00Z", []),
    ):
        response = provisioning_partner("GET", f"{TENANTS}?{urlencode({f'{name}_{bound}': when})}")
        response.require(response.document()["items"] == expected, f"list {len(expected)} tenants")


def test_deleted_tenants_are_listed_on_request(provisioning_partner: Caller) -> None:
    living, gone = provisioning_partner.create(), provisioning_partner.create()
    deleted = provisioning_partner.delete(gone)
    for query, expected in (
        ("", [living]),
        ("?include_deleted=true", [living, deleted]),
        ("?status=deleted", [deleted]),
        ("?status=active", [living]),
    ):
        response = provisioning_partner("GET", TENANTS + query)
        response.require(response.document()["items"] == expected, f"list {len(expected)} tenants")


@pytest.mark.parametrize("query", WRONG_QUERIES)
def test_invalid_parameter_is_named(provisioning_partner: Caller, query: str) -> None:
    response = provisioning_partner("GET", f"{TENANTS}?{query}")
    response.require(
        {*response.faults("invalid-parameter")} == {WRONG_QUERIES[query]}, f"name {WRONG_QUERIES[query]} alone"
    )


FORGERIES: dict[str, Callable[[str], str]] = {
    "no cursor": lambda cursor: "nonsense",
    "no base64": lambda cursor: "!" * 40,
    "cut short": lambda cursor: cursor[:-1],
    "made longer": lambda cursor: cursor + "A",
    "padded": lambda cursor: cursor + "=",
    "its seal changed": lambda cursor: ("B" if cursor[0] == "A" else "A") + cursor[1:],
    "its place changed": lambda cursor: cursor[:-3] + ("B" if cursor[-3] == "A" else "A") + cursor[-2:],
    "reversed": lambda cursor: cursor[::-1],
    "a letter of another script": lambda cursor: cursor + "é",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_cursor_is_refused(provisioning_partner: Caller, first_page: ApiResponse, forgery: str) -> None:
    forged = FORGERIES[forgery](first_page.document()["next"])
    get_next_page(provisioning_partner, forged).problem(400, "invalid-cursor")


@pytest.mark.parametrize(
    "query",
    [{"sort": "-created_at"}, {"sort": "client_name"}, {"status": "active"}, {"include_deleted": "true"}, {"q": "a"}],
)
def test_a_cursor_of_another_list_is_refused(
    provisioning_partner: Caller, first_page: ApiResponse, query: dict[str, str]
) -> None:
    get_next_page(provisioning_partner, first_page.document()["next"], **query).problem(400, "invalid-cursor")


def test_a_cursor_of_another_partners_is_refused(provisioning_stranger: Caller, first_page: ApiResponse) -> None:
    get_next_page(provisioning_stranger, first_page.document()["next"]).problem(400, "invalid-cursor")


def test_a_cursor_serves_pages_of_any_size(provisioning_partner: Caller, first_page: ApiResponse) -> None:
    cursor = first_page.document()["next"]
    single, two = (get_next_page(provisioning_partner, cursor, limit=limit).document()["items"] for limit in (1, 2))
    first_page.require(single == two[:1] and len(two) == 2, "be followed by pages of any size")
