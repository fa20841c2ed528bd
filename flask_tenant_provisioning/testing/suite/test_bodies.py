"""Request bodies: one JSON object that every parser reads alike, of the right type, within the limit."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from flask_tenant_provisioning.testing.api import MAX_TESTED_BODY
from flask_tenant_provisioning.testing.callers import TENANTS, Caller

MALFORMED = {
    "nothing": b" ",
    "half": b'{"client_name": "Exam',
    "two values": b"{} {}",
    "a comment": b'{} // "client_name"',
    "single quotes": b"{'client_name': 'x'}",
    "a trailing comma": b'{"client_name": "x",}',
    "a key twice": b'{"client_name": "x", "client_name": "y"}',
    "an escaped key twice": b'{"email": "a@example.com", "\\u0065mail": "b@example.com"}',
    "a key twice, deep": b'{"metadata": {"a": "1", "a": "2"}}',
    "NaN": b'{"client_name": NaN}',
    "Infinity": b'{"client_name": -Infinity}',
    "a huge number": b'{"client_name": 1e999}',
    "a big integer": b'{"client_name": 9223372036854775808}',
    "an endless integer": b'{"client_name": ' + b"9" * 5000 + b"}",
    "a lone surrogate": b'{"client_name": "\\ud800"}',
    "a reversed pair": b'{"client_name": "\\udc00\\ud800"}',
    "a surrogate as a key": b'{"metadata": {"\\udfff": "x"}}',
    "an escaped NUL": b'{"client_name": "a\\u0000b"}',
    "a NUL": b'{"client_name": "a\x00b"}',
    "UTF-16": '{"client_name": "x"}'.encode("utf-16"),
    "Latin-1": '{"client_name": "é"}'.encode("latin-1"),
    "a byte order mark": b'\xef\xbb\xbf{"client_name": "x"}',
    "an encoded surrogate": b'{"client_name": "\xed\xa0\x80"}',
    "depth": b'{"metadata": ' + b"[" * 40 + b"]" * 40 + b"}",
    "an abyss": b"[" * 100_000,
}
OTHER_TYPES = ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json")


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_malformed_json_is_a_problem(provisioning_partner: Caller, body: bytes) -> None:
    provisioning_partner("POST", TENANTS, body=body).problem(400, "malformed-json")


@pytest.mark.parametrize("body", [None, [], "text", 7, True, [{}]], ids=repr)
def test_a_body_that_is_no_object_is_a_problem(provisioning_partner: Caller, body: Any) -> None:
    response = provisioning_partner("POST", TENANTS, json=body)
    response.require(response.faults() == {"#": "invalid-type"}, "say that the body must be an object")


def test_malformed_json_changes_no_tenant(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    for method in ("PATCH", "PUT"):
        response = provisioning_partner.write(method, tenant, body=b'{"client_name": "x", "client_name": "y"}')
        response.problem(400, "malformed-json")
        response.require(provisioning_partner.read(tenant) == tenant, "leave the tenant as it was")


@pytest.mark.parametrize("media_type", OTHER_TYPES, ids=lambda value: value or "none")
def test_a_body_of_another_type_is_a_problem(provisioning_partner: Caller, media_type: str) -> None:
    body = json.dumps(provisioning_partner.body()).encode()
    response = provisioning_partner("POST", TENANTS, body=body, headers={"Content-Type": media_type})
    response.problem(415, "unsupported-media-type")


def test_the_media_type_may_have_parameters(provisioning_partner: Caller) -> None:
    body = json.dumps(provisioning_partner.body()).encode()
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    provisioning_partner("POST", TENANTS, body=body, headers=headers).expect(201)


def test_a_compressed_body_is_a_problem(provisioning_partner: Caller) -> None:
    response = provisioning_partner(
        "POST", TENANTS, json=provisioning_partner.body(), headers={"Content-Encoding": "gzip"}
    )
    response.problem(415, "unsupported-media-type")


@pytest.mark.parametrize("accepted", ["text/html", "application/xml, text/*;q=0.5", "application/json;q=0"])
def test_accept_without_json_is_refused(provisioning_partner: Caller, accepted: str) -> None:
    provisioning_partner("GET", TENANTS, headers={"Accept": accepted}).problem(406, "not-acceptable")


@pytest.mark.parametrize("accepted", ["application/json", "*/*", "text/html, application/*;q=0.1", ""])
def test_accept_with_json_is_served(provisioning_partner: Caller, accepted: str) -> None:
    provisioning_partner("GET", TENANTS, headers={"Accept": accepted}).document()


def test_a_body_that_announces_too_much_is_a_problem(provisioning_partner: Caller) -> None:
    limit = provisioning_partner.api.body_limit
    announced = {"CONTENT_LENGTH": str(limit + 1)}
    response = provisioning_partner("POST", TENANTS, **stream_options(io.BytesIO(b"{}")), environ_overrides=announced)
    response.problem(413, "body-too-large", limit=limit)


def test_large_chunked_body_returns_413(provisioning_partner: Caller) -> None:
    limit = provisioning_partner.api.body_limit
    if limit > MAX_TESTED_BODY:
        pytest.skip(f"the limit of {limit} bytes is more than the suite sends")
    stream = io.BytesIO(b"[" + b" " * limit)
    response = provisioning_partner("POST", TENANTS, **stream_options(stream), environ_overrides=CHUNKED)
    response.problem(413, "body-too-large", limit=limit)


def test_a_body_may_come_in_chunks(provisioning_partner: Caller) -> None:
    stream = io.BytesIO(json.dumps(provisioning_partner.body()).encode())
    provisioning_partner("POST", TENANTS, **stream_options(stream), environ_overrides=CHUNKED).expect(201)


#: What a WSGI server says of a body in chunks, which it has put together.
CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}


def stream_options(stream: io.BytesIO) -> dict[str, Any]:
    """A body whose length the client does not count."""
    return {"input_stream": stream, "headers": {"Content-Type": "application/json"}}
