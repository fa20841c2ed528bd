"""Lists: what they can be asked, and cursors that meet every tenant once and grant nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from flask import Flask

from flask_tenant_provisioning.tenants.fields import make_name_key
from flask_tenant_provisioning.tenants.schemas import SORT_ORDERS
from tests.support.assertions import assert_invalid_parameters, assert_problem
from tests.support.callers import EXAMPLE, Caller
from tests.support.hosts import PREFIX

UNKNOWN = ("unknown-field", "There is no such field.")
LIMIT = ("#/limit", "invalid-limit", "Must be a whole number from 1 on.")
TIME = ("invalid-time", "Must be RFC 3339 with an offset: 2025-02-10T16:30:00Z.")
TWICE = ("duplicate", "Send this parameter once.")
NUL = ("invalid-text", "Must hold no NUL character.")
LENGTH_255 = ("invalid-length", "Must have 1 to 255 characters.")
STATUS = "Must be one of: provisioning, active, suspended, failed, deleted."
SORT = "Must be one of: created_at, -created_at, client_name, -client_name."

WRONG: dict[str, tuple[str, list[tuple[str, str, str]]]] = {
    **{f"limit={text}": (f"limit={text}", [LIMIT])
       for text in ("", "0", "00", "-1", "+1", "1.5", "1e3", "abc", "0x10", "%D9%A1", "%C2%B2", "%201")},
    "unknown": ("colour=red", [("#/colour", *UNKNOWN)]),
    "unknown, two": ("b=1&a=2", [("#/a", *UNKNOWN), ("#/b", *UNKNOWN)]),
    "unknown, a field of the tenant": ("client_name=a", [("#/client_name", *UNKNOWN)]),
    "unknown, odd": ("a%2Fb%7E%20=1", [("#/a~1b~0%20", *UNKNOWN)]),
    "unknown, without a value": ("colour", [("#/colour", *UNKNOWN)]),
    "_schema": ("_schema=1", [("#/_schema", *UNKNOWN)]),
    "repeated": ("limit=1&limit=1", [("#/limit", *TWICE)]),
    "repeated, other values": ("status=active&status=deleted", [("#/status", *TWICE)]),
    "status": ("status=ACTIVE", [("#/status", "invalid-choice", STATUS)]),
    "sort": ("sort=email", [("#/sort", "invalid-choice", SORT)]),
    "sort, two": ("sort=created_at,client_name", [("#/sort", "invalid-choice", SORT)]),
    "include_deleted": ("include_deleted=1", [("#/include_deleted", "invalid-flag", "Must be true or false.")]),
    "email": ("email=nobody", [("#/email", "invalid-email", "Invalid email address.")]),
    "q, empty": ("q=", [("#/q", *LENGTH_255)]),
    "q of 256": (f"q={'a' * 256}", [("#/q", *LENGTH_255)]),
    "cursor, empty": ("cursor=", [("#/cursor", "invalid-length", "Must have 1 to 4096 characters.")]),
    "external_id of 129": (
        f"external_id={'a' * 129}", [("#/external_id", "invalid-length", "Must have 1 to 128 characters.")]
    ),
    **{f"NUL in {name}": (f"{name}=a%00b", [(f"#/{name}", *NUL)])
       for name in ("q", "plan", "industry", "external_id", "email", "limit", "status", "cursor", "created_after")},
    **{f"created_after={text}": (f"created_after={quote(text)}", [("#/created_after", *TIME)]) for text in (
        "", "yesterday", "1739205000", "2025-02-10", "2025-02-10T16:30Z", "2025-02-10T16:30:00", "20250210T163000Z",
        "2025-W07-1T16:30:00Z", "2025-02-30T16:30:00Z", "2025-02-10T25:00:00Z", "2025-02-10T16:30:60Z",
        "2025-02-10T16:30:00+24:00", "2025-02-10T16:30:00+0200", "2025-02-10T16:30:00,5Z", "2025-02-10x16:30:00Z",
        "2025-02-10T16:30:00Z\n", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "٢٠٢٥-02-10T16:30:00Z")},
    "a plus sign that was not escaped": ("updated_before=2025-02-10T16:30:00+02:00", [("#/updated_before", *TIME)]),
    "all at once": (
        "limit=0&sort=x&q=&x=1&status=&plan=a&plan=b",
        [
            LIMIT,
            ("#/plan", *TWICE),
            ("#/q", *LENGTH_255),
            ("#/sort", "invalid-choice", SORT),
            ("#/status", "invalid-choice", STATUS),
            ("#/x", *UNKNOWN),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("query", "errors"), WRONG.values(), ids=WRONG)
def test_invalid_parameter_is_named(partner: Caller, query: str, errors: list[tuple[str, str, str]]) -> None:
    assert_invalid_parameters(partner("GET", f"/tenants?{query}"), *errors)


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE", "POST"])
def test_no_request_takes_an_unknown_parameter(partner: Caller, method: str) -> None:
    tenant = partner.create()
    path = "/tenants" if method == "POST" else tenant_path(tenant)
    body = {} if method in ("GET", "DELETE") else {"json": {**EXAMPLE, "client_name": "Other"}}
    response = partner(method, f"{path}?b=1&a=2", **body)
    assert_invalid_parameters(response, ("#/a", *UNKNOWN), ("#/b", *UNKNOWN))
    assert partner("GET", "/tenants").get_json()["items"] == [tenant]


@pytest.mark.parametrize(
    ("limit", "expected"), [("1", 1), ("2", 2), ("0005", 5), ("999", 6), ("1000", 6), ("1001", 6), ("9" * 5000, 6)]
)
def test_a_limit_is_kept_and_a_huge_one_coerced(partner: Caller, limit: str, expected: int) -> None:
    for _ in range(6):
        partner.create()
    assert len(list_names(partner, limit=limit)) == expected


def test_the_default_limit_is_50(partner: Caller) -> None:
    for _ in range(51):
        partner.create()
    assert len(list_names(partner)) == 50


NAMED = [
    "ÄPFEL GmbH",
    "apple",
    "Apple pie",
    "100% Juice",
    "100 Juice",
    "a_b",
    "axb",
    "STRASSE",
    "Straße 2",
    "a.c",
    "\\",
    "ﬁsh",
    "last",
    "last\U0010ffff",
    "last\U0010ffff\U0010ffffly",
    "edge\ud7ff",
    "edge\ud7ffs",
    "edge\ue000",
    "\U0010ffff\U0010ffff",
]
PREFIXES = {
    "lower case": ("app", ["apple", "Apple pie"]),
    "upper case": ("APPLE", ["apple", "Apple pie"]),
    "white space at the end": ("apple ", ["Apple pie"]),
    "whole": ("Apple Pie", ["Apple pie"]),
    "beyond ASCII": ("äpf", ["ÄPFEL GmbH"]),
    "decomposed": ("A\u0308p", ["ÄPFEL GmbH"]),
    "sharp s": ("straß", ["STRASSE", "Straße 2"]),
    "ligature": ("fish", ["ﬁsh"]),
    "percent": ("100%", ["100% Juice"]),
    "percent alone": ("%", []),
    "underscore": ("a_", ["a_b"]),
    "underscore alone": ("_", []),
    "dot": ("a.", ["a.c"]),
    "anything": (".*", []),
    "brackets": ("[a-z]", []),
    "caret": ("^a", []),
    "star": ("*", []),
    "backslash": ("\\", ["\\"]),
    "quote": ("' OR '1'='1", []),
    "the middle": ("pie", []),
    "before the last character": ("last", ["last", "last\U0010ffff", "last\U0010ffff\U0010ffffly"]),
    "to the last character": ("last\U0010ffff", ["last\U0010ffff", "last\U0010ffff\U0010ffffly"]),
    "twice the last character": ("last\U0010ffff\U0010ffff", ["last\U0010ffff\U0010ffffly"]),
    "the last character alone": ("\U0010ffff", ["\U0010ffff\U0010ffff"]),
    "255 times the last character": ("\U0010ffff" * 255, []),
    "before the surrogates": ("edge\ud7ff", ["edge\ud7ff", "edge\ud7ffs"]),
    "after the surrogates": ("edge\ue000", ["edge\ue000"]),
}


@pytest.mark.parametrize(("prefix", "expected"), PREFIXES.values(), ids=PREFIXES)
def test_q_finds_names_by_their_beginning(partner: Caller, prefix: str, expected: list[str]) -> None:
    for name in NAMED:
        partner.create(client_name=name)
    assert sorted(list_names(partner, q=prefix)) == sorted(expected)


def test_lists_are_filtered_by_everything_at_once(partner: Caller) -> None:
    wanted = {"plan": "pro", "industry": "Energy", "external_id": "crm-1"}
    tenant = partner.create(client_name="Wanted", email="Wanted@example.com", **wanted)
    for other in ({"plan": "free"}, {"industry": "Food"}, {"external_id": "crm-2"}, {"client_name": "Other"}):
        partner.create(**{"client_name": "Wanted too", **wanted, "external_id": None, **other})
    query = {**wanted, "q": "want", "email": "wanted@EXAMPLE.com", "status": "active", "include_deleted": "true"}
    times = {"created_after": "2000-01-01T00:00:00Z", "updated_before": "2999-01-01T00:00:00+02:00"}
    question = {**query, **times, "sort": "-client_name", "limit": "1"}
    response = partner("GET", "/tenants", query_string=urlencode(question))
    assert response.get_json() == {"items": [tenant], "next": None}


@pytest.mark.parametrize(("query", "expected"), [
    ({}, ["alive"]),
    ({"status": "active"}, ["alive"]),
    ({"status": "deleted"}, ["dead"]),
    ({"status": "suspended"}, []),
    ({"include_deleted": "true"}, ["alive", "dead"]),
    ({"include_deleted": "false"}, ["alive"]),
    ({"include_deleted": "true", "status": "active"}, ["alive"]),
    ({"include_deleted": "false", "status": "deleted"}, ["dead"]),
    ({"include_deleted": "true", "q": "d"}, ["dead"]),
], ids=str)  # fmt: skip
def test_deleted_tenants_are_listed_on_request(partner: Caller, query: dict[str, str], expected: list[str]) -> None:
    partner.create(client_name="alive")
    partner("DELETE", tenant_path(partner.create(client_name="dead")))
    assert sorted(list_names(partner, **query)) == expected


@pytest.mark.parametrize("query", ["q=%FF", "q=%ED%A0%80", "plan=%C0%AF", "industry=%F4%90%80%80", "external_id=%E4"])
def test_a_filter_that_is_no_utf8_finds_nothing(partner: Caller, query: str) -> None:
    partner.create(plan="a", industry="b", external_id="c")
    assert partner("GET", f"/tenants?{query}").get_json() == {"items": [], "next": None}


START = datetime.now(UTC).replace(microsecond=0)
MONTH = 30 * 24 * 3600


def format_time(seconds: float, hours: int = 0) -> str:
    """The instant so long after the start, on the clocks of a zone."""
    moment = START + timedelta(seconds=seconds)
    return moment.astimezone(timezone(timedelta(hours=hours))).isoformat(timespec="microseconds")


def test_times_are_exclusive_bounds_to_the_microsecond(make_app: Callable[..., Flask]) -> None:
    clock = Clock()
    partner = Caller(make_app(mount={"clock": clock}))
    tenants = []
    for name, clock.seconds in (("a", 0), ("b", 0.25), ("c", 0.5)):
        tenants.append(partner.create(client_name=name))
    clock.seconds = 2
    partner("PATCH", tenant_path(tenants[1]), json={"industry": "x"})
    listed = {
        "after the first": list_names(partner, created_after=format_time(0)),
        "just before the first": list_names(partner, created_after=format_time(-0.000001)),
        "before the last": list_names(partner, created_before=format_time(0.5)),
        "between": list_names(partner, created_after=format_time(0), created_before=format_time(0.5)),
        "in another zone": list_names(
            partner, created_after=format_time(0.249999, 2), created_before=format_time(0.5, -11)
        ),
        "in lower case": list_names(partner, created_after=format_time(0.25).replace("+00:00", "z").lower()),
        "with a space": list_names(partner, created_after=format_time(0.25).replace("T", " ")),
        "updated since": list_names(partner, updated_after=format_time(1)),
        "not updated since": list_names(partner, updated_before=format_time(1)),
        "never": list_names(partner, created_after=format_time(1), created_before=format_time(0)),
        "the first year": list_names(partner, created_before="0001-01-01T00:00:00Z"),
        "the last year": list_names(partner, created_before="9999-12-31T23:59:59.9999999999Z"),
    }
    assert listed == {
        "after the first": ["b", "c"],
        "just before the first": ["a", "b", "c"],
        "before the last": ["a", "b"],
        "between": ["b"],
        "in another zone": ["b"],
        "in lower case": ["c"],
        "with a space": ["c"],
        "updated since": ["b"],
        "not updated since": ["a", "c"],
        "never": [],
        "the first year": [],
        "the last year": ["a", "b", "c"],
    }


def test_pages_of_seven_meet_each_of_120_once_in_every_order(make_app: Callable[..., Flask]) -> None:
    clock = Clock()
    partner = Caller(make_app(mount={"clock": clock}))
    created = []
    for number in range(120):
        clock.seconds = number // 20
        created.append(partner.create(client_name=("Same", "same", "Other\n", "Ünique", "Z")[number % 5]))
    ordered = {
        "created_at": sorted(created, key=lambda tenant: (tenant["created_at"], tenant["tenant"])),
        "client_name": sorted(created, key=lambda tenant: (tenant["client_name"].casefold(), tenant["tenant"])),
    }
    walked = {sort: list(walk(partner, f"limit=7&sort={sort}")) for sort in SORT_ORDERS}
    assert {sort: [tenant["tenant"] for tenant in tenants] for sort, tenants in walked.items()} == {
        sort: [tenant["tenant"] for tenant in ordered[sort.lstrip("-")]][:: -1 if sort.startswith("-") else 1]
        for sort in SORT_ORDERS
    }


@pytest.mark.parametrize("sort", SORT_ORDERS)
def test_concurrent_changes_do_not_shift_pages(partner: Caller, sort: str) -> None:
    tenants = [partner.create(client_name=f"n{number}") for number in range(9)]
    met = []
    for number, tenant in enumerate(walk(partner, f"limit=2&sort={sort}")):
        met.append(tenant["tenant"])
        if number == 1:
            partner("DELETE", tenant_path(tenant))
            partner.create(client_name="n" if sort == "client_name" else "z", email="late@example.com")
    assert [id for id in met if id in {tenant["tenant"] for tenant in tenants}] == [
        tenant["tenant"] for tenant in (tenants if not sort.startswith("-") else tenants[::-1])
    ]


@pytest.mark.parametrize("sort", SORT_ORDERS)
def test_each_remaining_tenant_is_listed_once_during_changes(partner: Caller, sort: str) -> None:
    tenants = [partner.create(client_name=f"n{number:02}") for number in range(30)]
    met, gone = [], []
    for number, tenant in enumerate(walk(partner, f"limit=4&sort={sort}")):
        met.append(tenant["tenant"])
        if number % 4 == 3 and number < 20:
            gone += [tenant["tenant"], tenants[number + 5]["tenant"], tenants[24 - number]["tenant"]]
            for leaving in gone[-3:]:
                partner("DELETE", tenant_path({"tenant": leaving}))
            for name in ("a", "n14x", "z"):
                partner.create(client_name=name)
    stayed = {tenant["tenant"] for tenant in tenants} - set(gone)
    assert len(stayed) >= 15
    assert sorted(tenant for tenant in met if tenant in stayed) == sorted(stayed)


def test_next_link_keeps_the_query(partner: Caller) -> None:
    for number in range(3):
        partner.create(client_name=f"Käse & Brot {number}")
    first = partner("GET", "/tenants", query_string={"limit": "2", "q": "Käse & ", "sort": "-client_name"})
    link, relation = first.headers["Link"].split("; ")
    target = urlsplit(link.strip("<>"))
    assert relation == 'rel="next"'
    assert (target.path, parse_qsl(target.query)) == (
        f"{PREFIX}/tenants",
        [("limit", "2"), ("q", "Käse & "), ("sort", "-client_name"), ("cursor", first.get_json()["next"])],
    )
    second = partner("GET", f"{target.path.removeprefix(PREFIX)}?{target.query}")
    assert [tenant["client_name"] for tenant in second.get_json()["items"]] == ["Käse & Brot 0"]
    assert "Link" not in second.headers
    assert second.get_json()["next"] is None


@pytest.mark.parametrize("sort", SORT_ORDERS)
def test_link_and_next_agree_on_every_page(partner: Caller, sort: str) -> None:
    for _ in range(5):
        partner.create()
    path, cursors = f"/tenants?limit=2&sort={sort}", []
    while path:
        response = partner("GET", path)
        path = response.headers.get("Link", "").split(";")[0].strip("<>").removeprefix(PREFIX)
        linked = dict(parse_qsl(urlsplit(path).query)).get("cursor")
        cursors.append((linked, response.get_json()["next"]))
    assert len(cursors) == 3
    assert all(linked == following for linked, following in cursors)


def test_a_microsecond_orders_tenants(make_app: Callable[..., Flask]) -> None:
    clock = Clock()
    partner = Caller(make_app(mount={"clock": clock}))
    tenants = []
    for clock.seconds in (0.000003, 0.000001, 0.000002, 0.000001):
        tenants.append(partner.create()["tenant"])
    first, second = sorted([tenants[1], tenants[3]])
    assert [tenant["tenant"] for tenant in walk(partner, "limit=1")] == [first, second, tenants[2], tenants[0]]


def test_names_are_ordered_by_code_points_on_every_database(partner: Caller) -> None:
    names = [
        "a",
        "Z",
        "~",
        "é",
        "ﬀ",
        "ß",
        "0",
        "\ud7ff",
        "\ue000",
        "\uffee",
        "\U00010000",
        "😀",
        "\U0010ffff",
        "z\uffee",
    ]
    names += ["z\U00010000", "a b", "a-b", "a_b", "ab", "aB c", "A\u0308", "ア"]
    for name in names:
        partner.create(client_name=name)
    assert [tenant["client_name"] for tenant in walk(partner, "limit=3&sort=client_name")] == sorted(
        names, key=make_name_key
    )


@pytest.mark.parametrize(
    "query", ["include_deleted=true", "status=deleted", "include_deleted=true&email=gone@example.com"]
)
def test_tenants_past_retention_are_not_listed(make_app: Callable[..., Flask], query: str) -> None:
    clock = Clock()
    partner = Caller(make_app(mount={"clock": clock}), exp=int(START.timestamp()) + 2 * MONTH)
    gone = partner.create(email="gone@example.com")
    partner("DELETE", tenant_path(gone))
    listed = []
    for clock.seconds in (MONTH - 0.000001, MONTH):
        listed.append([tenant["tenant"] for tenant in partner("GET", f"/tenants?{query}").get_json()["items"]])
    assert listed == [[gone["tenant"]], []]


def test_the_longest_values_fit_the_indexes(app: Flask) -> None:
    def long(length: int) -> str:
        return "".join(chr(random.randrange(0x20000, 0x2A6D0)) for _ in range(length))

    partner = Caller(app, long(255))
    fields = {"client_name": long(255), "industry": long(100), "plan": long(100), "external_id": long(128)}
    tenant = partner.create(**fields)
    query = {**{name: fields[name] for name in ("industry", "plan", "external_id")}, "q": fields["client_name"]}
    tenants = partner("GET", "/tenants", query_string=urlencode(query)).get_json()["items"]
    assert tenants == [tenant]


def test_a_cursor_with_any_other_character_is_refused(partner: Caller) -> None:
    cursor = first_cursor(partner)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for place, character in enumerate(cursor):
        for other in {alphabet[alphabet.index(character) ^ bit] for bit in (1, 2, 4, 8, 16, 32)}:
            response = partner("GET", f"/tenants?limit=1&cursor={cursor[:place]}{other}{cursor[place + 1 :]}")
            assert_problem(response, 400, "invalid-cursor", "Invalid cursor.")


def test_truncated_cursor_returns_400(partner: Caller) -> None:
    cursor = first_cursor(partner)
    for place in range(1, len(cursor)):
        for piece in (cursor[:place], cursor[place:]):
            assert_problem(partner("GET", f"/tenants?limit=1&cursor={piece}"), 400, "invalid-cursor", "Invalid cursor.")


@pytest.mark.parametrize("addition", ["A", "=", "==", "%0A", "%20", ".", "%C3%A4", "AAAA"])
def test_a_cursor_with_an_addition_is_refused(partner: Caller, addition: str) -> None:
    query = f"/tenants?limit=1&cursor={first_cursor(partner)}{addition}"
    assert_problem(partner("GET", query), 400, "invalid-cursor", "Invalid cursor.")


@pytest.mark.parametrize("cursor", ["x", "%25", "ä", "null", "AAAA", "A" * 4096, "-", "0", "😀"])
def test_malformed_cursor_is_refused(partner: Caller, cursor: str) -> None:
    assert_problem(partner("GET", f"/tenants?cursor={cursor}"), 400, "invalid-cursor", "Invalid cursor.")


@pytest.mark.parametrize(
    "question",
    [
        "sort=-created_at",
        "sort=client_name",
        "q=a",
        "status=active",
        "include_deleted=true",
        "plan=a",
        "industry=a",
        "external_id=a",
        "email=a@example.com",
        "created_after=2000-01-01T00:00:00Z",
        "created_before=2999-01-01T00:00:00Z",
        "updated_after=2000-01-01T00:00:00Z",
        "updated_before=2999-01-01T00:00:00Z",
    ],
)
def test_a_cursor_of_another_question_is_refused(partner: Caller, question: str) -> None:
    cursor = first_cursor(partner)
    assert_problem(partner("GET", f"/tenants?{question}&cursor={cursor}"), 400, "invalid-cursor", "Invalid cursor.")


@pytest.mark.parametrize(
    ("question", "other"),
    [
        ("q=ex", "q=exa"),
        ("status=active", "status=suspended"),
        ("industry=Energy", "industry=energy"),
        ("created_after=2000-01-01T00:00:00Z", "created_after=2000-01-01T00:00:00.000001Z"),
        ("created_after=2000-01-01T00:00:00Z", "updated_after=2000-01-01T00:00:00Z"),
        ("q=ex&status=active", "status=active"),
        ("include_deleted=true", ""),
    ],
)
def test_a_cursor_of_another_value_is_refused(partner: Caller, question: str, other: str) -> None:
    for _ in range(2):
        partner.create(industry="Energy")
    cursor = partner("GET", f"/tenants?limit=1&{question}").get_json()["next"]
    assert partner("GET", f"/tenants?{question}&cursor={cursor}").status_code == 200
    assert_problem(partner("GET", f"/tenants?{other}&cursor={cursor}"), 400, "invalid-cursor", "Invalid cursor.")


def test_a_cursor_of_another_partner_is_refused(app: Flask, partner: Caller) -> None:
    stranger, administrator = Caller(app), Caller(app, roles=["provisioning-admin"])
    cursor = first_cursor(partner)
    for caller, more in ((stranger, ""), (administrator, ""), (administrator, f"&partner={stranger.partner}")):
        response = caller("GET", f"/tenants?limit=1&cursor={cursor}{more}")
        assert_problem(response, 400, "invalid-cursor", "Invalid cursor.")


def test_a_cursor_goes_on_under_another_limit(partner: Caller) -> None:
    cursor = first_cursor(partner)
    assert len(partner("GET", f"/tenants?limit=9&cursor={cursor}").get_json()["items"]) == 2


def test_names_of_any_length_and_letters_can_be_walked(partner: Caller) -> None:
    names = ["\ufdfa" * 255, "😀" * 255, "ΐ" * 255, "a\nb", "x\u2028y", "'", "\U0010ffff"]
    for name in names:
        partner.create(client_name=name)
    walked = [tenant["client_name"] for tenant in walk(partner, "limit=1&sort=client_name")]
    assert sorted(walked) == sorted(names)


class Clock:
    """Stands still until its `seconds` after the start are set."""

    seconds: float = 0

    def __call__(self) -> float:
        return START.timestamp() + self.seconds


def tenant_path(tenant: dict[str, Any]) -> str:
    return f"/tenants/{tenant['tenant']}"


def list_names(partner: Caller, **query: str) -> list[str]:
    """The names on the first page of what is `asked`."""
    response = partner("GET", "/tenants", query_string=urlencode(query))
    assert response.status_code == 200, response.text
    return [tenant["client_name"] for tenant in response.get_json()["items"]]


def walk(partner: Caller, query: str) -> Iterator[dict[str, Any]]:
    """Every tenant on every page, by `next`."""
    document = partner("GET", f"/tenants?{query}").get_json()
    yield from document["items"]
    while document["next"]:
        document = partner("GET", f"/tenants?{query}&cursor={document['next']}").get_json()
        yield from document["items"]


def first_cursor(partner: Caller) -> str:
    """The cursor after the first of three tenants."""
    for _ in range(3):
        partner.create()
    cursor: str = partner("GET", "/tenants?limit=1").get_json()["next"]
    return cursor
