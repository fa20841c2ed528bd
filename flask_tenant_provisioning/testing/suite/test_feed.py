"""`GET /events`: each change leaves its event, in order, for its partner alone; and cursors that grant nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from flask_tenant_provisioning.testing.callers import TENANTS, Caller
from flask_tenant_provisioning.testing.events import (
    ACTOR_FIELDS,
    AUDITED_ACTOR_FIELDS,
    EVENTS,
    iter_event_pages,
    list_event_types,
    read_event_page,
    read_events,
)

CHANGES = ("tenant.updated", "tenant.suspended", "tenant.reactivated", "tenant.deleted", "tenant.restored")
WRONG_QUESTIONS = {
    "type=": "#/type",
    "type=tenant.made": "#/type",
    "type=tenant.created,": "#/type",
    "tenant=no-id": "#/tenant",
    "limit=0": "#/limit",
    "limit=many": "#/limit",
    "after=": "#/after",
    "cursor=x": "#/cursor",
    "sort=timestamp": "#/sort",
}
MISPLACED: dict[str, Callable[[str], str]] = {
    "nonsense": lambda place: "nonsense",
    "a number": lambda place: "1",
    "cut short": lambda place: place[:-1],
    "made longer": lambda place: place + "A",
    "its seal changed": lambda place: ("B" if place[0] == "A" else "A") + place[1:],
    "its place changed": lambda place: place[:-3] + ("B" if place[-3] == "A" else "A") + place[-2:],
}


def change_tenant(partner: Caller) -> list[dict[str, Any]]:
    """The states of one tenant: created, and after each of the changes."""
    states = [partner.create()]
    name = partner.body()["client_name"]
    states.append(partner.write("PATCH", states[-1], json={"client_name": name}).tenant())
    states.append(partner.write("POST", states[-1], "/suspend", json={"reason": "unpaid"}).tenant())
    states.append(partner.write("POST", states[-1], "/reactivate").tenant())
    states.append(partner.delete(states[-1]))
    states.append(partner.write("POST", states[-1], "/restore").tenant())
    return states


def require_refused_cursor(partner: Caller, place: str) -> None:
    """Demand that the feed goes on at no such place."""
    partner("GET", f"{EVENTS}?{urlencode({'after': place})}").problem(400, "invalid-cursor")


def test_a_new_tenant_is_in_the_feed(provisioning_partner: Caller) -> None:
    created = provisioning_partner("POST", TENANTS, json=provisioning_partner.body())
    tenant = created.tenant(201)
    response = read_event_page(provisioning_partner, tenant=tenant["tenant"])
    event = response.json()["items"][0]
    expected = {
        "type": "tenant.created",
        "timestamp": tenant["created_at"],
        "partner": provisioning_partner.partner,
        "tenant": tenant["tenant"],
        "request_id": created.header("X-Request-ID"),
        "data": tenant,
        "changes": {},
    }
    for name, value in expected.items():
        response.require(event[name] == value, f"name the {name} {value!r} first")
    by = event["actor"]
    response.require(bool(by["sub"]) and by["partner"] == provisioning_partner.partner, "say who created it")
    provisioning_partner.wait_until_active(tenant)


def test_every_change_is_in_the_feed_in_its_order(provisioning_partner: Caller) -> None:
    states = change_tenant(provisioning_partner)
    response = read_event_page(provisioning_partner, tenant=states[0]["tenant"], type=",".join(CHANGES))
    events = response.json()["items"]
    response.require(list_event_types(events) == [*CHANGES], f"show {', '.join(CHANGES)}")
    response.require([event["data"] for event in events] == states[1:], "show the tenant as each change left it")
    for before, event in zip(states, events, strict=False):
        after, changes = event["data"], event["changes"]
        wanted = {name: {"previous": before[name], "new": after[name]} for name in changes}
        response.require(bool(changes) and changes == wanted, f"tell what {event['type']} changed, before and after")
        response.require(
            all(change["previous"] != change["new"] for change in changes.values()), "tell of no field that stayed"
        )


def test_a_removal_for_good_is_in_the_feed(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    if provisioning_partner.purge(tenant).status == 202:
        pytest.skip("this host works before a tenant is removed")
    response = read_event_page(provisioning_partner, tenant=tenant["tenant"])
    types = list_event_types(response.json()["items"])
    response.require(types == ["tenant.created", "tenant.purged"], "end with tenant.purged")


def test_unchanged_write_leaves_no_event(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    place = [*iter_event_pages(provisioning_partner)][-1].json()["next"]
    same, write = {"client_name": tenant["client_name"]}, provisioning_partner.write
    write("PATCH", tenant, json=same).tenant()
    write("POST", tenant, "/reactivate").tenant()
    write("POST", tenant, "/suspend?validate_only=true").tenant()
    write("PATCH", tenant, json={"client_name": ""}).faults()
    write("PATCH", tenant, json={"client_name": "x"}, headers={"If-Match": '"0"'}).problem(412, "precondition-failed")
    taken = provisioning_partner.body(email=tenant["email"])
    provisioning_partner("POST", TENANTS, json=taken).problem(409, "tenant-exists")
    response = read_event_page(provisioning_partner, after=place)
    response.require(response.json()["items"] == [], "show no event of what changed nothing")


def test_a_change_that_is_repeated_is_one_event(provisioning_partner: Caller) -> None:
    body, headers = provisioning_partner.body(), {"Idempotency-Key": "once"}
    for _ in range(2):
        tenant = provisioning_partner("POST", TENANTS, json=body, headers=headers).tenant(201)
    provisioning_partner.wait_until_active(tenant)
    response = read_event_page(provisioning_partner, type="tenant.created")
    response.require(len(response.json()["items"]) == 1, "show one event")


def test_empty_feed_returns_a_cursor_for_later_events(provisioning_partner: Caller) -> None:
    response = read_event_page(provisioning_partner)
    page = response.json()
    response.require((page["items"], page["has_more"]) == ([], False), "show no event, and no more")
    tenant = provisioning_partner.create()
    later = read_events(provisioning_partner, after=page["next"], type="tenant.created")
    response.require([event["tenant"] for event in later] == [tenant["tenant"]], "lead to the event that came later")


@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_following_the_feed_leads_to_every_event_once(provisioning_partner: Caller, limit: int) -> None:
    tenants = [provisioning_partner.create()["tenant"] for _ in range(3)]
    responses, events = [], []
    for response in iter_event_pages(provisioning_partner, limit=limit):
        response.require(len(response.json()["items"]) <= limit, f"hold {limit} events at most")
        responses.append(response)
        events += response.json()["items"]
    created = [event["tenant"] for event in events if event["type"] == "tenant.created"]
    responses[-1].require(created == tenants, "end the feed after every creation was shown once, in order")
    responses[-1].require(len({event["id"] for event in events}) == len(events), "show no event twice")
    last = read_event_page(provisioning_partner, limit=limit, after=responses[-1].json()["next"])
    last.require(last.json()["items"] == [], "show nothing behind the end")


def test_feed_link_header_leads_to_the_next_page(provisioning_partner: Caller) -> None:
    for _ in range(2):
        provisioning_partner.create()
    response = read_event_page(provisioning_partner, limit=1)
    link = re.fullmatch(r'<([^>]+)>; rel="next"', response.header("Link"))
    if link is None:
        response.fail('answer with one Link whose rel is "next"')
    expected = {"limit": ["1"], "after": [response.json()["next"]]}
    response.require(parse_qs(urlsplit(link[1]).query) == expected, "keep in its Link what was asked")
    by_link = provisioning_partner("GET", provisioning_partner.api.get_path(link[1])).document()["items"]
    by_next = read_event_page(provisioning_partner, limit=1, after=response.json()["next"]).json()["items"]
    response.require(by_link == by_next, "lead to the next page")


def test_the_feed_shows_the_types_and_the_tenant_that_are_asked_for(provisioning_partner: Caller) -> None:
    states, other = change_tenant(provisioning_partner), provisioning_partner.create()
    tenant = states[0]["tenant"]
    for query, expected in (
        ({"type": "tenant.created"}, [tenant, other["tenant"]]),
        ({"type": "tenant.suspended,tenant.created"}, [tenant, tenant, other["tenant"]]),
        ({"type": "tenant.created", "tenant": other["tenant"]}, [other["tenant"]]),
        ({"type": "tenant.created", "tenant": tenant.upper()}, [tenant]),
        ({"type": "tenant.purged"}, []),
    ):
        response = read_event_page(provisioning_partner, **query)
        response.require([event["tenant"] for event in response.json()["items"]] == expected, "show these events alone")


@pytest.mark.parametrize("query", WRONG_QUESTIONS)
def test_invalid_feed_parameters_are_named(provisioning_partner: Caller, query: str) -> None:
    response = provisioning_partner("GET", f"{EVENTS}?{query}")
    wrong = WRONG_QUESTIONS[query]
    response.require({*response.faults("invalid-parameter")} == {wrong}, f"name {wrong} alone")


@pytest.mark.parametrize("misplaced", MISPLACED)
def test_a_place_in_the_feed_cannot_be_made_up(provisioning_partner: Caller, misplaced: str) -> None:
    provisioning_partner.create()
    require_refused_cursor(
        provisioning_partner, MISPLACED[misplaced](read_event_page(provisioning_partner).json()["next"])
    )


def test_a_place_in_the_feed_is_the_partners_own(provisioning_partner: Caller, provisioning_stranger: Caller) -> None:
    provisioning_partner.create()
    require_refused_cursor(provisioning_stranger, read_event_page(provisioning_partner).json()["next"])


def test_a_cursor_of_a_list_is_no_place_in_the_feed(provisioning_partner: Caller) -> None:
    for _ in range(2):
        provisioning_partner.create()
    require_refused_cursor(provisioning_partner, provisioning_partner("GET", f"{TENANTS}?limit=1").document()["next"])


def test_events_of_other_partners_are_hidden(provisioning_partner: Caller, provisioning_stranger: Caller) -> None:
    theirs, mine = provisioning_stranger.create(), provisioning_partner.create()
    response = read_event_page(provisioning_partner)
    shown = {(event["partner"], event["tenant"]) for event in response.json()["items"]}
    response.require(shown == {(provisioning_partner.partner, mine["tenant"])}, "show the caller's own events alone")
    named = read_event_page(provisioning_partner, tenant=theirs["tenant"])
    named.require(named.json()["items"] == [], "find nothing of another partner's")


def test_partner_cannot_use_the_partner_parameter_for_the_feed(provisioning_partner: Caller) -> None:
    for partner in (provisioning_partner.partner, "somebody-else"):
        response = provisioning_partner("GET", f"{EVENTS}?partner={partner}")
        response.problem(403, "insufficient-permission")


def test_administrator_reads_the_feed_of_the_partner_parameter(
    provisioning_partner: Caller, provisioning_stranger: Caller
) -> None:
    tenant, administrator = provisioning_partner.create(), provisioning_stranger.administrator()
    response = read_event_page(administrator, partner=provisioning_partner.partner, type="tenant.created")
    events = response.json()["items"]
    response.require([event["tenant"] for event in events] == [tenant["tenant"]], "show this partner's events")


def test_address_and_user_agent_are_shown_to_auditors_only(
    provisioning_partner: Caller, provisioning_stranger: Caller
) -> None:
    body, agent = provisioning_partner.body(), {"User-Agent": "conformance/1.0"}
    provisioning_partner.wait_until_active(provisioning_partner("POST", TENANTS, json=body, headers=agent).tenant(201))
    for caller, query in (
        (provisioning_partner, {}),
        (provisioning_stranger.administrator(), {"partner": provisioning_partner.partner}),
    ):
        granted = caller.api.config.roles[caller.find_role("event:read")]
        response = read_event_page(caller, **query, type="tenant.created")
        by = response.json()["items"][0]["actor"]
        seen = AUDITED_ACTOR_FIELDS if "audit:read" in granted else ACTOR_FIELDS
        response.require({*by} == seen, f"show {', '.join(sorted(seen))} of who acted")
        response.require(by.get("user_agent") in (None, "conformance/1.0"), "show the user agent that was sent")
        response.require(seen is ACTOR_FIELDS or bool(by["user_agent"]), "show the client that acted")
