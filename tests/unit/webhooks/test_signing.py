"""Signatures of webhooks, by the vectors of Standard Webhooks 1.0.0, and the secrets that they are made with."""

from __future__ import annotations

import base64
import traceback
from typing import Any

import pytest

from flask_tenant_provisioning.webhooks import InvalidSecret
from flask_tenant_provisioning.webhooks.signing import for_receiver, new_secret, parse_verifying_key, sign, signing_key
from tests.support.webhooks.vectors import VECTORS, A, B, C, Vector

SEED = bytes(range(32))


def write_secret(prefix: str, raw: bytes) -> str:
    return prefix + base64.b64encode(raw).decode()


def make_bytes(length: int) -> bytes:
    """Return fixed bytes instead of random ones."""
    return SEED[:length]


# Signatures


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_a_vector_is_signed_as_the_specification_says(vector: Vector) -> None:
    assert sign([signing_key(vector.secret)], vector.id, vector.timestamp, vector.body) == vector.signature


def test_several_keys_sign_in_their_order_whatever_their_scheme() -> None:
    keys = [signing_key(C.secret), signing_key(A.secret)]
    assert sign(keys, A.id, A.timestamp, A.body) == f"{C.signature} {A.signature}"


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_key_object_is_reusable(vector: Vector) -> None:
    key = signing_key(vector.secret)
    first = sign([key], "other", 1, b"{}")
    assert sign([key], vector.id, vector.timestamp, vector.body) == vector.signature
    assert sign([key], "other", 1, b"{}") == first != vector.signature


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"x" * 20_000], ids=len)
def test_any_bytes_can_be_a_body(body: bytes) -> None:
    content = b"id.1.%b" % body
    scheme, _, signature = sign([signing_key(A.secret)], "id", 1, body).partition(",")
    assert scheme == "v1"
    assert parse_verifying_key(A.secret).matches(content, signature)


@pytest.mark.parametrize("id", ["", "a.b", "a b", "a,b", "a\nb", "a\n", "é", "x" * 257], ids=ascii)
def test_an_id_that_would_not_survive_a_header_or_the_signed_content_is_refused(id: str) -> None:
    with pytest.raises(ValueError, match="id of a webhook is 1 to 256 printable ASCII"):
        sign([signing_key(A.secret)], id, 1, b"{}")


@pytest.mark.parametrize("timestamp", [-1, 1_614_265_330_000])
def test_milliseconds_are_refused(timestamp: int) -> None:
    with pytest.raises(ValueError, match="in seconds since 1970"):
        sign([signing_key(A.secret)], "id", timestamp, b"{}")


@pytest.mark.parametrize(("timestamp", "body"), [(1.0, b"{}"), ("1", b"{}"), (True, b"{}"), (None, b"{}"), (1, "{}")])
def test_other_types_are_refused(timestamp: Any, body: Any) -> None:
    with pytest.raises(TypeError, match="timestamp of a webhook is a whole number, and its body bytes"):
        sign([signing_key(A.secret)], "id", timestamp, body)


def test_nothing_is_signed_without_a_key() -> None:
    with pytest.raises(ValueError, match="no key to sign with"):
        sign([], "id", 1, b"{}")


# Secrets


def test_a_new_shared_secret_is_32_random_bytes() -> None:
    assert new_secret(random=make_bytes) == write_secret("whsec_", SEED)
    assert for_receiver(new_secret(random=make_bytes)) == write_secret("whsec_", SEED)


def test_a_new_key_pair_is_a_seed_and_its_public_half_which_the_receiver_is_given() -> None:
    public = bytes.fromhex("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8")
    private = new_secret("v1a", make_bytes)
    assert private == write_secret("whsk_", SEED + public)
    assert for_receiver(private) == write_secret("whpk_", public)


@pytest.mark.parametrize("scheme", ["v1", "v1a"])
def test_no_two_new_secrets_are_alike(scheme: Any) -> None:
    assert new_secret(scheme) != new_secret(scheme)


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_receiver_secret_of_each_vector_matches(vector: Vector) -> None:
    assert for_receiver(vector.secret) == vector.receiver


@pytest.mark.parametrize("length", [24, 32, 64])
def test_a_shared_secret_of_24_to_64_bytes_is_taken(length: int) -> None:
    assert for_receiver(write_secret("whsec_", b"x" * length)) == write_secret("whsec_", b"x" * length)


NOT_BASE64 = "What follows {} must be standard base64, with its padding."
TO_SIGN = [
    (A.secret.encode(), "A secret is a text that begins with whsec_ or whsk_, not bytes."),
    (None, "A secret is a text that begins with whsec_ or whsk_, not NoneType."),
    ("", "A secret for this purpose begins with whsec_ or whsk_."),
    (A.secret.removeprefix("whsec_"), "A secret for this purpose begins with whsec_ or whsk_."),
    (C.receiver, "A secret for this purpose begins with whsec_ or whsk_."),
    ("WHSEC_" + A.secret[6:], "A secret for this purpose begins with whsec_ or whsk_."),
    (write_secret("whsec_", b"x" * 23), "A whsec_ secret holds 24 to 64 bytes, not 23."),
    (write_secret("whsec_", b"x" * 65), "A whsec_ secret holds 24 to 64 bytes, not 65."),
    ("whsec_", "A whsec_ secret holds 24 to 64 bytes, not 0."),
    (A.secret + "\n", NOT_BASE64.format("whsec_")),
    (A.secret[:-1], NOT_BASE64.format("whsec_")),
    (A.secret[:-1] + "-", NOT_BASE64.format("whsec_")),
    (A.secret[:-1] + "é", NOT_BASE64.format("whsec_")),
    (A.secret[:-1] + "\ud800", NOT_BASE64.format("whsec_")),
    (write_secret("whsec_", b"x" * 25)[:-3] + "B==", NOT_BASE64.format("whsec_")),
    (C.secret.rstrip("="), NOT_BASE64.format("whsk_")),
    (write_secret("whsk_", SEED), "A whsk_ key holds 64 bytes, not 32."),
    (write_secret("whsk_", SEED + SEED), "The public half of a whsk_ key belongs to another seed."),
]
TO_VERIFY = [
    (A.secret.encode(), "A secret is a text that begins with whsec_ or whpk_, not bytes."),
    (C.secret, "A secret for this purpose begins with whsec_ or whpk_."),
    (C.receiver[:-1], NOT_BASE64.format("whpk_")),
    (write_secret("whpk_", b"x" * 31), "A whpk_ key holds 32 bytes, not 31."),
    (write_secret("whpk_", b"x" * 33), "A whpk_ key holds 32 bytes, not 33."),
]


@pytest.mark.parametrize(("secret", "message"), TO_SIGN)
@pytest.mark.parametrize("use", [signing_key, for_receiver])
def test_a_text_that_cannot_sign_is_refused_with_the_reason(use: Any, secret: Any, message: str) -> None:
    assert refusal(use, secret) == message


@pytest.mark.parametrize(("secret", "message"), TO_VERIFY)
def test_a_text_that_cannot_verify_is_refused_with_the_reason(secret: Any, message: str) -> None:
    assert refusal(parse_verifying_key, secret) == message


def refusal(use: Any, secret: Any) -> str:
    with pytest.raises(InvalidSecret) as caught:
        use(secret)
    assert not secret or len(secret) < 10 or str(secret)[10:-3] not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def test_key_representation_hides_the_secret() -> None:
    raw = base64.b64decode(B.secret[6:])
    key = signing_key(B.secret)
    for shown in (repr(key), str(key)):
        assert B.secret[6:] not in shown
        assert repr(raw) not in shown
