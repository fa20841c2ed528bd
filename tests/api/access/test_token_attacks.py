"""Attacks on the bearer token, over HTTP against hosts of every kind of key (RFC 8725, RFC 6750).

Each attack is a genuine token but for one thing. Every one is answered with the whole problem and the exact challenge,
makes no tenant, and leaves nothing of the token in a log or in the answer. The database plays no part: SQLite alone.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils
from flask import Flask
from flask_jwt_extended import JWTManager
from jwt import get_algorithm_by_name
from sqlalchemy import text
from werkzeug.test import TestResponse

from tests.support import assertions, callers, hosts

TENANTS = f"{hosts.PREFIX}/tenants"
SECRET = "the host's own secret, 32 bytes and more"
ASYMMETRIC = ("RS256", "ES256", "EdDSA")
ALGORITHMS = ("HS256", *ASYMMETRIC)
#: Stands in the claims and headers of every token here; where it turns up, the token leaked.
MARK = "mallory-4711"
BARE = 'Bearer realm="provisioning"'
INVALID = 'Bearer realm="provisioning", error="invalid_token"'
TITLES = {
    "authentication-required": "Authentication required",
    "invalid-token": "Invalid token",
    "token-expired": "Token expired",
}
ABSENT = object()


def private_key(algorithm: str, *, attackers: bool = False) -> Any:
    """The key pair of the hosts at `algorithm`, or the attacker's own."""
    return _key_pair(algorithm, attackers)


@functools.cache
def _key_pair(algorithm: str, _attackers: bool) -> Any:
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()


def public_key(algorithm: str, encoding: str = "PEM", form: str = "SubjectPublicKeyInfo") -> bytes:
    """The public key by which the host verifies at `algorithm`."""
    written_as = getattr(serialization.Encoding, encoding), getattr(serialization.PublicFormat, form)
    key: bytes = private_key(algorithm).public_key().public_bytes(*written_as)
    return key


def public_jwk(algorithm: str, *, attackers: bool = False) -> dict[str, Any]:
    """A public key as a JWK."""
    public = private_key(algorithm, attackers=attackers).public_key()
    jwk: dict[str, Any] = json.loads(get_algorithm_by_name(algorithm).to_jwk(public))
    return jwk


def encode_base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def write_json(value: Any) -> bytes:
    """`value` as JSON, where a text ``@…@`` stands for these very characters; bytes are taken as they are."""
    return value if isinstance(value, bytes) else re.sub(r'"@([^"]*)@"', r"\1", json.dumps(value)).encode()


def make_hmac(secret: bytes, algorithm: str = "sha256") -> Callable[[bytes], bytes]:
    """Signs with an HMAC of any `secret`, which a careful library would refuse."""
    return lambda data: hmac.digest(secret, data, algorithm)


class Target:
    """A host with the API mounted, and the one who signs its genuine tokens."""

    def __init__(self, folder: Path, algorithm: str = "HS256", **config: Any) -> None:
        self.algorithm = algorithm
        if algorithm != "HS256":
            config = {"JWT_ALGORITHM": algorithm, "JWT_PUBLIC_KEY": public_key(algorithm).decode(), **config}
        self.app: Flask = hosts.make_host(
            f"sqlite:///{folder}/attacked.sqlite3", **{"JWT_SECRET_KEY": SECRET, **config}
        )
        self._tenants: Any = 0
        self.manager: JWTManager = self.app.extensions["flask-jwt-extended"]

    def close(self) -> None:
        hosts.get_engine(self.app).dispose()

    def sign(self, data: bytes, algorithm: str | None = None) -> bytes:
        """Sign as the issuer does, or with the issuer's key by another algorithm."""
        used = get_algorithm_by_name(algorithm or self.algorithm)
        key = SECRET if self.algorithm == "HS256" else private_key(self.algorithm)
        signature: bytes = used.sign(data, used.prepare_key(key))
        return signature

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims that the API admits, but for `changes`."""
        now = int(time.time())
        good = {"sub": MARK, "partner_id": f"{MARK}-partner", "roles": ["partner-admin"], "jti": f"{MARK}-jti"}
        return _change({**good, "iat": now, "nbf": now, "exp": now + 600}, changes)

    def token(self, header: Any = None, claims: Any = None, sign: Callable[[bytes], bytes] | None = None) -> str:
        """A token with these changes to its header and claims, or with these very bytes in their place."""
        if not isinstance(header, bytes):
            header = _change({"alg": self.algorithm, "typ": "JWT"}, header or {})
        if not isinstance(claims, bytes):
            claims = self.claims(**(claims or {}))
        signed = f"{encode_base64url(write_json(header))}.{encode_base64url(write_json(claims))}"
        return f"{signed}.{encode_base64url((sign or self.sign)(signed.encode()))}"

    def post(self, authorization: str | None, path: str = TENANTS, **options: Any) -> TestResponse:
        """Try to create a tenant, with this ``Authorization`` exactly as a WSGI server hands it over."""
        environ = {} if authorization is None else {"HTTP_AUTHORIZATION": authorization}
        options = {"json": callers.EXAMPLE, **options}
        return self.app.test_client().post(path, environ_overrides=environ, **options)

    def send(self, token: str) -> TestResponse:
        return self.post(f"Bearer {token}")

    def new_tenants(self) -> int:
        """Return the number of tenants created since the last call."""
        with hosts.get_engine(self.app).connect() as connection:
            before, self._tenants = self._tenants, connection.scalar(text("SELECT count(*) FROM provisioning_tenants"))
        return int(self._tenants - before)


def _change(good: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**good, **changes}.items() if value is not ABSENT}


@pytest.fixture(scope="module", params=ALGORITHMS)
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A host at each algorithm."""
    new_target = Target(tmp_path_factory.mktemp("attacked"), request.param)
    yield new_target
    new_target.close()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A host at HS256, for what does not depend on the kind of key."""
    new_target = Target(tmp_path_factory.mktemp("attacked"))
    yield new_target
    new_target.close()


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., Target]]:
    """Builds hosts with a configuration of their own."""
    targets: list[Target] = []

    def make(algorithm: str = "HS256", **config: Any) -> Target:
        targets.append(Target(tmp_path, algorithm, **config))
        return targets[-1]

    yield make
    for each in targets:
        each.close()


@pytest.fixture(scope="module")
def find_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Target]]:
    """Hosts with a fixed configuration, each built once."""
    targets: dict[str, Target] = {}

    def get(algorithm: str = "HS256", **config: Any) -> Target:
        key = json.dumps([algorithm, config])
        if key not in targets:
            targets[key] = Target(tmp_path_factory.mktemp("shared"), algorithm, **config)
        return targets[key]

    yield get
    for each in targets.values():
        each.close()


@pytest.fixture
def assert_refusal(caplog: pytest.LogCaptureFixture) -> Callable[..., None]:
    """Asserts that an attack is answered 401 with the whole problem, and leaves nothing behind."""
    caplog.set_level(logging.DEBUG)

    def check(
        target: Target, response: TestResponse, code: str = "invalid-token", secrets: tuple[str, ...] = ()
    ) -> None:
        assert target.new_tenants() == 0
        document = assertions.check_problem(response)
        assert document == {
            "type": f"{hosts.PREFIX}/problems/{code}",
            "title": TITLES[code],
            "status": 401,
            "code": code,
            "detail": document["detail"],
            "instance": TENANTS,
            "request_id": document["request_id"],
        }
        assert response.status_code == 401
        challenge = BARE if code == "authentication-required" else INVALID
        assert response.headers.getlist("WWW-Authenticate") == [challenge]
        for secret in (MARK, *secrets):
            assert secret not in response.text
            assert secret not in caplog.text

    return check


def parts(token: str) -> tuple[str, ...]:
    """The token, and each of its parts that is long enough to be told from prose."""
    return tuple(part for part in (token, *re.split(r"[.,\s]", token)) if len(part) >= 16)


def test_a_genuine_token_is_admitted(tmp_path: Path, target: Target) -> None:
    response = target.app.test_client().get(TENANTS, headers={"Authorization": f"Bearer {target.token()}"})
    assert (response.status_code, response.get_json()) == (200, {"items": [], "next": None})


# Forgeries: only the issuer can sign, whatever the token says about its own key.

SIGNERS: dict[str, Callable[[bytes], bytes] | None] = {
    "none": lambda data: b"",
    "the genuine one": None,
    "a made-up one": lambda data: b"x" * 32,
}
SPELLINGS = ("none", "None", "NONE", "nOnE", "", None, ABSENT, ["none"], {"alg": "none"}, 0, False)
EMPTY_SECRET = make_hmac(b"")
KIDS = {
    "path": "../../../../../../dev/null",
    "sql": "' UNION SELECT 'known' -- ",
    "url": "https://attacker.example/key.pem",
    "shell": "$(cat /etc/passwd)|id",
    "template": "{{ config }}{% debug %}%(key)s",
    "control characters": "\x00\r\nWWW-Authenticate: x",
    "not ASCII": "ключ",
    "empty": "",
    "4 kB": "k" * 4096,
}
REMOTE_KEYS: dict[str, Callable[[str], dict[str, Any]]] = {
    "jku": lambda algorithm: {"jku": "https://attacker.example/jwks.json", "kid": "attacker"},
    "x5u": lambda algorithm: {"x5u": "https://attacker.example/chain.pem"},
    "x5c": lambda algorithm: {"x5c": ["MIIB"], "x5t": "AAAA"},
    "jwk": lambda algorithm: {"jwk": public_jwk(algorithm, attackers=True)},
}


@pytest.mark.parametrize("sign", SIGNERS.values(), ids=SIGNERS)
@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda value: "absent" if value is ABSENT else json.dumps(value))
def test_no_algorithm_is_refused(
    target: Target, assert_refusal: Callable[..., None], spelling: Any, sign: Callable[[bytes], bytes] | None
) -> None:
    token = target.token({"alg": spelling}, sign=sign)
    assert_refusal(target, target.send(token), secrets=parts(token))


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("form", ["PEM", "PEM without its last line end", "DER", "JWK", "JWK in a set"])
@pytest.mark.parametrize("kind", ASYMMETRIC)
@pytest.mark.parametrize("mixed", [False, True], ids=["one algorithm", "a host that decodes HMAC too"])
def test_the_public_key_is_no_secret(
    find_target: Callable[..., Target],
    assert_refusal: Callable[..., None],
    kind: str,
    form: str,
    algorithm: str,
    mixed: bool,
) -> None:
    name = f"HS{algorithm[3:]}"
    target = find_target(kind, **({"JWT_DECODE_ALGORITHMS": [kind, name]} if mixed else {}))
    secret = {
        "PEM": lambda: public_key(kind),
        "PEM without its last line end": lambda: public_key(kind).rstrip(),
        "DER": lambda: public_key(kind, "DER"),
        "JWK": lambda: json.dumps(public_jwk(kind)).encode(),
        "JWK in a set": lambda: json.dumps({"keys": [public_jwk(kind)]}).encode(),
    }[form]()
    token = target.token({"alg": name}, sign=make_hmac(secret, algorithm))
    assert_refusal(target, target.send(token), secrets=parts(token))


FORMS = {
    "PEM": ("PEM", "SubjectPublicKeyInfo"),
    "PEM of PKCS 1": ("PEM", "PKCS1"),
    "OpenSSH": ("OpenSSH", "OpenSSH"),
}


@pytest.mark.parametrize(("encoding", "form"), FORMS.values(), ids=FORMS)
def test_a_key_loader_that_answers_the_public_key_to_every_alg_admits_no_forger(
    build: Callable[..., Target], assert_refusal: Callable[..., None], encoding: str, form: str
) -> None:
    """The host's own mistake, in each form in which it may hold its RSA key."""
    target = build("RS256", JWT_DECODE_ALGORITHMS=["RS256", "HS256"])
    key = public_key("RS256", encoding, form)
    target.manager.decode_key_loader(lambda header, claims: key)
    token = target.token({"alg": "HS256"}, sign=make_hmac(key))
    assert_refusal(target, target.send(token), secrets=parts(token))
    assert _may_list(target, target.token())


@pytest.mark.parametrize("secret", [b"", b"secret", b"known", b"\x00", SECRET.upper().encode()], ids=repr)
@pytest.mark.parametrize("kid", KIDS.values(), ids=KIDS)
def test_a_kid_chooses_no_key(host: Target, assert_refusal: Callable[..., None], kid: str, secret: bytes) -> None:
    token = host.token({"kid": kid}, sign=make_hmac(secret))
    assert_refusal(host, host.send(token), secrets=parts(token))


@pytest.mark.parametrize("kid", [*KIDS.values(), ABSENT], ids=[*KIDS, "missing"])
def test_kid_is_ignored_with_a_single_key(target: Target, kid: Any) -> None:
    assert _may_list(target, target.token({"kid": kid}))


@pytest.mark.parametrize("kid", [5, None, True, ["a"], {"a": 1}, 1.5], ids=json.dumps)
def test_a_kid_that_is_no_text_is_refused(host: Target, assert_refusal: Callable[..., None], kid: Any) -> None:
    token = host.token({"kid": kid})
    assert_refusal(host, host.send(token), secrets=parts(token))


@pytest.mark.parametrize("kid", [*KIDS.values(), ABSENT], ids=[*KIDS, "missing"])
def test_a_kid_that_the_hosts_key_loader_does_not_know_is_refused(
    build: Callable[..., Target], assert_refusal: Callable[..., None], kid: Any
) -> None:
    target, keys = build(), {"current": SECRET}
    target.manager.decode_key_loader(lambda header, claims: keys[header["kid"]])
    token = target.token({"kid": kid})
    assert_refusal(target, target.send(token), secrets=parts(token))
    assert _may_list(target, target.token({"kid": "current"}))


@pytest.mark.parametrize("issuer", [["a"], {"a": 1}, None, 5, ABSENT], ids=["list", "object", "null", "number", "none"])
def test_an_iss_that_the_hosts_key_loader_cannot_look_up_is_refused(
    build: Callable[..., Target], assert_refusal: Callable[..., None], issuer: Any
) -> None:
    target, keys = build(), {"https://id.example": SECRET}
    target.manager.decode_key_loader(lambda header, claims: keys[claims["iss"]])
    token = target.token(claims={"iss": issuer})
    assert_refusal(target, target.send(token), secrets=parts(token))
    assert _may_list(target, target.token(claims={"iss": "https://id.example"}))


@pytest.mark.parametrize("header", REMOTE_KEYS.values(), ids=REMOTE_KEYS)
@pytest.mark.parametrize("kind", ASYMMETRIC)
def test_a_key_that_the_token_brings_along_is_ignored(
    build: Callable[..., Target],
    assert_refusal: Callable[..., None],
    kind: str,
    header: Callable[[str], dict[str, Any]],
) -> None:
    target, used = build(kind), get_algorithm_by_name(kind)
    forged = target.token(header(kind), sign=lambda data: used.sign(data, private_key(kind, attackers=True)))
    assert_refusal(target, target.send(forged), secrets=parts(forged))
    assert _may_list(target, target.token(header(kind)))


def test_another_signers_token_is_refused(target: Target, assert_refusal: Callable[..., None]) -> None:
    used = get_algorithm_by_name(target.algorithm)
    key: Any = SECRET[::-1].encode() if target.algorithm == "HS256" else private_key(target.algorithm, attackers=True)
    token = target.token(sign=lambda data: used.sign(data, key))
    assert_refusal(target, target.send(token), secrets=parts(token))


def test_claims_changed_under_a_genuine_signature_are_refused(
    target: Target, assert_refusal: Callable[..., None]
) -> None:
    header, _, signature = target.token().split(".")
    token = f"{header}.{encode_base64url(write_json(target.claims(roles=['provisioning-admin'])))}.{signature}"
    assert_refusal(target, target.send(token), secrets=parts(token))


def test_a_changed_signature_is_refused_after_the_genuine_token_was_remembered(
    target: Target, assert_refusal: Callable[..., None]
) -> None:
    genuine = target.token()
    assert _may_list(target, genuine)
    head, _, signature = genuine.rpartition(".")
    token = f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    assert_refusal(target, target.send(token), secrets=(token,))


@pytest.mark.parametrize(
    ("kind", "other"), [("HS256", "HS384"), ("HS256", "HS512"), ("RS256", "RS512"), ("RS256", "PS256")]
)
def test_the_right_key_by_another_algorithm_is_refused(
    build: Callable[..., Target], assert_refusal: Callable[..., None], kind: str, other: str
) -> None:
    target = build(kind, JWT_SECRET_KEY=SECRET)
    token = target.token({"alg": other}, sign=lambda data: target.sign(data, other))
    assert_refusal(target, target.send(token), secrets=parts(token))


@pytest.mark.parametrize("kind", ASYMMETRIC)
def test_a_signature_of_zeros_is_refused(
    build: Callable[..., Target], assert_refusal: Callable[..., None], kind: str
) -> None:
    target = build(kind)
    token = target.token(sign=lambda data: bytes(256 if kind == "RS256" else 64))
    assert_refusal(target, target.send(token), secrets=parts(token))


def test_an_es256_signature_in_der_is_refused(
    build: Callable[..., Target], assert_refusal: Callable[..., None]
) -> None:
    target = build("ES256")

    def sign(data: bytes) -> bytes:
        raw = target.sign(data)
        return utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))

    token = target.token(sign=sign)
    assert_refusal(target, target.send(token), secrets=parts(token))


# Genuine signatures over claims that must not pass.

AHEAD, PAST = int(time.time()) + 3600, int(time.time()) - 3600
CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "exp missing": ({"exp": ABSENT}, "invalid-token"),
    "exp null": ({"exp": None}, "invalid-token"),
    "exp 0": ({"exp": 0}, "invalid-token"),
    "exp -0.0": ({"exp": -0.0}, "invalid-token"),
    "exp negative": ({"exp": -1}, "invalid-token"),
    "exp a text": ({"exp": str(AHEAD)}, "invalid-token"),
    "exp a date": ({"exp": "2999-01-01T00:00:00Z"}, "invalid-token"),
    "exp true": ({"exp": True}, "invalid-token"),
    "exp a list": ({"exp": [AHEAD]}, "invalid-token"),
    "exp an object": ({"exp": {"$date": AHEAD}}, "invalid-token"),
    "exp 1e309": ({"exp": "@1e309@"}, "invalid-token"),
    "exp NaN": ({"exp": "@NaN@"}, "invalid-token"),
    "exp Infinity": ({"exp": "@Infinity@"}, "invalid-token"),
    "exp of 400 digits": ({"exp": f"@{'9' * 400}@"}, "invalid-token"),
    "exp of 5000 digits": ({"exp": f"@{'9' * 5000}@"}, "invalid-token"),
    "exp in milliseconds": ({"exp": AHEAD * 1000}, "invalid-token"),
    "exp past": ({"exp": PAST}, "token-expired"),
    "exp past, a float": ({"exp": PAST + 0.5}, "token-expired"),
    "exp 1": ({"exp": 1}, "token-expired"),
    "nbf ahead": ({"nbf": AHEAD}, "invalid-token"),
    "nbf ahead, a float": ({"nbf": AHEAD + 0.5}, "invalid-token"),
    "nbf a text": ({"nbf": str(PAST)}, "invalid-token"),
    "nbf null": ({"nbf": None}, "invalid-token"),
    "nbf true": ({"nbf": True}, "invalid-token"),
    "nbf 1e309": ({"nbf": "@1e309@"}, "invalid-token"),
    "iat ahead": ({"iat": AHEAD}, "invalid-token"),
    "iat a text": ({"iat": str(PAST)}, "invalid-token"),
    "a refresh token": ({"type": "refresh"}, "invalid-token"),
    "sub missing": ({"sub": ABSENT}, "invalid-token"),
    "sub null": ({"sub": None}, "invalid-token"),
    "sub empty": ({"sub": ""}, "invalid-token"),
    "sub blank": ({"sub": "   "}, "invalid-token"),
    "sub a number": ({"sub": 42}, "invalid-token"),
    "sub a list": ({"sub": [MARK]}, "invalid-token"),
    "sub an object": ({"sub": {"id": MARK}}, "invalid-token"),
    "sub too long": ({"sub": "m" * 256}, "invalid-token"),
    "sub with NUL": ({"sub": "mallory\x00"}, "invalid-token"),
    "sub with a line end": ({"sub": "mallory\nroot"}, "invalid-token"),
    "sub with an escape": ({"sub": "\x1b[2Jmallory"}, "invalid-token"),
    "sub with a lone surrogate": ({"sub": "mallory\ud800"}, "invalid-token"),
    "sub turned round": ({"sub": "\u202eyrollam"}, "invalid-token"),
    "jti null": ({"jti": None}, "invalid-token"),
    "jti a number": ({"jti": 5}, "invalid-token"),
    "partner a number": ({"partner_id": 42}, "invalid-token"),
    "partner null": ({"partner_id": None}, "invalid-token"),
    "partner true": ({"partner_id": True}, "invalid-token"),
    "partner a list": ({"partner_id": ["acme"]}, "invalid-token"),
    "partner an object": ({"partner_id": {"id": "acme"}}, "invalid-token"),
    "partner empty": ({"partner_id": ""}, "invalid-token"),
    "partner blank": ({"partner_id": " \u3000"}, "invalid-token"),
    "partner too long": ({"partner_id": "p" * 256}, "invalid-token"),
    "partner with a tab": ({"partner_id": "acme\t"}, "invalid-token"),
    "partner with NUL": ({"partner_id": "acme\x00"}, "invalid-token"),
}


@pytest.mark.parametrize(("claims", "code"), CLAIMS.values(), ids=CLAIMS)
def test_claims_that_must_not_pass(
    target: Target, assert_refusal: Callable[..., None], claims: dict[str, Any], code: str
) -> None:
    token = target.token(claims=claims)
    assert_refusal(target, target.send(token), code, parts(token))


LEGAL: dict[str, dict[str, Any]] = {
    "exp a float": {"exp": AHEAD + 0.5},
    "exp with an exponent": {"exp": "@9.9e11@"},
    "nbf 0": {"nbf": 0},
    "no nbf, iat or jti": {"nbf": ABSENT, "iat": ABSENT, "jti": ABSENT},
    "an aud where the host expects none": {"aud": "elsewhere"},
    "sub of 255 characters": {"sub": "m" * 255},
    "sub not ASCII": {"sub": "Zoë Ørsted"},
}


@pytest.mark.parametrize("claims", LEGAL.values(), ids=LEGAL)
def test_claims_that_are_legal(target: Target, claims: dict[str, Any]) -> None:
    assert _may_list(target, target.token(claims=claims))


AUDIENCES: dict[str, Any] = {
    "missing": ABSENT,
    "null": None,
    "empty": "",
    "empty list": [],
    "another": "billing",
    "a part of ours": "provision",
    "ours in a longer one": "provisioning-admin",
    "other case": "Provisioning",
    "with a space": "provisioning ",
    "list of others": ["billing", "Provisioning"],
    "list of parts": list("provisioning"),
    "list with a number": ["provisioning", 5],
    "nested list": [["provisioning"]],
    "object": {"provisioning": True},
    "number": 5,
    "true": True,
}


@pytest.mark.parametrize("configured", ["provisioning", ["provisioning"]], ids=["text", "list"])
@pytest.mark.parametrize("audience", AUDIENCES.values(), ids=AUDIENCES)
def test_another_audience_is_refused(
    find_target: Callable[..., Target], assert_refusal: Callable[..., None], audience: Any, configured: Any
) -> None:
    target = find_target(JWT_DECODE_AUDIENCE=configured)
    token = target.token(claims={"aud": audience})
    assert_refusal(target, target.send(token), secrets=parts(token))


@pytest.mark.parametrize("audience", ["provisioning", ["provisioning"], ["billing", "provisioning"]], ids=json.dumps)
def test_our_audience_is_admitted_alone_or_in_a_list(build: Callable[..., Target], audience: Any) -> None:
    target = build(JWT_DECODE_AUDIENCE="provisioning")
    assert _may_list(target, target.token(claims={"aud": audience}))


ISSUERS: dict[str, Any] = {
    "missing": ABSENT,
    "null": None,
    "empty": "",
    "another": "https://attacker.example",
    "ours in a longer one": "https://id.example.attacker.example",
    "a part of ours": "https://id",
    "with a slash": "https://id.example/",
    "other case": "https://ID.example",
    "list": ["https://id.example"],
    "object": {"https://id.example": 1},
    "number": 5,
}


@pytest.mark.parametrize("issuer", ISSUERS.values(), ids=ISSUERS)
def test_another_issuer_is_refused(
    build: Callable[..., Target], assert_refusal: Callable[..., None], issuer: Any
) -> None:
    target = build(JWT_DECODE_ISSUER="https://id.example")
    token = target.token(claims={"iss": issuer})
    assert_refusal(target, target.send(token), secrets=parts(token))
    assert _may_list(target, target.token(claims={"iss": "https://id.example"}))


# Genuine signatures over headers and bytes that must not pass.

HEADERS: dict[str, Any] = {
    "crit unknown": {"crit": ["x-new"], "x-new": 1},
    "crit exp": {"crit": ["exp"], "exp": 1},
    "crit empty": {"crit": []},
    "crit null": {"crit": None},
    "crit a text": {"crit": "b64"},
    "crit b64": {"crit": ["b64"], "b64": True},
    "b64 false": {"b64": False},
    "b64 false, crit": {"b64": False, "crit": ["b64"]},
    "typ JWE": {"typ": "JWE"},
    "typ JOSE": {"typ": "JOSE"},
    "typ rt+jwt": {"typ": "rt+jwt"},
    "typ logout+jwt": {"typ": "logout+jwt"},
    "typ secevent+jwt": {"typ": "secevent+jwt"},
    "typ empty": {"typ": ""},
    "typ null": {"typ": None},
    "typ a number": {"typ": 1},
    "typ a list": {"typ": ["JWT"]},
    "alg in other case": {"alg": "@lower@"},
    "not an object": b'["HS256"]',
    "null": b"null",
    "no JSON": b"alg=HS256",
    "empty": b" ",
    "alg twice": b'{"alg":"none","alg":"%(alg)s","typ":"JWT"}',
    "typ twice": b'{"alg":"%(alg)s","typ":"refresh","typ":"JWT"}',
    "the same key, escaped": b'{"alg":"%(alg)s","\\u0061lg":"%(alg)s"}',
    "a byte order mark": b'\xef\xbb\xbf{"alg":"%(alg)s"}',
    "not UTF-8": b'{"alg":"%(alg)s","kid":"\xff"}',
    "something after it": b'{"alg":"%(alg)s"}{}',
    "NaN": b'{"alg":"%(alg)s","x":NaN}',
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_headers_that_must_not_pass(target: Target, assert_refusal: Callable[..., None], header: Any) -> None:
    if isinstance(header, bytes):
        header = header.replace(b"%(alg)s", target.algorithm.encode())
    elif header.get("alg"):
        header = {"alg": target.algorithm.swapcase()}
    token = target.token(header)
    assert_refusal(target, target.send(token), secrets=parts(token))


TYPES = ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"]


@pytest.mark.parametrize("kind", [*TYPES, ABSENT], ids=[*TYPES, "none"])
def test_an_access_tokens_typ_is_admitted(target: Target, kind: Any) -> None:
    assert _may_list(target, target.token({"typ": kind}))


def _twice(claims: bytes, name: str, value: Any) -> bytes:
    """These claims, with `name` said once more at their beginning."""
    return b"{" + json.dumps(name).encode() + b":" + json.dumps(value).encode() + b"," + claims[1:]


PAYLOADS: dict[str, Callable[[bytes], bytes]] = {
    "exp twice": lambda claims: _twice(claims, "exp", 1),
    "sub twice": lambda claims: _twice(claims, "sub", "root"),
    "roles twice": lambda claims: _twice(claims, "roles", ["provisioning-admin"]),
    "the same value twice": lambda claims: _twice(claims, "roles", ["partner-admin"]),
    "a key twice, deep inside": lambda claims: b'{"a":[{"b":1,"b":2}],' + claims[1:],
    "a key twice, escaped": lambda claims: b'{"\\u0073ub":"root",' + claims[1:],
    "NaN": lambda claims: b'{"x":NaN,' + claims[1:],
    "-Infinity": lambda claims: b'{"x":-Infinity,' + claims[1:],
    "a byte order mark": lambda claims: b"\xef\xbb\xbf" + claims,
    "UTF-16": lambda claims: claims.decode().encode("utf-16"),
    "UTF-16 without a mark": lambda claims: claims.decode().encode("utf-16-le"),
    "UTF-32": lambda claims: claims.decode().encode("utf-32"),
    "not UTF-8": lambda claims: claims[:-1] + b',"x":"\xff"}',
    "something after it": lambda claims: claims + b"{}",
    "NUL after it": lambda claims: claims + b"\x00",
    "cut short": lambda claims: claims[:-1],
    "a list": lambda claims: b"[" + claims + b"]",
    "a text": lambda claims: json.dumps(claims.decode()).encode(),
    "null": lambda claims: b"null",
    "a number": lambda claims: b"5",
    "nested 2,500 deep": lambda claims: b'{"x":' + b"[" * 2500 + b"]" * 2500 + b"," + claims[1:],
    "an integer of 5,000 digits": lambda claims: b'{"x":' + b"9" * 5000 + b"," + claims[1:],
}


@pytest.mark.parametrize("spoilt", PAYLOADS.values(), ids=PAYLOADS)
def test_payloads_that_must_not_pass(
    target: Target, assert_refusal: Callable[..., None], spoilt: Callable[[bytes], bytes]
) -> None:
    token = target.token(claims=spoilt(write_json(target.claims())))
    assert_refusal(target, target.send(token), secrets=parts(token))


@pytest.mark.parametrize(
    ("depth", "status"),
    [(31, 200), (32, 401), (100, 401), (300, 401), (450, 401), (600, 401), (800, 401), (950, 401), (1500, 401)],
)
def test_claims_are_nested_at_most_32_levels(host: Target, depth: int, status: int) -> None:
    claims = write_json(host.claims())
    token = host.token(claims=b'{"x":' + b"[" * depth + b"]" * depth + b"," + claims[1:])
    assert {_list(host, token).status_code for _ in range(3)} == {status}


def _change_part(token: str, change: Callable[[str], str], which: int) -> str:
    parts = token.split(".")
    parts[which] = change(parts[which])
    return ".".join(parts)


def _respell(part: str) -> str:
    """The same bytes in another spelling: the last character's unused bits set, where it has any."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return part[:-1] + alphabet[alphabet.index(part[-1]) + 1]


SPELT: dict[str, Callable[[str], str]] = {
    "padding after the header": lambda token: _change_part(token, lambda part: part + "=" * (-len(part) % 4 or 4), 0),
    "padding after the payload": lambda token: _change_part(token, lambda part: part + "=" * (-len(part) % 4 or 4), 1),
    "padding after the signature": lambda token: _change_part(
        token, lambda part: part + "=" * (-len(part) % 4 or 4), 2
    ),
    "one = alone": lambda token: token + "=",
    "trailing bits": lambda token: _change_part(token, _respell, 2),
    "a character more": lambda token: token + "A",
    "a character less": lambda token: token[:-1],
    "a space inside": lambda token: token.replace(".", " .", 1),
    "a space in the signature": lambda token: token[:-4] + " " + token[-4:],
    "a tab at the end": lambda token: token + "\t",
    "a line end": lambda token: token + "\n",
    "a line folded": lambda token: token.replace(".", ".\r\n ", 1),
    "a no-break space at the end": lambda token: token + "\xa0",
    "a no-break space before it": lambda token: "\xa0" + token,
    "a next-line character": lambda token: token + "\x85",
    "NUL at the end": lambda token: token + "\x00",
    "percent-encoded dots": lambda token: token.replace(".", "%2E"),
    "in quotes": lambda token: f'"{token}"',
    "not ASCII": lambda token: "\xe9" + token[1:],
    "the scheme twice": lambda token: f"Bearer {token}",
    "a dot at the end": lambda token: token + ".",
    "a dot before it": lambda token: "." + token,
    "four parts": lambda token: token + ".AAAA",
    "five parts, as a JWE has": lambda token: token + ".AAAA.AAAA",
    "two parts": lambda token: token.rpartition(".")[0],
    "no signature": lambda token: token.rpartition(".")[0] + ".",
    "no payload": lambda token: _change_part(token, lambda part: "", 1),
    "no header": lambda token: _change_part(token, lambda part: "", 0),
    "dots alone": lambda token: "..",
    "a word": lambda token: "letmein",
    "as JSON": lambda token: '{"protected":"' + token.replace(".", '","payload":"') + '"}',
    "with parameters": lambda token: f'{token}, realm="x"',
    "another one after a comma": lambda token: f"{token},Bearer {token}",
    "another one after a comma and a space": lambda token: f"{token}, Bearer {token}",
    "another one after a space": lambda token: f"{token} {token}",
    "other credentials after a comma": lambda token: f"{token}, Basic cm9vdDpyb290",
}


@pytest.mark.parametrize("spelling", SPELT.values(), ids=SPELT)
def test_another_spelling_of_a_genuine_token_is_refused(
    host: Target, assert_refusal: Callable[..., None], spelling: Callable[[str], str]
) -> None:
    token = spelling(host.token())
    assert_refusal(host, host.send(token), secrets=parts(token))


@pytest.mark.parametrize("spelling", SPELT.values(), ids=SPELT)
def test_another_spelling_of_a_remembered_token_is_refused(
    host: Target, assert_refusal: Callable[..., None], spelling: Callable[[str], str]
) -> None:
    genuine = host.token()
    assert _may_list(host, genuine)
    assert_refusal(host, host.send(spelling(genuine)), secrets=parts(genuine))


@pytest.mark.parametrize("part", [0, 1], ids=["header", "payload"])
@pytest.mark.parametrize("change", [_respell, lambda part: part + "=" * (-len(part) % 4)], ids=["bits", "padding"])
def test_another_spelling_under_a_genuine_signature_is_refused(
    host: Target, assert_refusal: Callable[..., None], part: int, change: Callable[[str], str]
) -> None:
    texts = [write_json(each) for each in ({"alg": "HS256"}, host.claims())]
    segments = [encode_base64url(each if len(each) % 3 else each + b" ") for each in texts]
    canonical, segments[part] = segments[part], change(segments[part])
    assert segments[part] != canonical
    signed = ".".join(segments)
    token = f"{signed}.{encode_base64url(host.sign(signed.encode()))}"
    assert_refusal(host, host.send(token), secrets=parts(token))


def test_a_token_over_8_kib_is_refused(target: Target, assert_refusal: Callable[..., None]) -> None:
    token = target.token(claims={"pad": "p" * 6200})
    assert len(token) > 8192
    assert_refusal(target, target.send(token), secrets=parts(token))


def test_a_kid_of_10_kb_is_refused(target: Target, assert_refusal: Callable[..., None]) -> None:
    token = target.token({"kid": "k" * 10_000})
    assert_refusal(target, target.send(token), secrets=parts(token))


def test_a_token_of_nearly_8_kib_is_admitted(host: Target) -> None:
    room = (8192 - len(host.token(claims={"pad": ""}))) * 3 // 4 - 1
    token = host.token(claims={"pad": "p" * room})
    assert 8185 <= len(token) <= 8192
    assert _may_list(host, token)


# Where a token may stand: in the Authorization header, after Bearer, and nowhere else.

EVERYWHERE = {"JWT_TOKEN_LOCATION": ["headers", "cookies", "query_string", "json"], "JWT_COOKIE_CSRF_PROTECT": False}
ELSEWHERE: dict[str, Callable[[str], dict[str, Any]]] = {
    "in the query string": lambda token: {"path": f"{TENANTS}?jwt={token}"},
    "in the query string, by RFC 6750's name": lambda token: {"path": f"{TENANTS}?access_token={token}"},
    "in a cookie": lambda token: {"headers": {"Cookie": f"access_token_cookie={token}"}},
    "in the JSON body": lambda token: {"json": {**callers.EXAMPLE, "access_token": token}},
    "in a form": lambda token: {"json": None, "data": {"access_token": token}},
    "in another header": lambda token: {"headers": {"X-Authorization": f"Bearer {token}"}},
    "in a proxy's header": lambda token: {"headers": {"Proxy-Authorization": f"Bearer {token}"}},
    "in a forwarded header": lambda token: {"headers": {"X-Forwarded-Authorization": f"Bearer {token}"}},
}
NO_CREDENTIALS: dict[str, Callable[[str], str | None]] = {
    "no header": lambda token: None,
    "empty": lambda token: "",
    "a space": lambda token: " ",
    "Bearer alone": lambda token: "Bearer",
    "Bearer and spaces": lambda token: "Bearer   ",
    "Basic": lambda token: "Basic " + base64.b64encode(f"{MARK}:{token}".encode()).decode(),
    "Basic with a token": lambda token: f"Basic {token}",
    "Digest": lambda token: f'Digest username="{MARK}", response="{token}"',
    "Negotiate": lambda token: f"Negotiate {token}",
    "JWT": lambda token: f"JWT {token}",
    "no scheme": lambda token: token,
    "a tab for the space": lambda token: f"Bearer\t{token}",
    "a colon": lambda token: f"Bearer: {token}",
    "a longer word": lambda token: f"Bearers {token}",
    "a space before it": lambda token: f" Bearer {token}",
    "Basic and Bearer, joined": lambda token: f"Basic cm9vdDpyb290, Bearer {token}",
    "an empty header and Bearer, joined": lambda token: f",Bearer {token}",
}


@pytest.mark.parametrize("options", ELSEWHERE.values(), ids=ELSEWHERE)
def test_token_outside_the_authorization_header_is_ignored(
    build: Callable[..., Target], assert_refusal: Callable[..., None], options: Callable[[str], dict[str, Any]]
) -> None:
    target = build(**EVERYWHERE)
    token = target.token()
    assert_refusal(target, target.post(None, **options(token)), "authentication-required", parts(token))


@pytest.mark.parametrize("options", ELSEWHERE.values(), ids=ELSEWHERE)
def test_token_outside_the_authorization_header_does_not_replace_a_forged_one(
    build: Callable[..., Target], assert_refusal: Callable[..., None], options: Callable[[str], dict[str, Any]]
) -> None:
    target = build(**EVERYWHERE)
    token, forged = target.token(), target.token(sign=EMPTY_SECRET)
    assert_refusal(target, target.post(f"Bearer {forged}", **options(token)), secrets=(*parts(token), *parts(forged)))


@pytest.mark.parametrize("header", NO_CREDENTIALS.values(), ids=NO_CREDENTIALS)
def test_without_a_bearers_credentials_the_challenge_is_bare(
    host: Target, assert_refusal: Callable[..., None], header: Callable[[str], str | None]
) -> None:
    token = host.token()
    assert_refusal(host, host.post(header(token)), "authentication-required", parts(token))


def test_two_authorization_headers_are_refused(host: Target, assert_refusal: Callable[..., None]) -> None:
    token = host.token()
    headers = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    assert_refusal(host, host.post(None, headers=headers), secrets=parts(token))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_read_in_any_case(host: Target, scheme: str) -> None:
    response = host.app.test_client().get(TENANTS, headers={"Authorization": f"{scheme} {host.token()}"})
    assert response.status_code == 200


# What the host says of a token that is sound in itself.


@pytest.mark.parametrize("remembered", [True, False], ids=["remembered", "never seen"])
def test_a_token_that_the_host_revoked_is_refused(
    build: Callable[..., Target], assert_refusal: Callable[..., None], remembered: bool
) -> None:
    target, revoked = build(), set[str]()
    target.manager.token_in_blocklist_loader(lambda header, claims: claims["jti"] in revoked)
    token = target.token()
    assert not remembered or _may_list(target, token)
    revoked.add(f"{MARK}-jti")
    assert_refusal(target, target.send(token), secrets=parts(token))


@pytest.mark.blueprint("an isolated mount does not ask the host's user lookup")
@pytest.mark.parametrize("remembered", [True, False], ids=["remembered", "never seen"])
def test_unknown_user_of_the_host_is_refused(
    build: Callable[..., Target], assert_refusal: Callable[..., None], remembered: bool
) -> None:
    target, users = build(), {MARK: "Mallory"} if remembered else {}
    target.manager.user_lookup_loader(lambda header, claims: users.get(claims["sub"]))
    token = target.token()
    assert not remembered or _may_list(target, token)
    users.clear()
    assert_refusal(target, target.send(token), secrets=parts(token))


@pytest.mark.parametrize("remembered", [True, False], ids=["remembered", "never seen"])
def test_claims_that_the_host_does_not_want_are_refused(
    build: Callable[..., Target], assert_refusal: Callable[..., None], remembered: bool
) -> None:
    target, wanted = build(), [remembered]
    target.manager.token_verification_loader(lambda header, claims: wanted[0])
    token = target.token()
    assert not remembered or _may_list(target, token)
    wanted[0] = False
    assert_refusal(target, target.send(token), secrets=parts(token))


BAD = {"expired": {"exp": PAST}, "endless": {"exp": ABSENT}, "refresh": {"type": "refresh"}, "number": {"sub": 5}}


@pytest.mark.parametrize("claims", BAD.values(), ids=BAD)
def test_the_hosts_own_pages_for_bad_tokens_are_not_shown(
    build: Callable[..., Target], assert_refusal: Callable[..., None], claims: dict[str, Any]
) -> None:
    target = build()
    target.manager.invalid_token_loader(lambda reason: (f"<h1>{reason}</h1>", 422))
    target.manager.expired_token_loader(lambda header, sent: (f"<h1>{sent}</h1>", 422))
    target.manager.unauthorized_loader(lambda reason: (f"<h1>{reason}</h1>", 422))
    token = target.token(claims=claims)
    assert_refusal(target, target.send(token), "token-expired" if claims.get("exp") == PAST else "invalid-token")


def test_failing_blocklist_refuses_tokens_and_is_logged(
    build: Callable[..., Target], caplog: pytest.LogCaptureFixture
) -> None:
    target = build()

    def broken(header: dict[str, Any], claims: dict[str, Any]) -> bool:
        raise ValueError("the blocklist is broken")

    target.manager.token_in_blocklist_loader(broken)
    token = target.token()
    assertions.check_problem(target.send(token), status=401, code="invalid-token")
    assert target.new_tenants() == 0
    assert "the blocklist is broken" in caplog.text
    assert not any(part in caplog.text for part in (MARK, *parts(token)))


def test_nothing_of_a_good_token_is_logged_or_answered(host: Target, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = host.token()
    response = host.app.test_client().get(TENANTS, headers={"Authorization": f"Bearer {token}"})
    shown = f"{response.text}{response.headers}{caplog.text}"
    assert not any(part in shown for part in (*parts(token), hashlib.sha256(token.encode()).hexdigest()))


def _list(target: Target, token: str) -> TestResponse:
    return target.app.test_client().get(TENANTS, environ_overrides={"HTTP_AUTHORIZATION": f"Bearer {token}"})


def _may_list(target: Target, token: str) -> bool:
    """Return whether this token opens the list of tenants."""
    response = _list(target, token)
    assert response.status_code in (200, 401), response.text
    return response.status_code == 200
