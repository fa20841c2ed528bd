"""The licence: what is refused, what it allows when, and how it is replaced while the host runs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import logging
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from flask_tenant_provisioning.config import Config
from flask_tenant_provisioning.errors import LicenseExpired
from flask_tenant_provisioning.licensing import vendor
from flask_tenant_provisioning.licensing.document import FEATURE, License, LicenseError, State, verify
from flask_tenant_provisioning.licensing.source import LicenseSource
from tests.support.clock import Clock

DAY = 86_400
NOW = 1_800_000_000
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
RAW = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
KEYS = {"k1": base64.b64encode(RAW).decode()}
HEADER = {"alg": "EdDSA", "kid": "k1", "typ": "license+jws"}
CLAIMS: dict[str, Any] = {
    "iss": "vendor",
    "sub": "Example Corp",
    "aud": "*",
    "jti": "lic-1",
    "edition": "enterprise",
    "features": [FEATURE],
    "max_tenants": 100,
    "nbf": NOW - DAY,
    "exp": NOW + 100 * DAY,
    "warn_days": 30,
    "grace_days": 14,
}


def b64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def as_json(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def sign_token(header: object, claims: object, sign: Callable[[bytes], bytes] = KEY.sign) -> bytes:
    signed_bytes = b64(as_json(header)) + b"." + b64(as_json(claims))
    return signed_bytes + b"." + b64(sign(signed_bytes))


def make_license(**changes: Any) -> bytes:
    return sign_token(HEADER, CLAIMS | changes)


def omit_claim(name: str) -> dict[str, Any]:
    return {claim: value for claim, value in CLAIMS.items() if claim != name}


def verify_license(
    text: str | bytes,
    keys: dict[str, str] = KEYS,
    install_id: str | None = None,
    revoked: tuple[str, ...] = (),
    now: float = NOW,
) -> License:
    return verify(text, keys, install_id=install_id, revoked=revoked, now=now)


def assert_refused(text: str | bytes, reason: str, **how: Any) -> None:
    with pytest.raises(LicenseError, match=reason) as caught:
        verify_license(text, **how)
    assert caught.value.reason.endswith(".")
    assert caught.value.advice.endswith(".")
    assert str(caught.value) == f"{caught.value.reason} {caught.value.advice}"


# What a licence is


def test_verified_licence_has_every_claim() -> None:
    assert verify_license(make_license()) == License(
        customer="Example Corp",
        install=("*",),
        id="lic-1",
        kid="k1",
        edition="enterprise",
        features=frozenset({FEATURE}),
        max_tenants=100,
        not_before=NOW - DAY,
        expires=NOW + 100 * DAY,
        warn_days=30,
        grace_days=14,
        issuer="vendor",
    )


@pytest.mark.parametrize(
    "ends",
    [
        b"%s\n",
        b"\r\n \t%s \r\n\r\n",
        b"\xef\xbb\xbf%s",
        b"\xef\xbb\xbf\r\n%s\r\n",
        b"%s\\n",
        b"\\r\\n%s\\r\\n",
        b"\\n%s\\t\n",
    ],
)
def test_white_space_at_the_ends_is_tolerated(ends: bytes) -> None:
    assert verify_license(ends % make_license()).id == "lic-1"


def test_a_licence_may_be_given_as_text() -> None:
    assert verify_license(make_license().decode()).id == "lic-1"
    assert verify_license(f"\ufeff{make_license().decode()}\\n").id == "lic-1"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_licence_file_of_an_editor_that_marks_its_encoding_is_taken(encoding: str) -> None:
    assert verify_license(f"{make_license().decode()}\r\n".encode(encoding)).id == "lic-1"


@pytest.mark.parametrize("limit", [None, 0, 1, 2**53])
def test_the_tenant_limit_is_a_number_or_none(limit: int | None) -> None:
    assert verify_license(make_license(max_tenants=limit)).max_tenants == limit


def test_an_absent_tenant_limit_is_none() -> None:
    assert verify_license(sign_token(HEADER, omit_claim("max_tenants"))).max_tenants is None


def test_a_claim_of_a_later_version_is_passed_over() -> None:
    assert verify_license(make_license(support="gold")).id == "lic-1"


def test_another_implementation_of_jws_agrees() -> None:
    text = vendor.issue(KEY, "k1", customer="Example Corp", expires=NOW + DAY, not_before=NOW)
    assert jwt.api_jws.decode_complete(text, KEY.public_key(), algorithms=["EdDSA"])["header"] == HEADER
    assert verify_license(jwt.encode(CLAIMS, KEY, "EdDSA", headers={"kid": "k1", "typ": "license+jws"})).id == "lic-1"


# The signature


def test_every_flipped_byte_is_refused() -> None:
    text = make_license()
    for position, bit in itertools.product(range(len(text)), range(8)):
        forged = bytearray(text)
        forged[position] ^= 1 << bit
        with pytest.raises(LicenseError):
            verify_license(bytes(forged))


def test_a_licence_truncated_at_any_length_is_refused() -> None:
    text = make_license()
    for length in range(len(text)):
        with pytest.raises(LicenseError):
            verify_license(text[:length])


def test_a_licence_without_its_first_bytes_is_refused() -> None:
    text = make_license()
    for start in range(1, len(text)):
        with pytest.raises(LicenseError):
            verify_license(text[start:])


def test_a_changed_claim_is_refused() -> None:
    header, _, signature = make_license().split(b".")
    forged = b".".join((header, b64(as_json(CLAIMS | {"max_tenants": 1_000_000})), signature))
    assert_refused(forged, "signature does not fit")


def test_an_unknown_key_id_is_refused() -> None:
    assert_refused(sign_token(HEADER | {"kid": "k2"}, CLAIMS), "'k2', and no public key of that id is configured")


def test_no_other_key_than_the_named_one_is_tried() -> None:
    other = OTHER_KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    keys = {**KEYS, "k2": base64.b64encode(other).decode()}
    assert verify_license(sign_token(HEADER | {"kid": "k2"}, CLAIMS, OTHER_KEY.sign), keys).kid == "k2"
    assert_refused(sign_token(HEADER | {"kid": "k2"}, CLAIMS, KEY.sign), "signature does not fit", keys=keys)


def test_a_revoked_key_id_is_refused() -> None:
    assert_refused(make_license(), "the key 'k1', which is revoked", revoked=("k1",))


def test_a_revoked_licence_id_is_refused() -> None:
    assert_refused(make_license(), "'lic-1' is revoked", revoked=("lic-1",))


@pytest.mark.parametrize(
    "secret", [PEM, PEM.strip(), RAW, KEYS["k1"].encode()], ids=["pem", "stripped", "raw", "base64"]
)
@pytest.mark.parametrize("alg", ["HS256", "EdDSA"])
def test_the_public_key_is_no_hmac_secret(alg: str, secret: bytes) -> None:
    text = sign_token(HEADER | {"alg": alg}, CLAIMS, lambda data: hmac.digest(secret, data, hashlib.sha256))
    with pytest.raises(LicenseError):
        verify_license(text)


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "NONE", "", None, ["EdDSA"], "eddsa", "Ed25519", "ES256K"])
@pytest.mark.parametrize("sign", [lambda data: b"", KEY.sign], ids=["unsigned", "signed"])
def test_no_other_algorithm_name_is_taken(alg: object, sign: Callable[[bytes], bytes]) -> None:
    assert_refused(sign_token(HEADER | {"alg": alg}, CLAIMS, sign), "another algorithm")


def test_a_licence_without_a_signature_is_refused() -> None:
    assert_refused(sign_token(HEADER, CLAIMS, lambda data: b""), "signature does not fit")


@pytest.mark.parametrize(
    ("alg", "key"),
    [
        ("RS256", rsa.generate_private_key(65537, 2048)),
        ("PS256", rsa.generate_private_key(65537, 2048)),
        ("ES256", ec.generate_private_key(ec.SECP256R1())),
        ("EdDSA", Ed448PrivateKey.generate()),
    ],
    ids=["RS256", "PS256", "ES256", "Ed448"],
)
def test_configured_key_of_another_kind_is_refused(alg: str, key: Any) -> None:
    text = jwt.encode(CLAIMS, key, alg, headers={"kid": "k1", "typ": "license+jws"})
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert_refused(text, "another algorithm|cannot be used", keys={"k1": pem})


def test_keys_that_the_header_brings_along_are_not_used() -> None:
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(OTHER_KEY.public_key().public_bytes_raw()).decode()}
    header = HEADER | {"jwk": jwk, "jku": "https://example.com/keys", "x5u": "https://example.com/cert"}
    assert_refused(sign_token(header, CLAIMS, OTHER_KEY.sign), "signature does not fit")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"crit": ["exp"]}, "crit"),
        ({"crit": None}, "crit"),
        ({"typ": "JWT"}, "typ"),
        ({"typ": None}, "typ"),
        ({"kid": None}, "kid"),
        ({"kid": ""}, "kid"),
        ({"kid": 1}, "kid"),
        ({"kid": "k1\n"}, "kid"),
        ({"kid": "k" * 10_000}, "kid"),
        ({"kid": "../../etc/passwd"}, "no public key"),
    ],
)
def test_a_header_that_is_not_a_licences_is_refused(change: dict[str, Any], reason: str) -> None:
    assert_refused(sign_token(HEADER | change, CLAIMS), reason)


# The public keys


@pytest.mark.parametrize(
    "key",
    [
        PEM.decode(),
        f"\n{PEM.decode()}\n",
        PEM.decode().replace("\n", "\\n"),
        "\ufeff" + PEM.decode().replace("\n", "\r\n"),
        KEYS["k1"],
        f" {KEYS['k1']}\n",
        KEYS["k1"].rstrip("="),
        base64.urlsafe_b64encode(RAW).decode(),
    ],
    ids=["pem", "pem-padded", "pem-written-out", "pem-marked", "base64", "base64-padded", "base64-bare", "base64url"],
)
def test_a_public_key_may_be_pem_or_base64(key: str) -> None:
    assert verify_license(make_license(), {"k1": key}).kid == "k1"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "?",
        "é",
        base64.b64encode(RAW[:31]).decode(),
        base64.b64encode(RAW + b"\0").decode(),
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    ],
    ids=["empty", "noise", "not-ascii", "short", "long", "broken-pem", "private"],
)
def test_malformed_public_key_is_reported(key: str) -> None:
    assert_refused(make_license(), "configured for 'k1' cannot be used", keys={"k1": key})


def test_a_broken_key_of_another_id_does_no_harm() -> None:
    assert verify_license(make_license(), {**KEYS, "k0": "?"}).kid == "k1"


# The form


@pytest.mark.parametrize(
    "text", [b"", b" \n", b".", b"..", b"...", b"a.b", b"a.b.c.d", b"\xff.\xfe.\xfd", "ä.ö.ü", "\ud800"]
)
def test_malformed_jws_is_refused(text: str | bytes) -> None:
    assert_refused(text, "The licence")


def test_over_64_kib_is_refused() -> None:
    assert verify_license(make_license() + b"\n" * (65_536 - len(make_license()))).id == "lic-1"
    assert_refused(make_license() + b"\n" * (65_537 - len(make_license())), "longer than 64 KiB")


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("change", [b"%s=", b"%s==", b"%s\n", b" %s", b"%s+", b"%s/", b"%sA"])
def test_base64url_that_is_not_canonical_is_refused(part: int, change: bytes) -> None:
    parts = make_license().split(b".")
    parts[part] = change % parts[part]
    text = b".".join(parts)
    if text.strip() == make_license():
        assert verify_license(text).id == "lic-1"
    else:
        with pytest.raises(LicenseError):
            verify_license(text)


def test_stray_bits_at_the_end_of_the_signature_are_refused() -> None:
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    text = make_license()
    for bits in range(1, 16):
        assert_refused(text[:-1] + alphabet[alphabet.index(text[-1]) + bits :][:1], "not canonical base64url")


@pytest.mark.parametrize(
    "claims",
    [
        b"",
        b"[]",
        b"null",
        b'"text"',
        b"{",
        as_json(CLAIMS)[:-1] + b', "sub": "Another"}',
        as_json(CLAIMS)[:-1] + b', "note": {"a": 1, "a": 2}}',
        as_json(CLAIMS)[:-1] + b', "note": NaN}',
        as_json(CLAIMS)[:-1] + b', "note": -Infinity}',
        as_json(CLAIMS)[:-1] + b', "note": 1e400}',
        as_json(CLAIMS)[:-1] + b', "note": 1.5}',
        as_json(CLAIMS)[:-1] + b', "note": ' + b"9" * 5_000 + b"}",
        as_json(CLAIMS)[:-1] + b', "note": ' + b"[" * 20_000 + b"}",
        as_json(CLAIMS) + b"{}",
        b"\xef\xbb\xbf" + as_json(CLAIMS),
        json.dumps(CLAIMS).encode("utf-16"),
        as_json(CLAIMS).replace(b"Example", b"\xff"),
    ],
)
def test_claims_that_are_not_strict_json_are_refused(claims: bytes) -> None:
    assert_refused(sign_token(HEADER, claims), "content is not strict JSON")


@pytest.mark.parametrize("header", [b"", b"[]", b'{"alg": "none", "alg": "EdDSA", "kid": "k1", "typ": "license+jws"}'])
def test_a_header_that_is_not_strict_json_is_refused(header: bytes) -> None:
    assert_refused(sign_token(header, CLAIMS), "header is not strict JSON")


@pytest.mark.parametrize("name", [*omit_claim("max_tenants")])
def test_a_missing_claim_is_refused(name: str) -> None:
    assert_refused(sign_token(HEADER, omit_claim(name)), f"claim `{name}`")


@pytest.mark.parametrize("name", ["max_tenants", "nbf", "exp", "warn_days", "grace_days"])
@pytest.mark.parametrize("value", [True, False, "1", [1], {}, -1, 2**64])
def test_a_number_must_be_a_whole_number_within_its_bounds(name: str, value: object) -> None:
    assert_refused(make_license(**{name: value}), f"claim `{name}`")


@pytest.mark.parametrize("name", ["iss", "sub", "jti", "edition", "aud"])
@pytest.mark.parametrize("value", ["", None, 1, True, {}, "a\nb", "a\0b", "\ud800", "\x1b[31m", "x" * 257])
def test_a_text_must_be_printable_and_not_empty(name: str, value: object) -> None:
    assert_refused(make_license(**{name: value}), f"claim `{name}`")


@pytest.mark.parametrize("name", ["features", "aud"])
@pytest.mark.parametrize("value", [[], [1], [""], [None], ["a", ["b"]], {}])
def test_a_list_must_hold_texts(name: str, value: object) -> None:
    assert_refused(make_license(**{name: value}), f"claim `{name}`")


def test_features_must_be_a_list() -> None:
    assert_refused(make_license(features=FEATURE), "claim `features`")


@pytest.mark.parametrize("expires", [NOW, NOW - 1])
def test_the_end_must_come_after_the_beginning(expires: int) -> None:
    assert_refused(make_license(nbf=NOW, exp=expires), "claim `exp`")


# What it is for


@pytest.mark.parametrize("features", [["other"], ["tenant-provisioning-lite"], ["Tenant-Provisioning"]])
def test_a_licence_without_the_feature_is_refused(features: list[str]) -> None:
    assert_refused(make_license(features=features), "feature 'tenant-provisioning'")


@pytest.mark.parametrize("edition", ["community", "Enterprise", "enterprise "])
def test_another_edition_is_refused(edition: str) -> None:
    assert_refused(make_license(edition=edition), "edition")


@pytest.mark.parametrize("aud", ["prod-1", ["prod-1"], ["prod-2", "prod-1"], "*", ["prod-2", "*"]])
def test_a_licence_for_this_install_is_taken(aud: object) -> None:
    assert verify_license(make_license(aud=aud), install_id="prod-1").id == "lic-1"


@pytest.mark.parametrize("aud", ["prod-10", "PROD-1", "prod", ["prod-2"], ["prod-1 "], "prod-*"])
@pytest.mark.parametrize("install_id", ["prod-1", None])
def test_a_licence_for_another_install_is_refused(aud: object, install_id: str | None) -> None:
    assert_refused(make_license(aud=aud), "bound to another installation", install_id=install_id)


def test_an_install_id_of_a_star_fits_no_bound_licence() -> None:
    assert_refused(make_license(aud="prod-1"), "bound to another installation", install_id="*")


def test_a_licence_may_begin_five_minutes_ahead() -> None:
    assert verify_license(make_license(nbf=NOW + 300)).not_before == NOW + 300


def test_a_licence_that_begins_later_is_refused() -> None:
    assert_refused(make_license(nbf=NOW + 301), "not valid before 2027-01-15T08:05:01Z")


# Its states


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (0, State.VALID),
        (NOW + 70 * DAY - 0.001, State.VALID),
        (NOW + 70 * DAY, State.WARN),
        (NOW + 100 * DAY - 0.001, State.WARN),
        (NOW + 100 * DAY, State.GRACE),
        (NOW + 114 * DAY - 0.001, State.GRACE),
        (NOW + 114 * DAY, State.EXPIRED),
        (NOW + 10_000 * DAY, State.EXPIRED),
    ],
)
def test_the_state_follows_the_clock(now: float, state: State) -> None:
    assert verify_license(make_license()).state(now) is state


def test_licence_without_warning_and_grace_expires_directly() -> None:
    license = verify_license(make_license(warn_days=0, grace_days=0))
    assert [license.state(license.expires + second) for second in (-1, 0)] == [State.VALID, State.EXPIRED]


@pytest.mark.parametrize(("now", "days"), [(0, 100), (1, 99), (99.5 * DAY, 0), (100 * DAY, 0), (100 * DAY + 1, -1)])
def test_days_left_are_whole_days(now: float, days: int) -> None:
    assert verify_license(make_license()).days_left(NOW + now) == days


# While the host runs


class Host:
    """A licence file, the source that watches it, and what has been logged."""

    def __init__(self, path: Path, records: list[logging.LogRecord]) -> None:
        self.path = path
        self.clock = Clock(NOW)
        self.records = records
        path.write_bytes(make_license())
        self.source = self.watch()

    def watch(self, **settings: Any) -> LicenseSource:
        options = {"license_file": str(self.path), "license_public_keys": KEYS} | settings
        return LicenseSource(Config.read({}, options), self.clock)

    def put(self, text: bytes) -> None:
        draft = self.path.with_name("draft")
        draft.write_bytes(text)
        os.replace(draft, self.path)

    def look(self, times: int = 1) -> License | None:
        for _ in range(times):
            self.clock.now += 5
            license = self.source.license
        return license

    def take_log(self) -> list[tuple[str, str]]:
        """Return level and message of each log record since the last call."""
        lines = [(record.levelname, record.getMessage()) for record in self.records]
        self.records.clear()
        return lines


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    records: list[logging.LogRecord] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger, handler = logging.getLogger("flask_tenant_provisioning.licensing"), Kept()
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield Host(tmp_path / "license.jws", records)
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def running_host(host: Host) -> Host:
    host.source.load()
    host.look(2)
    host.take_log()
    return host


def test_the_first_licence_is_loaded_and_announced_once(host: Host) -> None:
    assert host.source.load().id == "lic-1"
    assert host.source.generation == 1
    assert host.source.max_tenants == 100
    assert host.source.state() is State.VALID
    host.look(3)
    assert host.take_log() == [("INFO", "Licence lic-1 (Example Corp) is valid until 2027-04-25T08:00:00Z, 100 days.")]


def test_a_licence_may_stand_in_the_configuration(host: Host) -> None:
    source = host.watch(license_file=None, license=make_license().decode())
    assert source.load().id == "lic-1"
    host.clock.now += 60
    assert source.license is not None
    assert source.generation == 1


def test_the_file_goes_before_the_text(host: Host) -> None:
    assert host.watch(license=make_license(jti="lic-2").decode()).load().id == "lic-1"


def test_making_a_source_reads_nothing_and_raises_nothing(host: Host) -> None:
    source = host.watch(license_file="\0", license_public_keys={"k1": "?"})
    assert source.license is None
    assert source.state() is None
    assert source.max_tenants is None
    assert source.generation == 0


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"license_file": None}, "No licence is configured"),
        ({"license_file": "/nowhere/license.jws"}, "cannot be read: No such file"),
        ({"license_file": "/"}, "not a regular file"),
        ({"license_file": "/dev/zero"}, "not a regular file"),
        ({"license_file": "a\0b"}, "cannot be read"),
        ({"license_public_keys": {}}, "no public key of that id is configured"),
        ({"license_revoked": ("lic-1",)}, "revoked"),
    ],
)
def test_unverifiable_licence_is_reported(host: Host, settings: dict[str, Any], reason: str) -> None:
    source = host.watch(**settings)
    for _ in range(2):
        with pytest.raises(LicenseError, match=reason):
            source.load()
    assert host.take_log() == []


def test_without_a_licence_nothing_is_provisioned(host: Host) -> None:
    with pytest.raises(LicenseExpired):
        host.watch(license_file="/nowhere").require_provisioning()


def test_each_state_is_logged_once_with_days_and_advice(running_host: Host) -> None:
    for day in range(120):
        for hour in (0, 12):
            running_host.clock.now = NOW + 60 + day * DAY + hour * 3600
            running_host.source.state()
    who, end = "Licence lic-1 (Example Corp)", "2027-04-25T08:00:00Z"
    renew = "Ask the vendor for a renewed licence; a replaced licence file is picked up without a restart."
    stop = "nothing can be provisioned; reading, suspending, deleting and exporting still work"
    assert running_host.take_log() == [
        ("WARNING", f"{who} expires in 29 days, at {end}. {renew}"),
        ("WARNING", f"{who} expired at {end}. Provisioning stops in 13 days, at 2027-05-09T08:00:00Z. {renew}"),
        ("ERROR", f"{who} expired at {end}, and its grace period ended 0 days ago: {stop}. {renew}"),
    ]


def test_a_clock_set_back_is_not_announced_again(running_host: Host) -> None:
    for days in (80, 10, 80):
        running_host.clock.now = NOW + days * DAY
        running_host.source.state()
    assert len(running_host.take_log()) == 1


@pytest.mark.parametrize(("days", "state"), [(1, "valid"), (80, "warn"), (100, "grace"), (113, "grace")])
def test_up_to_the_end_of_the_grace_everything_works(running_host: Host, days: int, state: str) -> None:
    running_host.clock.now = NOW + days * DAY
    running_host.source.require_provisioning()
    assert running_host.source.state() == state


def test_after_the_grace_provisioning_is_refused_to_the_second(running_host: Host) -> None:
    running_host.clock.now = NOW + 114 * DAY - 1
    running_host.source.require_provisioning()
    running_host.clock.now += 1
    with pytest.raises(LicenseExpired, match="expired at 2027-04-25T08:00:00Z"):
        running_host.source.require_provisioning()


def test_an_expired_licence_is_still_loaded_after_a_restart(host: Host) -> None:
    host.clock.now = NOW + 200 * DAY
    assert host.source.load().id == "lic-1"
    assert host.source.state() is State.EXPIRED
    with pytest.raises(LicenseExpired):
        host.source.require_provisioning()
    assert [level for level, _ in host.take_log()] == ["ERROR"]


def test_a_renewed_file_is_picked_up(running_host: Host) -> None:
    running_host.clock.now = NOW + 120 * DAY
    running_host.source.state()
    running_host.take_log()
    running_host.put(make_license(jti="lic-2", exp=NOW + 500 * DAY, max_tenants=200))
    running_host.clock.now += 5
    running_host.source.require_provisioning()
    assert running_host.source.max_tenants == 200
    assert running_host.source.generation == 2
    assert running_host.take_log() == [
        ("INFO", "Licence lic-2 (Example Corp) is valid until 2028-05-29T08:00:00Z, 379 days.")
    ]


def test_the_file_is_looked_at_no_sooner_than_configured(running_host: Host) -> None:
    running_host.source = running_host.watch(license_reload_seconds=60)
    running_host.source.load()
    running_host.put(make_license(jti="lic-2"))
    running_host.clock.now += 59.9
    assert running_host.source.license == verify_license(make_license())
    running_host.clock.now += 0.1
    assert running_host.source.license == verify_license(make_license(jti="lic-2"))


def test_zero_seconds_disables_the_cache(host: Host) -> None:
    host.source = host.watch(license_reload_seconds=0)
    host.source.load()
    host.put(make_license(jti="lic-2"))
    assert host.source.license == verify_license(make_license(jti="lic-2"))


def test_clock_set_back_does_not_hide_a_new_file(running_host: Host) -> None:
    running_host.clock.now -= 3600
    running_host.put(make_license(jti="lic-2"))
    assert running_host.source.license == verify_license(make_license(jti="lic-2"))


BAD = {
    "empty": b"",
    "noise": b"no licence",
    "forged": sign_token(HEADER, CLAIMS, OTHER_KEY.sign),
    "other-install": make_license(aud="prod-9"),
    "too-long": b"x" * 70_000,
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_replacement_keeps_the_last_good_one_and_warns_once(running_host: Host, bad: bytes) -> None:
    running_host.put(bad)
    assert running_host.look(5) == verify_license(make_license())
    assert running_host.source.generation == 1
    ((level, message),) = running_host.take_log()
    assert level == "WARNING"
    assert message.endswith("Licence lic-1 stays in force.")


def test_a_removed_file_keeps_the_last_good_one_and_warns_once(running_host: Host) -> None:
    running_host.path.unlink()
    assert running_host.look(5) == verify_license(make_license())
    ((level, message),) = running_host.take_log()
    assert level == "WARNING"
    assert "No such file or directory" in message


def test_an_unreadable_file_keeps_the_last_good_one_and_warns_once(running_host: Host) -> None:
    running_host.path.unlink()
    running_host.path.symlink_to(running_host.path)
    assert running_host.look(5) == verify_license(make_license())
    ((level, message),) = running_host.take_log()
    assert level == "WARNING"
    assert "cannot be read" in message


def test_folder_as_licence_file_keeps_the_last_valid_licence(running_host: Host) -> None:
    running_host.path.unlink()
    running_host.path.mkdir()
    assert running_host.look(5) == verify_license(make_license())
    assert len(running_host.take_log()) == 1


def test_unreadable_file_is_read_after_permission_is_granted(running_host: Host) -> None:
    running_host.put(make_license(jti="lic-2"))
    running_host.path.chmod(0)
    if os.access(running_host.path, os.R_OK):
        pytest.skip("this user reads every file")
    assert running_host.look(5) == verify_license(make_license())
    assert len(running_host.take_log()) == 1
    running_host.path.chmod(0o600)
    assert running_host.look() == verify_license(make_license(jti="lic-2"))


def test_fifo_as_licence_file_does_not_block(running_host: Host) -> None:
    running_host.path.unlink()
    os.mkfifo(running_host.path)
    assert running_host.look(5) == verify_license(make_license())
    assert len(running_host.take_log()) == 1


def test_every_change_is_logged_once(running_host: Host) -> None:
    for change in (b"noise", b"", make_license(aud="prod-9"), make_license(jti="lic-2"), b"noise"):
        running_host.put(change)
        running_host.look(3)
    assert [level for level, _ in running_host.take_log()] == ["WARNING", "WARNING", "WARNING", "INFO", "WARNING"]


def test_the_same_file_put_back_is_no_other_licence(running_host: Host) -> None:
    running_host.put(b"noise")
    running_host.look(2)
    running_host.take_log()
    running_host.put(make_license())
    assert running_host.look(3) == verify_license(make_license())
    assert running_host.source.generation == 1
    assert running_host.take_log() == [("INFO", "The licence file is valid again; licence lic-1 stays in force.")]


def test_a_bad_file_replaced_by_a_renewed_one_is_picked_up(running_host: Host) -> None:
    running_host.put(b"noise")
    running_host.look(2)
    running_host.put(make_license(jti="lic-2"))
    assert running_host.look() == verify_license(make_license(jti="lic-2"))
    assert running_host.source.generation == 2


def test_a_touched_file_is_no_other_licence(running_host: Host) -> None:
    os.utime(running_host.path, ns=(1, 1))
    running_host.look(3)
    assert running_host.source.generation == 1
    assert running_host.take_log() == []


def test_a_replacement_with_the_same_times_and_size_is_seen(running_host: Host) -> None:
    before = running_host.path.stat()
    running_host.put(make_license(jti="lic-2"))
    os.utime(running_host.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert running_host.path.stat().st_size == before.st_size
    assert running_host.look() == verify_license(make_license(jti="lic-2"))


def test_a_file_rewritten_in_place_within_one_tick_is_seen(host: Host) -> None:
    host.source.load()
    host.look()
    inode = host.path.stat().st_ino
    for number in range(2, 10):
        host.path.write_bytes(make_license(jti=f"lic-{number}"))
        license = host.look()
        assert license is not None
        assert license.id == f"lic-{number}"
    assert host.path.stat().st_ino == inode


def test_early_renewal_applies_from_its_start(running_host: Host) -> None:
    begin = NOW + 100 * DAY
    running_host.put(make_license(jti="lic-2", nbf=begin, exp=begin + 365 * DAY))
    assert running_host.look(5) == verify_license(make_license())
    assert len(running_host.take_log()) == 1
    running_host.clock.now = begin
    running_host.source.require_provisioning()
    assert running_host.source.license is not None
    assert running_host.source.license.id == "lic-2"


def test_a_mount_without_a_licence_finds_one_later(host: Host) -> None:
    host.path.unlink()
    assert host.source.license is None
    host.put(make_license())
    assert host.look() == verify_license(make_license())
    assert host.source.load().id == "lic-1"


def test_loading_again_with_a_bad_file_returns_the_last_good_one(running_host: Host) -> None:
    running_host.put(b"noise")
    assert running_host.source.load() == verify_license(make_license())


def test_licence_and_keys_are_not_logged(running_host: Host) -> None:
    texts = [make_license(jti="lic-2"), sign_token(HEADER, CLAIMS, OTHER_KEY.sign), make_license(exp=NOW + DAY)]
    for text in texts:
        running_host.put(text)
        running_host.look(2)
    log = "\n".join(message for _, message in running_host.take_log())
    assert log
    for part in (*KEYS.values(), *(part for text in texts for part in text.decode().split("."))):
        assert part not in log


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns a hundred times as often as usual."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(interval / 100)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("restless")
def test_threads_see_good_licences_alone_while_the_file_is_replaced(running_host: Host) -> None:
    good = [verify_license(make_license()), verify_license(make_license(jti="lic-2", max_tenants=200))]
    stop, seen, failures = threading.Event(), set[License | None](), list[Exception]()

    def read() -> None:
        try:
            while not stop.is_set():
                seen.add(running_host.source.license)
                running_host.source.require_provisioning()
                assert running_host.source.max_tenants in (100, 200)
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=read) for _ in range(16)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        for text in (make_license(jti="lic-2", max_tenants=200), b"noise", make_license()):
            running_host.put(text)
            running_host.clock.now += 5
            running_host.source.load()
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert seen == set(good)
    assert running_host.source.license == good[0]
    assert running_host.source.generation == 41
    assert Counter(level for level, _ in running_host.take_log()) == {"INFO": 40, "WARNING": 20}


def test_threads_announce_a_state_once(running_host: Host) -> None:
    barrier = threading.Barrier(16)
    running_host.clock.now = NOW + 80 * DAY

    def read() -> None:
        barrier.wait()
        for _ in range(100):
            running_host.source.require_provisioning()

    threads = [threading.Thread(target=read) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(running_host.take_log()) == 1


# The vendor's side


def test_issued_licence_verifies() -> None:
    pair = vendor.keygen()
    text = vendor.issue(
        vendor.private_key(pair.private_pem), pair.kid, customer="Müller & Söhne", install=["a", "b"], features=["x"]
    )
    license = verify_license(text, {pair.kid: pair.public}, install_id="b", now=2_000_000_000)
    assert license.customer == "Müller & Söhne"
    assert license.features == {FEATURE, "x"}
    assert license.install == ("a", "b")
    assert license.expires - license.not_before == 365 * DAY
    assert (license.max_tenants, license.warn_days, license.grace_days) == (None, 30, 14)


def test_the_vendor_signs_nothing_that_no_host_would_read() -> None:
    for wrong in ({"customer": ""}, {"customer": "x", "grace_days": -1}, {"customer": "x", "expires": 5}):
        with pytest.raises(LicenseError):
            vendor.issue(KEY, "k1", **wrong)


def test_a_private_key_must_be_ed25519() -> None:
    pem = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for wrong in (pem, PEM, b"", b"noise"):
        with pytest.raises(LicenseError, match="no private Ed25519 key"):
            vendor.private_key(wrong)
