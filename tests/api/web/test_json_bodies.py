"""JSON: one reading for every body, or 400; never 500."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from flask_tenant_provisioning.encoding import dump_json, parse_json
from flask_tenant_provisioning.errors import MalformedJSON
from tests.support.assertions import assert_invalid_fields, assert_problem
from tests.support.callers import EXAMPLE, Caller

pytestmark = pytest.mark.one_database("about bodies, most of which reach no database")

VALUE = "Expecting value at line 1, column {}."
TWICE = "An object names the same key twice."
TOO_DEEP = "The JSON is nested deeper than 32 levels."
TOO_LONG = "An integer does not fit into 64 bits."
TOO_LARGE = "A number is too large."
UNSTORABLE = "A text holds a NUL character or a lone surrogate."
NOT_UTF8 = "The body is not UTF-8."


def nest(levels: int, opening: bytes = b"[", closing: bytes = b"]", innermost: bytes = b"") -> bytes:
    return opening * levels + innermost + closing * levels


HAZARDS = {
    "NaN": (b'{"metadata":{"a":NaN}}', "NaN is not JSON."),
    "Infinity": (b'{"metadata":{"a":Infinity}}', "Infinity is not JSON."),
    "-Infinity": (b'{"metadata":{"a":-Infinity}}', "-Infinity is not JSON."),
    "1e400": (b'{"metadata":{"a":1e400}}', TOO_LARGE),
    "-1e400": (b'{"metadata":{"a":-1e400}}', TOO_LARGE),
    "5000 digits and a fraction": (b'{"a":%b.5}' % (b"9" * 5000), TOO_LARGE),
    "5000 digits": (b'{"a":%b}' % (b"9" * 5000), TOO_LONG),
    "5000 digits, negative": (b'{"a":-%b}' % (b"9" * 5000), TOO_LONG),
    "2^63": (b'{"a":9223372036854775808}', TOO_LONG),
    "-2^63-1": (b'{"a":-9223372036854775809}', TOO_LONG),
    "duplicate key": (b'{"email":"a@example.com","email":"b@example.com"}', TWICE),
    "duplicate key, same value": (b'{"email":"a@example.com","email":"a@example.com"}', TWICE),
    "duplicate key, nested": (b'{"metadata":{"a":"1","a":"2"}}', TWICE),
    "duplicate key, in a list": (b'{"metadata":[[{"a":1,"a":1}]]}', TWICE),
    "duplicate key, escaped": (b'{"email":"a@example.com","em\\u0061il":"b@example.com"}', TWICE),
    "duplicate key, surrogate pair": ('{"😀":1,"\\ud83d\\ude00":2}'.encode(), TWICE),
    "high surrogate, escaped": (b'{"client_name":"\\ud800"}', UNSTORABLE),
    "low surrogate, escaped": (b'{"client_name":"\\udfff"}', UNSTORABLE),
    "surrogates in the wrong order": (b'{"client_name":"\\ude00\\ud83d"}', UNSTORABLE),
    "surrogate in a key": (b'{"metadata":{"\\udc00":"a"}}', UNSTORABLE),
    "surrogate, raw": (b'{"client_name":"\xed\xa0\x80"}', NOT_UTF8),
    "NUL, raw": (b'{"client_name":"\0"}', "Invalid control character at line 1, column 17."),
    "NUL, escaped": (b'{"client_name":"a\\u0000b"}', UNSTORABLE),
    "NUL in a key, raw": (b'{"\0":1}', "Invalid control character at line 1, column 3."),
    "NUL in a key, escaped": (b'{"metadata":{"\\u0000":"a"}}', UNSTORABLE),
    "NUL in a list": (b'{"metadata":[["\\u0000"]]}', UNSTORABLE),
    "NUL between tokens": (b'{\0"a":1}', "Expecting property name enclosed in double quotes at line 1, column 2."),
    "line break in a text": (b'{"a":"\n"}', "Invalid control character at line 1, column 7."),
    "100,000 brackets": (b"[" * 100_000, TOO_DEEP),
    "100,000 lists": (nest(100_000), TOO_DEEP),
    "100,000 objects": (nest(100_000, b'{"a":', b"}", b"1"), TOO_DEEP),
    "33 lists": (nest(33), TOO_DEEP),
    "33 objects": (nest(33, b'{"a":', b"}", b"1"), TOO_DEEP),
    "33 levels, after a text that looks open": (b'{"a":"\\\\","b":"\\"]","c":%b}' % nest(32), TOO_DEEP),
    "33 levels, beside shallow ones": (b'{"a":[[[]]],"b":%b}' % nest(32), TOO_DEEP),
    "900 levels": (nest(900), TOO_DEEP),
    "UTF-16": ('{"client_name":"a"}'.encode("utf-16"), NOT_UTF8),
    "UTF-16 without a mark": (
        '{"a":1}'.encode("utf-16-le"),
        "Expecting property name enclosed in double quotes at line 1, column 2.",
    ),
    "UTF-32": ('{"a":1}'.encode("utf-32"), NOT_UTF8),
    "UTF-8 with a mark": ("\ufeff{}".encode(), VALUE.format(1)),
    "Latin-1": ('{"client_name":"Köln"}'.encode("latin-1"), NOT_UTF8),
    "overlong slash": (b'{"client_name":"\xc0\xaf"}', NOT_UTF8),
    "beyond Unicode": (b'{"client_name":"\xf4\x90\x80\x80"}', NOT_UTF8),
    "empty": (b"", VALUE.format(1)),
    "white space": (b" \t\r\n ", "Expecting value at line 2, column 2."),
    "other white space": ("\u00a0{}".encode(), VALUE.format(1)),
    "two documents": (b'{"a":1}{"b":2}', "Extra data at line 1, column 8."),
    "two lines": (b"{}\n{}", "Extra data at line 2, column 1."),
    "single quotes": (b"{'a':1}", "Expecting property name enclosed in double quotes at line 1, column 2."),
    "no quotes": (b"{a:1}", "Expecting property name enclosed in double quotes at line 1, column 2."),
    "number as a key": (b"{1:1}", "Expecting property name enclosed in double quotes at line 1, column 2."),
    "comment": (b"{/* */}", "Expecting property name enclosed in double quotes at line 1, column 2."),
    "no colon": (b'{"a" 1}', "Expecting ':' delimiter at line 1, column 6."),
    "no comma": (b'{"a":1 "b":2}', "Expecting ',' delimiter at line 1, column 8."),
    "hexadecimal": (b'{"a":0x10}', "Expecting ',' delimiter at line 1, column 7."),
    "leading zero": (b'{"a":01}', "Expecting ',' delimiter at line 1, column 7."),
    "leading plus": (b'{"a":+1}', VALUE.format(6)),
    "other digits": ('{"a":١}'.encode(), VALUE.format(6)),
    "True": (b'{"a":True}', VALUE.format(6)),
    "unknown escape": (b'{"a":"\\x41"}', "Invalid \\escape at line 1, column 7."),
    "truncated escape": (b'{"a":"\\u00', "Invalid \\uXXXX escape at line 1, column 8."),
    "truncated text": (b'{"a":"b', "Unterminated string starting at line 1, column 6."),
    "truncated object": (b'{"a":1', "Expecting ',' delimiter at line 1, column 7."),
    "truncated character": (b'{"a":"\xf0\x9f', NOT_UTF8),
}
METHODS = ["POST", "PATCH", "PUT"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("body", "detail"), HAZARDS.values(), ids=HAZARDS)
def test_malformed_json_answers_400(partner: Caller, method: str, body: bytes, detail: str) -> None:
    assert_problem(send_body(partner, method, body), 400, "malformed-json", detail)


@pytest.mark.parametrize("body", [b'{"a":1,}', b'{"a":[1,]}'])
def test_a_trailing_comma_answers_400(partner: Caller, body: bytes) -> None:
    response = send_body(partner, "POST", body)
    assert (response.status_code, response.get_json()["code"]) == (400, "malformed-json")  # Python 3.13 words it anew.


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("body", [b"[]", b'["a"]', b'"text"', b"1", b"-0.5", b"null", b"true"])
def test_a_body_that_is_no_object_answers_400_at_the_root(partner: Caller, method: str, body: bytes) -> None:
    assert_invalid_fields(send_body(partner, method, body), ("#", "invalid-type", "Must be an object."))


@pytest.mark.parametrize("number", [b"9223372036854775807", b"-9223372036854775808", b"1.7976931348623157e308", b"-0"])
def test_the_largest_numbers_are_read(partner: Caller, number: bytes) -> None:
    body = b'{"client_name":"A","email":"a@example.com","metadata":{"a":%b}}' % number
    assert_invalid_fields(send_body(partner, "POST", body), ("#/metadata/a", "invalid-type", "Must be a text."))


@pytest.mark.parametrize("deepest", [nest(32), nest(31, b'{"a":', b"}", b"[]"), nest(32, innermost=b'"\\u0041"')])
def test_32_levels_are_read(deepest: bytes) -> None:
    assert parse_json(deepest) is not None


@pytest.mark.parametrize("text", ["[" * 500, "{" * 500, "]" * 500, '\\"[' * 50, "\\u005b" * 50])
def test_brackets_inside_a_text_are_no_depth(partner: Caller, text: str) -> None:
    body = f'{{"client_name":"A","email":"a@example.com","metadata":{{"a":"{text}"}}}}'
    response = send_body(partner, "POST", body.encode())
    assert response.status_code == 201, response.text


def test_many_shallow_objects_are_no_depth() -> None:
    assert parse_json(b"[" + b"[],{}," * 1000 + b"[]]") == [[], {}] * 1000 + [[]]


def test_a_surrogate_pair_is_one_character(partner: Caller) -> None:
    response = send_body(partner, "POST", b'{"client_name":"\\ud83d\\ude00","email":"a@example.com"}')
    assert response.get_json()["client_name"] == "😀"


def test_white_space_around_the_document_is_allowed(partner: Caller) -> None:
    assert send_body(partner, "POST", b'\r\n\t {"client_name":"A","email":"a@example.com"} \n').status_code == 201


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def containers(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values, max_size=5) | st.dictionaries(TEXTS, values, max_size=5)


STORABLE = st.recursive(SCALARS, containers, max_leaves=30)


@given(STORABLE)
def test_dumped_json_parses_to_the_same_value(value: Any) -> None:
    assert repr(parse_json(dump_json(value).encode())) == repr(value)


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        value = parse_json(data)
    except MalformedJSON:
        return
    assert parse_json(dump_json(value).encode()) == value


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Tenants with any JSON in their fields, some with bytes put over them or cut off."""
    fields = {name: draw(st.just(value) | STORABLE) for name, value in EXAMPLE.items()}
    extra = draw(
        st.dictionaries(st.sampled_from(["metadata", "external_id", "plan", "version", "x"]) | TEXTS, STORABLE)
    )
    body = dump_json({**fields, **extra}).encode()
    start = draw(st.integers(0, len(body)))
    return draw(st.just(body) | st.just(body[:start]) | st.binary(max_size=8).map(lambda put: body[:start] + put))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(METHODS), body=bodies() | st.binary())
def test_no_body_causes_a_server_error(partner: Caller, method: str, body: bytes) -> None:
    assert 200 <= send_body(partner, method, body).status_code < 500


def send_body(partner: Caller, method: str, body: bytes) -> Any:
    """The answer to `body`, sent to a tenant that exists where the method needs one."""
    path = "/tenants" if method == "POST" else f"/tenants/{partner.create()['tenant']}"
    return partner(method, path, data=body, content_type="application/json")
