"""Media types and sizes of bodies, and media types of responses."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
from collections.abc import Callable

import pytest
from flask import Flask, request

from tests.support.assertions import assert_problem
from tests.support.callers import EXAMPLE, Caller
from tests.support.hosts import PREFIX
from tests.support.servers import Address, serve, serve_with_werkzeug

pytestmark = pytest.mark.one_database("about requests, most of which reach no database")

BODY = json.dumps(EXAMPLE).encode()
MERGE_PATCH = "application/merge-patch+json"
ACCEPTED = {
    "POST": ["application/json"],
    "PUT": ["application/json"],
    "PATCH": [MERGE_PATCH, "application/json"],
}
IN_JSON = "This is answered as application/json."
LIMIT = 1024 * 1024


def path(partner: Caller, method: str) -> str:
    """The path for `method`, of an existing tenant if it needs one."""
    return "/tenants" if method == "POST" else f"/tenants/{partner.create()['tenant']}"


def pad_example(length: int) -> bytes:
    """The example in exactly `length` bytes."""
    return BODY + b" " * (length - len(BODY))


@pytest.mark.parametrize("method", ACCEPTED)
@pytest.mark.parametrize(
    "media_type",
    [
        None,
        "",
        "json",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/problem+json",
        "application/json-patch+json",
        "application/jsonx",
        "application/json, text/plain",
    ],
)
def test_another_media_type_answers_415(partner: Caller, method: str, media_type: str | None) -> None:
    response = partner(method, path(partner, method), data=BODY, content_type=media_type)
    accepted = ACCEPTED[method]
    detail = f"Send {', '.join(accepted)}."
    assert_problem(response, 415, "unsupported-media-type", detail, accepted=accepted)
    assert response.headers["Accept"] == ", ".join(accepted)
    assert response.headers.get("Accept-Patch") == (", ".join(accepted) if method == "PATCH" else None)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_merge_patch_is_for_patch_alone(partner: Caller, method: str) -> None:
    response = partner(method, path(partner, method), data=BODY, content_type=MERGE_PATCH)
    assert_problem(response, 415, "unsupported-media-type", "Send application/json.", accepted=["application/json"])


@pytest.mark.parametrize(
    ("method", "media_type"),
    [
        ("POST", "application/json"),
        ("POST", "application/json; charset=utf-8"),
        ("POST", "application/json;charset=UTF-8"),
        ("POST", 'application/json; charset="utf-8"'),
        ("POST", "Application/JSON"),
        ("PUT", "application/json; charset=utf-8"),
        ("PATCH", "application/json"),
        ("PATCH", MERGE_PATCH),
        ("PATCH", "Application/Merge-Patch+JSON; charset=utf-8"),
    ],
)
def test_json_is_accepted_in_any_spelling(partner: Caller, method: str, media_type: str) -> None:
    response = partner(method, path(partner, method), data=BODY, content_type=media_type)
    assert response.status_code in (200, 201), response.text
    assert response.get_json() | EXAMPLE == response.get_json()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity", "GZIP", "x-gzip"])
def test_an_encoded_body_answers_415(partner: Caller, encoding: str) -> None:
    response = partner("POST", "/tenants", data=gzip.compress(BODY), content_type="application/json",
                     headers={"Content-Encoding": encoding})  # fmt: skip
    detail = f"The body is encoded as {encoding.lower()}. Send it plain."
    assert_problem(response, 415, "unsupported-media-type", detail, accepted=["application/json"])
    assert response.headers["Accept-Encoding"] == "identity"
    assert names(partner) == []


@pytest.mark.parametrize("encoding", ["identity", "Identity", "", " ", ",", ", identity ,"])
def test_the_identity_encoding_is_none(partner: Caller, encoding: str) -> None:
    response = partner("POST", "/tenants", json=EXAMPLE, headers={"Content-Encoding": encoding})
    assert response.status_code == 201, response.text


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "application/xml",
        "application/xml, image/*;q=0.5",
        "application/jsonx",
        "application/json;q=0",
        "application/json;q=0.0, text/html",
        "*/*;q=0",
        "application/*;q=0",
        "application/json;q=0, application/problem+json;q=0, */*",
        "application/json;q=0, */*",
    ],
)
def test_accept_without_json_returns_406_and_writes_nothing(partner: Caller, accept: str) -> None:
    response = partner("POST", "/tenants", json=EXAMPLE, headers={"Accept": accept})
    assert_problem(response, 406, "not-acceptable", IN_JSON, offered=["application/json"])
    assert names(partner) == []


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE", "GET"])
def test_every_method_answers_406(partner: Caller, method: str) -> None:
    tenant = partner.create()
    path = f"/tenants/{tenant['tenant']}"
    body = {} if method in ("GET", "DELETE") else {"json": EXAMPLE}
    response = partner(method, path, headers={"Accept": "text/html"}, **body)
    assert_problem(response, 406, "not-acceptable", IN_JSON, offered=["application/json"])
    assert partner("GET", path).get_json() == tenant


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "",
        "*/*",
        "application/*",
        "application/json",
        "Application/JSON",
        "application/json;q=0.1",
        "application/json; charset=utf-8",
        "text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8",
        "text/html, application/json;q=0.001",
        "application/problem+json, application/json",
    ],
)
def test_accept_with_json_returns_json(partner: Caller, accept: str | None) -> None:
    headers = {} if accept is None else {"Accept": accept}
    response = partner("POST", "/tenants", json=EXAMPLE, headers=headers)
    assert (response.status_code, response.content_type) == (201, "application/json"), response.text


@pytest.mark.parametrize("method", ACCEPTED)
def test_a_body_over_the_limit_answers_413(partner: Caller, method: str) -> None:
    response = partner(method, path(partner, method), data=pad_example(LIMIT + 1), content_type="application/json")
    assert_problem(response, 413, "body-too-large", "The body is larger than 1048576 bytes.", limit=LIMIT)


@pytest.mark.parametrize("method", ACCEPTED)
def test_a_body_at_the_limit_is_accepted(partner: Caller, method: str) -> None:
    response = partner(method, path(partner, method), data=pad_example(LIMIT), content_type="application/json")
    assert response.status_code in (200, 201), response.text


def test_the_limit_is_configured(make_app: Callable[..., Flask]) -> None:
    caller = Caller(make_app(PROVISIONING_MAX_BODY_BYTES=2000))
    response = caller("POST", "/tenants", data=pad_example(2001), content_type="application/json")
    assert_problem(response, 413, "body-too-large", "The body is larger than 2000 bytes.", limit=2000)
    assert caller("POST", "/tenants", data=pad_example(2000), content_type="application/json").status_code == 201


def test_a_smaller_limit_of_the_host_is_the_one_that_is_stated(make_app: Callable[..., Flask]) -> None:
    caller = Caller(make_app(MAX_CONTENT_LENGTH=1500))
    response = caller("POST", "/tenants", data=pad_example(1501), content_type="application/json")
    assert_problem(response, 413, "body-too-large", "The body is larger than 1500 bytes.", limit=1500)
    assert caller("POST", "/tenants", data=pad_example(1500), content_type="application/json").status_code == 201


def test_a_larger_limit_of_the_host_widens_nothing(make_app: Callable[..., Flask]) -> None:
    caller = Caller(make_app(MAX_CONTENT_LENGTH=5000, PROVISIONING_MAX_BODY_BYTES=2000))
    response = caller("POST", "/tenants", data=pad_example(2001), content_type="application/json")
    assert_problem(response, 413, "body-too-large", "The body is larger than 2000 bytes.", limit=2000)


def test_a_hook_of_the_host_may_read_the_body_first(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    app.before_request(read_the_body)
    assert Caller(app)("POST", "/tenants", json=EXAMPLE).status_code == 201


def read_the_body() -> None:
    request.get_data()


SERVERS = {"waitress": serve, "werkzeug": serve_with_werkzeug}
#: The limit that each configuration means.
LIMITS = {
    "the API's limit": ({"PROVISIONING_MAX_BODY_BYTES": 2000}, 2000),
    "the host's limit": ({"MAX_CONTENT_LENGTH": 1500}, 1500),
    "both": ({"PROVISIONING_MAX_BODY_BYTES": 2000, "MAX_CONTENT_LENGTH": 5000}, 2000),
}


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
@pytest.mark.parametrize(("config", "limit"), LIMITS.values(), ids=LIMITS)
def test_a_chunked_body_over_the_limit_answers_413(
    make_app: Callable[..., Flask], server: Callable[[Flask], contextlib.AbstractContextManager[Address]],
    config: dict[str, int], limit: int,
) -> None:  # fmt: skip
    app = make_app(**config)
    with server(app) as address:
        status, document = create_chunked(address, Caller(app).token, pad_example(limit + 1))
    assert (status, document) == (
        413,
        {
            "type": f"{PREFIX}/problems/body-too-large",
            "title": "Body too large",
            "status": 413,
            "code": "body-too-large",
            "detail": f"The body is larger than {limit} bytes.",
            "instance": f"{PREFIX}/tenants",
            "request_id": document["request_id"],
            "limit": limit,
        },
    )


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
@pytest.mark.parametrize(("config", "limit"), LIMITS.values(), ids=LIMITS)
def test_a_chunked_body_at_the_limit_is_accepted(
    make_app: Callable[..., Flask], server: Callable[[Flask], contextlib.AbstractContextManager[Address]],
    config: dict[str, int], limit: int,
) -> None:  # fmt: skip
    app = make_app(**config)
    with server(app) as address:
        status, document = create_chunked(address, Caller(app).token, pad_example(limit))
    assert (status, document) == (201, {**document, **EXAMPLE})


def create_chunked(address: Address, token: str, body: bytes) -> tuple[int, dict[str, object]]:
    """Create a tenant with a body in chunks of 100 bytes, its length not announced."""
    head = (
        f"POST {PREFIX}/tenants HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    pieces = [body[start : start + 100] for start in range(0, len(body), 100)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(head.encode() + chunks)
        response = b"".join(iter(lambda: connection.recv(65536), b""))
    start, _, content = response.partition(b"\r\n\r\n")
    return int(start.split()[1]), json.loads(content)


def names(partner: Caller) -> list[str]:
    """Return the names of this partner's tenants."""
    return [tenant["client_name"] for tenant in partner("GET", "/tenants").get_json()["items"]]
