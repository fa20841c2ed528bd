"""Verification by a receiver: the vectors, rotation, and every refusal with its reason."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any
from wsgiref.headers import Headers as WSGIHeaders

import pytest
from flask import Flask, request
from werkzeug.datastructures import Headers

from flask_tenant_provisioning.webhooks import InvalidSecret, WebhookRefused, verify
from flask_tenant_provisioning.webhooks.signing import new_secret, sign, signing_key
from tests.support.webhooks.vectors import VECTORS, A, B, C, Vector

EVENT = {"test": 2432232314}
UNSIGNED = "No signature fits the content and a secret."


def short(value: object) -> str:
    """The id of a case: some cases are huge."""
    return repr(value)[:30]


def clock(seconds: float = A.timestamp) -> Any:
    return lambda: seconds


def verify_request(
    body: Any = A.body, headers: Any = A.headers, secrets: Any = A.receiver, now: float = A.timestamp, **more: Any
) -> dict[str, Any]:
    return verify(body, headers, secrets, now=clock(now), **more)


def refusal(*arguments: Any, **named: Any) -> str:
    with pytest.raises(WebhookRefused) as caught:
        verify_request(*arguments, **named)
    assert str(caught.value) == caught.value.reason
    return caught.value.reason


def sign_headers(
    body: bytes, secret: str = A.secret, id: str = A.id, timestamp: int = A.timestamp
) -> Mapping[str, str]:
    signature = sign([signing_key(secret)], id, timestamp, body)
    return {"webhook-id": id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


def omit_header(name: str) -> dict[str, str]:
    return {other: value for other, value in A.headers.items() if other != name}


# What is believed


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_a_vector_is_believed(vector: Vector) -> None:
    event = verify(vector.body, vector.headers, vector.receiver, now=clock(vector.timestamp))
    assert event == json.loads(vector.body)


@pytest.mark.parametrize(
    "secrets", [[A.receiver], (B.receiver, A.receiver), [A.receiver, C.receiver], [C.receiver, B.receiver, A.receiver]]
)
def test_any_of_several_secrets_will_do(secrets: Any) -> None:
    assert verify_request(secrets=secrets) == EVENT


@pytest.mark.parametrize(
    "signatures",
    [
        f"{B.signature} {A.signature}",
        f"{A.signature} {B.signature}",
        f"{C.signature} {A.signature}",
        f"v2,abc {A.signature}",
        f"nonsense {A.signature}",
        f"v1, v1,=== , {A.signature}",
        f"  {A.signature} ",
    ],
)
def test_any_of_several_signatures_will_do(signatures: str) -> None:
    assert verify_request(headers={**A.headers, "webhook-signature": signatures}) == EVENT


def test_old_and_new_secret_verify_during_rotation() -> None:
    new = new_secret()
    signature = sign([signing_key(new), signing_key(A.secret)], A.id, A.timestamp, A.body)
    headers = {**A.headers, "webhook-signature": signature}
    assert verify_request(headers=headers, secrets=A.receiver) == verify_request(headers=headers, secrets=new) == EVENT


@pytest.mark.parametrize("seconds", [-300, -299.5, 0, 299.5, 300])
def test_a_clock_may_differ_by_300_seconds(seconds: float) -> None:
    assert verify_request(now=A.timestamp + seconds) == EVENT


def test_a_receiver_may_be_stricter_or_laxer() -> None:
    assert verify_request(now=A.timestamp + 10, tolerance=10) == EVENT
    assert refusal(now=A.timestamp + 11, tolerance=10) == "It was sent more than 10 seconds ago, by the clock here."
    assert verify_request(now=A.timestamp + 86_400, tolerance=float("inf")) == EVENT


def test_the_clock_is_the_machines_own_by_default() -> None:
    with pytest.raises(WebhookRefused, match="300 seconds ago"):
        verify(A.body, A.headers, A.receiver)


@pytest.mark.parametrize("kind", [dict, Headers, lambda pairs: WSGIHeaders([*pairs.items()])])
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_the_case_of_a_headers_name_does_not_matter(kind: Any, case: Any) -> None:
    assert verify_request(headers=kind({case(name): value for name, value in A.headers.items()})) == EVENT


def test_the_headers_of_a_flask_request_will_do() -> None:
    with Flask("receiver").test_request_context("/", method="POST", data=A.body, headers=A.headers):
        assert verify_request(request.get_data(), request.headers) == EVENT


def test_the_headers_are_found_among_others() -> None:
    assert verify_request(headers={"Content-Type": "application/json", "svix-id": "other", **A.headers}) == EVENT


# What is refused


@pytest.mark.parametrize("name", A.headers)
def test_a_missing_header(name: str) -> None:
    assert refusal(headers=omit_header(name)) == f"The header {name} is missing."


def test_no_headers_at_all() -> None:
    assert refusal(headers={}) == "The header webhook-id is missing."


@pytest.mark.parametrize("name", A.headers)
def test_the_headers_of_another_brand_do_not_count(name: str) -> None:
    headers = {**omit_header(name), name.replace("webhook", "svix"): A.headers[name]}
    assert refusal(headers=headers) == f"The header {name} is missing."


@pytest.mark.parametrize("name", A.headers)
@pytest.mark.parametrize("again", ["", "other", None])
def test_a_header_that_is_there_twice(name: str, again: str | None) -> None:
    headers = Headers([*A.headers.items(), (name.title(), A.headers[name] if again is None else again)])
    assert refusal(headers=headers) == f"The header {name} is there more than once."


@pytest.mark.parametrize("name", A.headers)
def test_a_header_in_two_cases(name: str) -> None:
    assert (
        refusal(headers={**A.headers, name.upper(): A.headers[name]}) == f"The header {name} is there more than once."
    )


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp"])
def test_a_header_that_a_server_has_joined(name: str) -> None:
    headers = {**A.headers, name: f"{A.headers[name]},{A.headers[name]}"}
    assert refusal(headers=headers) == f"The header {name} is malformed."


@pytest.mark.parametrize("name", A.headers)
@pytest.mark.parametrize(
    "value",
    ["", "\n", "é", "\ud800", "\x00", "x" * 10_000_000, b"1614265330", 1614265330, None, ["1"]],
    ids=short,
)
def test_a_header_of_another_type_or_shape(name: str, value: Any) -> None:
    assert refusal(headers={**A.headers, name: value}) == f"The header {name} is malformed."


@pytest.mark.parametrize("id", ["a.b", "a b", " a", "x" * 257], ids=short)
def test_an_id_that_no_sender_may_use(id: str) -> None:
    assert refusal(headers={**A.headers, "webhook-id": id}) == "The header webhook-id is malformed."


@pytest.mark.parametrize(
    "timestamp",
    ["now", "1e9", "1614265330.0", "+1614265330", "-1", " 1614265330", "1614265330\n", "01614265330", "1_614_265_330",
     "１６１４２６５３３０", "0x60", "inf", "nan", "9" * 13, "9" * 5000],
    ids=short,
)  # fmt: skip
def test_a_timestamp_that_is_no_number_of_seconds(timestamp: str) -> None:
    assert (
        refusal(headers={**A.headers, "webhook-timestamp": timestamp}) == "The header webhook-timestamp is malformed."
    )


def test_webhook_with_an_old_timestamp() -> None:
    assert refusal(now=A.timestamp + 301) == "It was sent more than 300 seconds ago, by the clock here."


def test_webhook_with_a_future_timestamp() -> None:
    assert refusal(now=A.timestamp - 301) == "It was sent more than 300 seconds ahead, by the clock here."


@pytest.mark.parametrize("timestamp", ["0", "999999999999"])
def test_extreme_timestamps_are_refused(timestamp: str) -> None:
    assert refusal(headers={**A.headers, "webhook-timestamp": timestamp}).startswith(
        "It was sent more than 300 seconds"
    )


@pytest.mark.parametrize(
    "signatures",
    [
        "v1",
        "v1,",
        ",",
        "v1,g0hM9SsE",
        "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=",
        A.signature.removeprefix("v1,"),
        A.signature.rstrip("="),
        A.signature + "=",
        A.signature.replace("v1,", "v1,,"),
        A.signature.replace("v1,", "v1a,"),
        A.signature.replace("v1,", "v2,"),
        A.signature.replace("v1,", "V1,"),
        A.signature.replace("+", "-").replace("/", "_"),
        A.signature.replace("OE=", "OF="),
        f"{A.signature},{A.signature}",
        f"{A.signature};{A.signature}",
        B.signature,
        C.signature,
        " ",
    ],
)
def test_a_signature_that_does_not_fit(signatures: str) -> None:
    assert refusal(headers={**A.headers, "webhook-signature": signatures}) == UNSIGNED


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_every_flipped_bit_of_a_signature(vector: Vector) -> None:
    scheme, _, text = vector.signature.partition(",")
    raw = base64.b64decode(text)
    for bit in range(len(raw) * 8):
        forged = bytearray(raw)
        forged[bit // 8] ^= 1 << bit % 8
        headers = {**vector.headers, "webhook-signature": f"{scheme},{base64.b64encode(forged).decode()}"}
        assert refusal(vector.body, headers, vector.receiver, vector.timestamp) == UNSIGNED


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_every_flipped_bit_of_a_body(vector: Vector) -> None:
    for bit in range(len(vector.body) * 8):
        forged = bytearray(vector.body)
        forged[bit // 8] ^= 1 << bit % 8
        assert refusal(bytes(forged), vector.headers, vector.receiver, vector.timestamp) == UNSIGNED


@pytest.mark.parametrize("body", [b"", A.body + b"\n", A.body.replace(b" ", b""), b"\xef\xbb\xbf" + A.body])
def test_reformatted_body_is_refused(body: bytes) -> None:
    assert refusal(body) == UNSIGNED


@pytest.mark.parametrize(("name", "value"), [("webhook-id", "msg_other"), ("webhook-timestamp", "1614265331")])
def test_a_header_that_was_not_signed(name: str, value: str) -> None:
    assert refusal(headers={**A.headers, name: value}) == UNSIGNED


@pytest.mark.parametrize("secrets", [B.receiver, [B.receiver, C.receiver], new_secret()], ids=["b", "b and c", "new"])
def test_another_secret_is_refused(secrets: Any) -> None:
    assert refusal(secrets=secrets) == UNSIGNED


def test_a_public_key_is_no_shared_secret() -> None:
    forged = sign_headers(A.body, "whsec_" + C.receiver.removeprefix("whpk_"))
    assert refusal(headers=forged, secrets=C.receiver) == UNSIGNED


@pytest.mark.parametrize("body", [A.body.decode(), bytearray(A.body), memoryview(A.body), EVENT, None])
def test_a_body_that_is_not_the_bytes_as_they_came(body: Any) -> None:
    message = f"The body must be the bytes that were received, not {type(body).__name__}."
    assert refusal(body) == message


@pytest.mark.parametrize("headers", [None, "webhook-id: 1", [("webhook-id", "1")], 5])
def test_headers_that_are_no_mapping(headers: Any) -> None:
    assert refusal(headers=headers) == "The headers must be a mapping of names to values."


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"1", b"null", b'"text"', b"{", b"\xff", b'{"a": 1}x', b"[" * 100_000, b'{"a":%b}' % (b"9" * 5000)],
    ids=short,
)
def test_a_signed_body_that_is_no_json_object(body: bytes) -> None:
    assert refusal(body, sign_headers(body)) == "The body is no JSON object."


def test_refusal_reason_contains_no_input() -> None:
    hostile = "<script>" * 10
    for name in A.headers:
        assert "script" not in refusal(headers={**A.headers, name: hostile})
    assert "script" not in refusal(hostile.encode())


# What is no fault of the request


@pytest.mark.parametrize("secrets", [[], (), None, b"whsec_", {A.receiver: 1}, 5])
def test_no_secret(secrets: Any) -> None:
    with pytest.raises(InvalidSecret, match="A secret is needed to verify with: a text, or a list of them"):
        verify_request(secrets=secrets)


@pytest.mark.parametrize("secrets", ["", "hunter2", [A.receiver, "hunter2"], C.secret, [None], A.receiver + " "])
def test_wrong_secret_and_wrong_request_differ(secrets: Any) -> None:
    with pytest.raises(InvalidSecret) as caught:
        verify_request(secrets=secrets)
    assert "hunter2" not in str(caught.value)


# What it costs to import


def list_loaded_modules(code: str) -> set[str]:
    command = [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"]
    return {*subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()}


def test_webhooks_package_loads_nothing_on_import() -> None:
    modules = list_loaded_modules("import flask_tenant_provisioning.webhooks")
    assert {name for name in modules if name.startswith("flask_tenant_provisioning.")} == {
        "flask_tenant_provisioning.webhooks"
    }
    assert {"cryptography", "flask"} & modules == set()


def test_a_receiver_needs_no_flask() -> None:
    modules = list_loaded_modules("from flask_tenant_provisioning.webhooks import verify")
    assert {"flask", "werkzeug", "sqlalchemy", "marshmallow"} & modules == set()


def test_a_name_that_does_not_exist_is_refused_as_by_any_module() -> None:
    from flask_tenant_provisioning import webhooks

    assert {"InvalidSecret", "WebhookRefused", "verify"} <= {*dir(webhooks)}
    with pytest.raises(AttributeError, match=r"module 'flask_tenant_provisioning\.webhooks' has no attribute 'Typo'"):
        webhooks.Typo  # type: ignore[attr-defined]  # noqa: B018
