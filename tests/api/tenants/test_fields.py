"""The fields of a tenant, each at both sides of its bounds, and everything wrong with a body in one answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from email_validator import EmailNotValidError, validate_email
from flask import Flask
from hypothesis import given, settings, strategies as st
from marshmallow import ValidationError

from flask_tenant_provisioning.tenants.fields import make_email_key
from tests.support.assertions import assert_invalid_fields, assert_problem
from tests.support.callers import Caller

NAME, ADDRESS = "Example Corp", "admin@example.com"
LONGEST_DOMAIN = ".".join(["b" * 61, "c" * 61, "d" * 61, "com"])
LONGEST_ADDRESS = f"{'a' * 64}@{LONGEST_DOMAIN}"

TEXT = ("invalid-type", "Must be a text.")
OBJECT = ("invalid-type", "Must be an object.")
LENGTH_255 = ("invalid-length", "Must have 1 to 255 characters.")
LENGTH_128 = ("invalid-length", "Must have 1 to 128 characters.")
LENGTH_100 = ("invalid-length", "Must have 0 to 100 characters.")
LENGTH_500 = ("invalid-length", "Must have 500 characters at most.")
LENGTH_32 = ("invalid-length", "Must have 3 to 32 characters.")
EMAIL = ("invalid-email", "Invalid email address.")
PHONE = ("invalid-phone-number", "Invalid phone number.")
KEY = ("invalid-key", "A key must have 1 to 40 characters.")
TOO_MANY = ("too-many-keys", "Must have 50 keys at most.")
REQUIRED = ("required", "This field is required.")
NULL = ("null", "This field may not be null.")
UNKNOWN = ("unknown-field", "There is no such field.")
READ_ONLY = ("read-only", "This field is set by the server.")

HOSTILE = {
    "HTML": "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;\"'",
    "SQL": "'; DROP TABLE provisioning_tenants; --",
    "placeholders": "%s %(id)s :id ? $1 {0} {{7*7}} ${x}",
    "backslashes": "\\ \\n \\u0041 \\\\",
    "right to left": "\u202eشركة\u202c \u2067עברית\u2069",
    "emoji": "👩\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 🇬🇧",
    "four bytes": "𠜎𝔘𐍈\U0010fffd",
    "combining": "Z̷̧͝a̸l̶g̴o̵ e\u0301 é",
    "noncharacters": "\ufffe\uffff\ufdd0",
    "controls": "a\u0001\t\r\n\u007f\u0085\u2028\u2029b",
    "zero width": "a\u200b\u200d\ufeffb",
    "white space inside": "a  b\u00a0c\u3000d",
    "CSV formula": "=cmd|' /C calc'!A0",
    "header injection": "a\r\nSet-Cookie: b=c",
}

KEPT = {
    "client_name of 1": ("client_name", "a"),
    "client_name of 255": ("client_name", "a" * 255),
    "client_name of 255, four bytes each": ("client_name", "😀" * 255),
    "client_name of 255 that fold into 765": ("client_name", "ΐ" * 255),
    "client_name of 255 that fold into 4590": ("client_name", "\ufdfa" * 255),
    "client_name of combining characters": ("client_name", "e\u0301"),
    "email of 254": ("email", LONGEST_ADDRESS),
    "email, upper case": ("email", "ADMIN@EXAMPLE.COM"),
    "email, tagged": ("email", "first.last+tag=1'{x}@sub.example.com"),
    "email, IDN": ("email", "jörg@bücher.example.com"),
    "email, punycode": ("email", "joe@xn--bcher-kva.com"),
    "email, decomposed": ("email", "jo\u0308rg@example.com"),
    "phone_number of 3": ("phone_number", "110"),
    "phone_number of 32": ("phone_number", "+" + "1" * 31),
    "phone_number with every sign": ("phone_number", "+44 (0)20-7946.0018"),
    "industry, empty": ("industry", ""),
    "industry of 100": ("industry", "ä" * 100),
    "plan, empty": ("plan", ""),
    "plan of 100": ("plan", "a" * 100),
    "external_id of 1": ("external_id", "0"),
    "external_id of 128": ("external_id", "😀" * 128),
    "external_id with signs": ("external_id", " a/b?c=d&e#f%00 "),
    "metadata, empty": ("metadata", {}),
    "metadata of 50 keys": ("metadata", {f"k{n}": "" for n in range(50)}),
    "metadata key of 40": ("metadata", {"😀" * 40: "a"}),
    "metadata value of 500": ("metadata", {"a": "😀" * 500}),
    "metadata at its largest": ("metadata", {f"{n:02}" + "k" * 38: "v" * 500 for n in range(50)}),
    "metadata named like fields": ("metadata", {"email": "x", "__proto__": "y", "_schema": "z", "id": "1"}),
    **{f"{what} as {name}": (name, text) for what, text in HOSTILE.items()
       for name in ("client_name", "industry", "plan", "external_id")},
    **{f"{what} in metadata": ("metadata", {text[:40]: text}) for what, text in HOSTILE.items()},
    **{f"{name} null": (name, None) for name in ("external_id", "phone_number", "industry", "plan")},
}  # fmt: skip

REFUSED = {
    "client_name, empty": ("client_name", "", LENGTH_255),
    "client_name, white space alone": ("client_name", " \t\r\n\u00a0\u2003\u3000", LENGTH_255),
    "client_name of 256": ("client_name", "a" * 256, LENGTH_255),
    "client_name null": ("client_name", None, NULL),
    "email of 255": ("email", f"{'a' * 64}@b{LONGEST_DOMAIN}", EMAIL),
    "email of 254 in more bytes": ("email", f"ä{LONGEST_ADDRESS[1:]}", EMAIL),
    "email with a label of 64": ("email", f"a@{'b' * 64}.com", EMAIL),
    "email of a megabyte": ("email", "a@" * 400_000, EMAIL),
    "email, empty": ("email", "", EMAIL),
    "email without @": ("email", "admin.example.com", EMAIL),
    "email with two @": ("email", "a@b@example.com", EMAIL),
    "email without domain": ("email", "admin@", EMAIL),
    "email without local part": ("email", "@example.com", EMAIL),
    "email without dot": ("email", "admin@example", EMAIL),
    "email with two dots": ("email", "a..b@example.com", EMAIL),
    "email with a trailing dot": ("email", "admin@example.com.", EMAIL),
    "email with white space around": ("email", " admin@example.com ", EMAIL),
    "email with a line break": ("email", "admin@example.com\n", EMAIL),
    "email with a header": ("email", "a@example.com\r\nBcc: b@example.com", EMAIL),
    "email with a name": ("email", "Admin <admin@example.com>", EMAIL),
    "email, quoted": ("email", '"a b"@example.com', EMAIL),
    "email at an address": ("email", "a@[127.0.0.1]", EMAIL),
    "email, two": ("email", "a@example.com,b@example.com", EMAIL),
    "email, right to left": ("email", "a\u202e@example.com", EMAIL),
    "email null": ("email", None, NULL),
    "phone_number, empty": ("phone_number", "", LENGTH_32),
    "phone_number of 2": ("phone_number", "12", LENGTH_32),
    "phone_number of 33": ("phone_number", "1" * 33, LENGTH_32),
    "phone_number without digits": ("phone_number", "+()-. ", PHONE),
    "phone_number, letters": ("phone_number", "0800 FLASK", PHONE),
    "phone_number, extension": ("phone_number", "1234x5", PHONE),
    "phone_number, Arabic digits": ("phone_number", "١٢٣٤", PHONE),
    "phone_number, wide digits": ("phone_number", "１２３４", PHONE),
    "phone_number, line break": ("phone_number", "1234\n", PHONE),
    "phone_number, no-break space": ("phone_number", "12\u00a034", PHONE),
    "industry of 101": ("industry", "a" * 101, LENGTH_100),
    "plan of 101": ("plan", "a" * 101, LENGTH_100),
    "external_id, empty": ("external_id", "", LENGTH_128),
    "external_id of 129": ("external_id", "a" * 129, LENGTH_128),
    "metadata of 51 keys": ("metadata", {f"k{n}": "" for n in range(51)}, TOO_MANY),
    "name_key": ("name_key", "a", UNKNOWN),
    "email_key": ("email_key", "a", UNKNOWN),
    "live": ("live", 1, UNKNOWN),
    "Email": ("Email", ADDRESS, UNKNOWN),
    "_schema": ("_schema", 1, UNKNOWN),
    **{f"{name} is {value!r}": (name, value, TEXT)
       for name in ("client_name", "email", "phone_number", "industry", "plan", "external_id")
       for value in (True, 1, 1.5, ["text"], {"a": "text"})},
    **{f"metadata is {value!r}": ("metadata", value, OBJECT) for value in (True, 1, 1.5, ["text"], "text")},
    **{name: (name, value, READ_ONLY) for name, value in {
        "tenant": "0193d5f0-0000-7000-8000-000000000000", "partner": "acme", "status": "active",
        "suspended_reason": None, "version": 1, "created_at": "2025-02-10T16:30:00.000Z",
        "updated_at": "2025-02-10T16:30:00.000Z", "deleted_at": None, "purge_at": None}.items()},
}  # fmt: skip

REFUSED_METADATA = {
    "empty key": ({"": "a"}, ("#/metadata/", *KEY)),
    "key of 41": ({"a" * 41: "a"}, (f"#/metadata/{'a' * 41}", *KEY)),
    "value of 501": ({"a": "a" * 501}, ("#/metadata/a", *LENGTH_500)),
    "null": ({"a": None}, ("#/metadata/a", *TEXT)),
    "number": ({"a": 1}, ("#/metadata/a", *TEXT)),
    "boolean": ({"a": False}, ("#/metadata/a", *TEXT)),
    "list": ({"a": ["b"]}, ("#/metadata/a", *TEXT)),
    "object": ({"a": {"b": "c"}}, ("#/metadata/a", *TEXT)),
    "slash": ({"a/b": 1}, ("#/metadata/a~1b", *TEXT)),
    "tilde": ({"a~b": 1}, ("#/metadata/a~0b", *TEXT)),
    "both": ({"~1/": 1}, ("#/metadata/~01~1", *TEXT)),
    "space": ({"a b": 1}, ("#/metadata/a%20b", *TEXT)),
    "percent": ({"a%2Fb": 1}, ("#/metadata/a%252Fb", *TEXT)),
    "quotes and brackets": ({'a"<b>^`{|}': 1}, ("#/metadata/a%22%3Cb%3E%5E%60%7B%7C%7D", *TEXT)),
    "legal in a fragment": ({"-._~!$&'()*+,;=:@": 1}, ("#/metadata/-._~0!$&'()*+,;=:@", *TEXT)),
    "hash": ({"#": 1}, ("#/metadata/%23", *TEXT)),
    "not ASCII": ({"ключ": 1}, ("#/metadata/%D0%BA%D0%BB%D1%8E%D1%87", *TEXT)),
    "emoji": ({"😀": 1}, ("#/metadata/%F0%9F%98%80", *TEXT)),
    "control character": ({"\u0001\n": 1}, ("#/metadata/%01%0A", *TEXT)),
    "digits": ({"0": 1}, ("#/metadata/0", *TEXT)),
    "_schema": ({"_schema": 1}, ("#/metadata/_schema", *TEXT)),
}


def post(caller: Caller, /, **fields: Any) -> Any:
    return caller("POST", "/tenants", json={"client_name": NAME, "email": ADDRESS, **fields})


@pytest.mark.parametrize(("field", "value"), KEPT.values(), ids=KEPT)
def test_value_is_stored_exactly(partner: Caller, field: str, value: Any) -> None:
    response = post(partner, **{field: value})
    assert response.status_code == 201, response.text
    document = response.get_json()
    assert document[field] == value
    assert partner("GET", f"/tenants/{document['tenant']}").get_json() == document
    assert partner("GET", "/tenants").get_json() == {"items": [document], "next": None}


@pytest.mark.one_database("a body is read before any database is asked")
@pytest.mark.parametrize(("field", "value", "fault"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_value_is_refused(partner: Caller, field: str, value: Any, fault: tuple[str, str]) -> None:
    assert_invalid_fields(post(partner, **{field: value}), (f"#/{field}", *fault))


@pytest.mark.one_database("a body is read before any database is asked")
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize(("field", "value", "fault"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_value_changes_nothing(
    partner: Caller, method: str, field: str, value: Any, fault: tuple[str, str]
) -> None:
    tenant = partner.create()
    path = f"/tenants/{tenant['tenant']}"
    body = {"client_name": "Other", "email": "other@example.com", field: value}
    assert_invalid_fields(partner(method, path, json=body), (f"#/{field}", *fault))
    assert partner("GET", path).get_json() == tenant


@pytest.mark.one_database("a body is read before any database is asked")
@pytest.mark.parametrize(("metadata", "error"), REFUSED_METADATA.values(), ids=REFUSED_METADATA)
def test_invalid_metadata_member_is_pointed_to(
    partner: Caller, metadata: dict[str, Any], error: tuple[str, str, str]
) -> None:
    assert_invalid_fields(post(partner, metadata=metadata), error)


@pytest.mark.parametrize("name", ["a/b~c d", "_schema", "Ü", "", "#/email", "client_name ", "__class__", "a" * 500])
def test_an_unknown_field_is_pointed_at(partner: Caller, name: str) -> None:
    escaped = {"a/b~c d": "a~1b~0c%20d", "Ü": "%C3%9C", "#/email": "%23~1email", "client_name ": "client_name%20"}
    assert_invalid_fields(post(partner, **{name: 1}), (f"#/{escaped.get(name, name)}", *UNKNOWN))


def test_required_fields_are_required(partner: Caller) -> None:
    assert_invalid_fields(partner("POST", "/tenants", json={}), ("#/client_name", *REQUIRED), ("#/email", *REQUIRED))


def test_put_requires_the_required_fields(partner: Caller) -> None:
    tenant = partner.create()
    response = partner("PUT", f"/tenants/{tenant['tenant']}", json={"industry": "Technology"})
    assert_invalid_fields(response, ("#/client_name", *REQUIRED), ("#/email", *REQUIRED))


def test_all_errors_are_listed_in_pointer_order(partner: Caller) -> None:
    body = {
        "email": "nobody",
        "phone_number": "x" * 3,
        "industry": 7,
        "plan": "x" * 101,
        "external_id": "",
        "metadata": {"z": 1, "a/b": "x" * 501, "": "x", "good": "x", **{f"k{n}": "" for n in range(50)}},
        "status": "active",
        "version": 2,
        "zeta": 1,
        "alpha": 1,
    }
    assert_invalid_fields(
        partner("POST", "/tenants", json=body),
        ("#/alpha", *UNKNOWN),
        ("#/client_name", *REQUIRED),
        ("#/email", *EMAIL),
        ("#/external_id", *LENGTH_128),
        ("#/industry", *TEXT),
        ("#/metadata", *TOO_MANY),
        ("#/metadata/", *KEY),
        ("#/metadata/a~1b", *LENGTH_500),
        ("#/metadata/z", *TEXT),
        ("#/phone_number", *PHONE),
        ("#/plan", *LENGTH_100),
        ("#/status", *READ_ONLY),
        ("#/version", *READ_ONLY),
        ("#/zeta", *UNKNOWN),
    )


@pytest.mark.parametrize("sent", [" Example Corp", "Example Corp\n", "\u00a0\u3000Example Corp\u2003\t"])
def test_a_name_is_trimmed(partner: Caller, sent: str) -> None:
    assert post(partner, client_name=sent).get_json()["client_name"] == "Example Corp"


def test_the_length_of_a_name_is_taken_after_trimming(partner: Caller) -> None:
    assert post(partner, client_name=f" {'a' * 255} ").get_json()["client_name"] == "a" * 255


def test_metadata_null_means_none(partner: Caller) -> None:
    assert post(partner, metadata=None).get_json()["metadata"] == {}


SAME_ADDRESS = {
    "case of the local part": ("admin@example.com", "Admin@example.com"),
    "case of the domain": ("admin@example.com", "admin@EXAMPLE.com"),
    "case beyond ASCII": ("jörg@example.com", "JÖRG@example.com"),
    "sharp s": ("STRAßE@example.com", "straße@example.com"),
    "final sigma": ("ΟΔΥΣΣΕΥΣ@example.com", "οδυσσευς@example.com"),
    "IDNA": ("admin@bücher.com", "admin@xn--bcher-kva.com"),
    "IDNA, upper case": ("admin@BÜCHER.com", "admin@XN--BCHER-KVA.com"),
    "decomposed local part": ("jörg@example.com", "jo\u0308rg@example.com"),
    "decomposed domain": ("admin@bücher.com", "admin@bu\u0308cher.com"),
    "decomposed by folding": ("\u0390@example.com", "\u03aa\u0301@example.com"),
    "wide domain": ("admin@example.com", "admin@ｅｘａｍｐｌｅ.com"),
    "ideographic full stop": ("admin@example.com", "admin@example。com"),
}


@pytest.mark.parametrize(("first", "second"), SAME_ADDRESS.values(), ids=SAME_ADDRESS)
def test_email_in_another_case_returns_409(partner: Caller, first: str, second: str) -> None:
    document = post(partner, email=first).get_json()
    response = post(partner, email=second)
    assert_problem(
        response,
        409,
        "tenant-exists",
        "Another tenant has this email.",
        field="email",
        conflicting_tenant=document["tenant"],
    )
    assert partner("GET", f"/tenants/{document['tenant']}").get_json() == {**document, "email": first}


@pytest.mark.parametrize(("first", "second"), SAME_ADDRESS.values(), ids=SAME_ADDRESS)
def test_an_address_is_found_in_any_spelling(partner: Caller, first: str, second: str) -> None:
    document = post(partner, email=first).get_json()
    assert partner("GET", "/tenants", query_string={"email": second}).get_json()["items"] == [document]


@pytest.mark.parametrize(
    ("first", "second"),
    [("admin@example.com", "admin+tag@example.com"), ("ab@example.com", "a.b@example.com"), ("a@b.com", "a@b.org")],
)
def test_different_addresses_are_distinct(partner: Caller, first: str, second: str) -> None:
    assert [post(partner, email=address).status_code for address in (first, second)] == [201, 201]


def test_email_can_change_its_case(partner: Caller) -> None:
    document = post(partner).get_json()
    response = partner("PATCH", f"/tenants/{document['tenant']}", json={"email": "Admin@Example.COM"})
    assert (response.status_code, response.get_json()["email"]) == (200, "Admin@Example.COM")


def test_an_external_id_is_unique(partner: Caller) -> None:
    document = post(partner, external_id="crm-1").get_json()
    response = post(partner, email="other@example.com", external_id="crm-1")
    detail, holder = "Another tenant has this external id.", document["tenant"]
    assert_problem(response, 409, "tenant-exists", detail, field="external_id", conflicting_tenant=holder)


def test_external_ids_are_compared_to_the_letter(partner: Caller) -> None:
    ids = ["crm-1", "CRM-1", " crm-1", "crm-1 ", "é", "e\u0301"]
    responses = [post(partner, email=f"{n}@example.com", external_id=text) for n, text in enumerate(ids)]
    assert [response.status_code for response in responses] == [201] * 6


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("field", ["email", "external_id"])
def test_change_to_a_taken_unique_value_returns_409(partner: Caller, method: str, field: str) -> None:
    holder, tenant = partner.create(external_id="crm-1"), partner.create()
    path = f"/tenants/{tenant['tenant']}"
    response = partner(method, path, json={"client_name": NAME, "email": ADDRESS, field: holder[field]})
    detail = f"Another tenant has this {field.replace('_', ' ')}."
    assert_problem(response, 409, "tenant-exists", detail, field=field, conflicting_tenant=holder["tenant"])
    assert partner("GET", path).get_json() == tenant


def test_another_partner_may_have_the_same_address_and_id(app: Flask) -> None:
    responses = [post(Caller(app), external_id="crm-1") for _ in range(2)]
    assert [response.status_code for response in responses] == [201, 201]


def test_the_longest_of_everything_fits_every_index(app: Flask) -> None:
    letters = random.Random(1)

    def longest(length: int) -> str:
        return "".join(chr(letters.randint(0x20000, 0x2A000)) for _ in range(length))

    partner = Caller(app, longest(255))
    body = {
        "client_name": longest(255),
        "email": f"{longest(16)}@{LONGEST_DOMAIN}",
        "external_id": longest(128),
        "industry": longest(100),
        "plan": longest(100),
        "metadata": {longest(40): longest(500) for _ in range(50)},
    }
    response = post(partner, **body)
    assert (response.status_code, response.get_json()) == (201, {**response.get_json(), **body})


@pytest.mark.parametrize("plan", ["free", "pro", None])
def test_a_plan_of_the_host_is_accepted(make_app: Callable[..., Flask], plan: str | None) -> None:
    partner = Caller(make_app(PROVISIONING_PLANS=["free", "pro"]))
    assert post(partner, plan=plan).get_json()["plan"] == plan


def test_unknown_plan_is_refused(make_app: Callable[..., Flask]) -> None:
    partner = Caller(make_app(PROVISIONING_PLANS=["free", "pro"]))
    tenant = partner.create(plan="free")
    error = ("#/plan", "unknown-plan", "Must be one of: free, pro.")
    assert_invalid_fields(post(partner, plan="enterprise"), error)
    assert_invalid_fields(post(partner, plan="Free"), error)
    assert_invalid_fields(post(partner, plan=""), error)
    assert_invalid_fields(partner("PATCH", f"/tenants/{tenant['tenant']}", json={"plan": "enterprise"}), error)


def test_strict_phone_numbers_are_valid_e164(make_app: Callable[..., Flask]) -> None:
    partner = Caller(make_app(PROVISIONING_PHONE_E164=True))
    good = post(partner, phone_number="+14155552671")
    assert (good.status_code, good.get_json()["phone_number"]) == (201, "+14155552671")
    for number in ("+1234567890", "+1415555267", "4155552671", "+1 415 555 2671", "+1(415)5552671", "0014155552671",
                   "+999123456789", "+" + "1" * 20, "110", "+++"):  # fmt: skip
        assert_invalid_fields(post(partner, phone_number=number), ("#/phone_number", *PHONE))


@given(
    address=st.from_regex(r"[a-zA-Z0-9_+.-]{1,70}@([a-zA-Z0-9-]{1,66}\.){1,3}[a-zA-Z0-9-]{1,12}", fullmatch=True)
    | st.from_regex(r"[a-z]{1,9}@([a-z]{1,5}\.)?(arpa|invalid|LOCAL|localhost|onion|test|com|xn--p1ai)", fullmatch=True)
)
@settings(max_examples=500, deadline=None)
def test_plain_addresses_are_read_as_email_validator_reads_them(address: str) -> None:
    try:
        parsed = validate_email(address, check_deliverability=False)
        expected = f"{parsed.local_part.casefold()}@{parsed.ascii_domain}".lower()
    except EmailNotValidError:
        with pytest.raises(ValidationError):
            make_email_key(address)
    else:
        assert make_email_key(address) == expected
