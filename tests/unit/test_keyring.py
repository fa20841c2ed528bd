"""The keyring: what it seals, what opens it, and what does not."""

from __future__ import annotations

import base64
import traceback
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from flask_tenant_provisioning.keyring import Keyring, UnsealError

NEW, OLD, OTHER = ("the new key of this host", "the old key of this host", "the key of another host")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ROW = "webhook:0193"


def nonce(length: int) -> bytes:
    return bytes(range(length))


def refusal(ring: Keyring, sealed: str, bound_to: str = ROW) -> UnsealError:
    with pytest.raises(UnsealError) as caught:
        ring.open(sealed, bound_to)
    shown = "".join(traceback.format_exception(caught.value))
    assert not {SECRET, NEW, OLD, OTHER} & {part for part in (SECRET, NEW, OLD, OTHER) if part in shown}
    return caught.value


@pytest.mark.parametrize("text", [SECRET, "", "é\x00漢", "x" * 100_000], ids=len)
def test_sealed_text_opens(text: str) -> None:
    ring = Keyring([NEW])
    assert ring.open(ring.seal(text, ROW), ROW) == text


def test_another_ring_with_the_same_key_opens_it() -> None:
    assert Keyring([NEW]).open(Keyring([NEW]).seal(SECRET, ROW), ROW) == SECRET


def test_a_sealed_text_shows_nothing_but_which_key_sealed_it() -> None:
    sealed = Keyring([NEW]).seal(SECRET, ROW)
    form, key_id, data = sealed.split(".")
    assert (form, len(key_id)) == ("1", 12)
    assert SECRET.encode() not in base64.urlsafe_b64decode(data)
    assert ROW not in sealed


def test_the_same_text_is_never_sealed_alike() -> None:
    ring = Keyring([NEW])
    assert len({ring.seal(SECRET, ROW) for _ in range(100)}) == 100


def test_sealed_text_is_aes_256_gcm_with_hkdf_key() -> None:
    def derive(use: bytes, length: int) -> bytes:
        info = b"flask-tenant-provisioning keyring " + use
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(NEW.encode())

    key_id = derive(b"id", 6).hex()
    data = nonce(12) + AESGCM(derive(b"key", 32)).encrypt(nonce(12), SECRET.encode(), f"1.{key_id}.{ROW}".encode())
    sealed = f"1.{key_id}.{base64.urlsafe_b64encode(data).decode()}"
    assert Keyring([NEW], nonce).seal(SECRET, ROW) == sealed
    assert Keyring([NEW]).open(sealed, ROW) == SECRET


def test_old_sealed_texts_open() -> None:
    sealed = "1.b033d87d1ec5.AAECAwQFBgcICQoL7sJ1J7Pyily71tju-V05p_1ieeo4rj8UUX3LvQ3SpIaD2PNNiSNgxMkJfkEWqvK32WJLrdd9"
    assert Keyring([NEW]).open(sealed, ROW) == SECRET


# Several keys


def test_the_first_key_seals_and_all_of_them_open() -> None:
    before, while_rotating, after = Keyring([OLD]), Keyring([NEW, OLD]), Keyring([NEW])
    assert while_rotating.open(before.seal(SECRET, ROW), ROW) == SECRET
    assert after.open(while_rotating.seal(SECRET, ROW), ROW) == SECRET


def test_text_sealed_by_an_older_key_is_found() -> None:
    ring = Keyring([NEW, OLD])
    older = Keyring([OLD]).seal(SECRET, ROW)
    assert not ring.is_current(older)
    assert ring.is_current(ring.seal(ring.open(older, ROW), ROW))


@pytest.mark.parametrize("sealed", ["", "1", "1.", SECRET])
def test_unsealed_text_is_not_current(sealed: str) -> None:
    assert not Keyring([NEW]).is_current(sealed)


def test_a_key_that_is_gone_is_named_by_its_id() -> None:
    sealed = Keyring([OLD]).seal(SECRET, ROW)
    key_id = sealed.split(".")[1]
    error = refusal(Keyring([NEW, OTHER]), sealed)
    assert str(error) == f"It was sealed with the key {key_id}, which PROVISIONING_ENCRYPTION_KEYS no longer holds."
    assert error.key_id == key_id


def test_a_key_that_stands_there_twice_does_no_harm() -> None:
    ring = Keyring([NEW, NEW])
    assert ring.open(ring.seal(SECRET, ROW), ROW) == SECRET


# What does not open


@pytest.mark.parametrize("row", ["webhook:0194", "webhook:", "", "Webhook:0193", "webhook:0193 "])
def test_a_secret_cannot_be_moved_to_another_row(row: str) -> None:
    error = refusal(Keyring([NEW]), Keyring([NEW]).seal(SECRET, ROW), row)
    assert str(error) == f"It was changed after it had been sealed, or is not that of {row}."
    assert error.key_id is None


def test_a_secret_cannot_be_given_out_for_another_keys() -> None:
    ring = Keyring([NEW, OLD])
    new, old = ring.seal(SECRET, ROW), Keyring([OLD]).seal(SECRET, ROW)
    refusal(ring, ".".join((*old.split(".")[:2], new.split(".")[2])))


def test_every_changed_character_is_refused() -> None:
    sealed = Keyring([NEW], nonce).seal(SECRET, ROW)
    for place, letter in enumerate(sealed):
        for other in {"A", "a", "0", ".", "=", "é"} - {letter}:
            refusal(Keyring([NEW]), sealed[:place] + other + sealed[place + 1 :])


def test_a_sealed_text_truncated_at_any_length_is_refused() -> None:
    sealed = Keyring([NEW]).seal(SECRET, ROW)
    for length in range(len(sealed)):
        refusal(Keyring([NEW]), sealed[:length])


@pytest.mark.parametrize(
    "sealed",
    ["", ".", "..", SECRET, "1.000000000000.", "1.000000000000.AAAA", "2.000000000000." + "A" * 40, "1.<b>." + "A" * 40,
     "1.000000000000." + "A" * 40 + "\n", "1.000000000000." + "\ud800" * 40, "1.000000000000." + "+" * 40],
)  # fmt: skip
def test_malformed_sealed_text_is_refused(sealed: str) -> None:
    assert str(refusal(Keyring([NEW]), sealed)) == "It is no sealed text."


def test_a_text_that_is_not_unicode_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="surrogates not allowed") as caught:
        Keyring([NEW]).seal(SECRET + "\ud800", ROW)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("keys", [[], (), "one long text is no list of keys", None])
def test_a_ring_needs_a_list_of_keys(keys: Any) -> None:
    with pytest.raises(ValueError, match="A keyring needs a list of at least one key"):
        Keyring(keys)


def test_a_ring_does_not_show_its_keys() -> None:
    assert NEW not in repr(Keyring([NEW]))


def test_codes_are_derived_from_each_key_for_a_context() -> None:
    ring, alone = Keyring(["first", "second"]), Keyring(["second"])
    codes = list(ring.derive_codes("invitation:1:1"))
    assert [len(code) for code in codes] == [32, 32]
    assert codes == list(Keyring(["first", "second"]).derive_codes("invitation:1:1"))
    assert codes[1:] == list(alone.derive_codes("invitation:1:1"))
    assert codes[0] != codes[1]
    assert set(codes).isdisjoint(ring.derive_codes("invitation:1:2"))
