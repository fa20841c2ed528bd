"""Identity providers for tests: key sets served over HTTP, and tokens that they sign."""

from __future__ import annotations

import functools
import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import get_algorithm_by_name

from flask_tenant_provisioning.encoding import encode_base64url

_CURVES: dict[str, type[ec.EllipticCurve]] = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


def make_private_key(kid: str, algorithm: str = "RS256") -> Any:
    """The private key of this id, one for the whole run."""
    return _make_private_key(kid, "RSA" if algorithm[:2] in ("RS", "PS") else algorithm)


@functools.cache
def _make_private_key(_kid: str, kind: str) -> Any:
    if kind == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if kind in _CURVES:
        return ec.generate_private_key(_CURVES[kind]())
    return rsa.generate_private_key(65537, 2048)


def make_jwk(kid: str, algorithm: str = "RS256", **more: Any) -> dict[str, Any]:
    """The public key of this id as providers publish it."""
    public = make_private_key(kid, algorithm).public_key()
    key: dict[str, Any] = json.loads(get_algorithm_by_name(algorithm).to_jwk(public))
    key.pop("key_ops", None)
    return {**key, "kid": kid, "use": "sig", "alg": algorithm, **more}


def sign_token(header: dict[str, Any], claims: dict[str, Any], key: Any) -> str:
    """Return a token with this header and these claims, which need not be valid, signed as the header says."""
    signed = b".".join(encode_base64url(json.dumps(part).encode()).encode() for part in (header, claims))
    signature = get_algorithm_by_name(header["alg"]).sign(signed, key)
    return f"{signed.decode()}.{encode_base64url(signature)}"


class Provider(http.server.ThreadingHTTPServer):
    """An identity provider that publishes `keys`, or responds with `status`, and counts the requests for them."""

    daemon_threads = True

    def __init__(self, *kids: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys: list[Any] = [make_jwk(kid) for kid in kids]
        self.body: bytes | None = None
        self.status = 200
        self.requests = 0

    @property
    def issuer(self) -> str:
        """The name in `iss`, and the URL before the key set."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def jwks(self) -> str:
        """The URL of the key set."""
        return f"{self.issuer}/jwks"

    def sign(self, kid: str = "first", algorithm: str = "RS256", header: Any = None, **claims: Any) -> str:
        """Return a token for the audience `provisioning`, with these claims instead of the usual ones."""
        now = int(time.time())
        usual = {"iss": self.issuer, "aud": "provisioning", "sub": "partner-7", "iat": now, "exp": now + 3600}
        given = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        named = {"kid": kid} if header is None else header
        return sign_token({"typ": "JWT", "alg": algorithm, **named}, given, make_private_key(kid, algorithm))


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        self.server.requests += 1
        keys = json.dumps({"keys": self.server.keys}).encode()
        body = keys if self.server.body is None else self.server.body
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serve_provider(*kids: str) -> Iterator[Provider]:
    """Serve a provider with keys of these ids."""
    with Provider(*kids) as provider:
        thread = threading.Thread(target=provider.serve_forever, daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            provider.shutdown()
            thread.join()
