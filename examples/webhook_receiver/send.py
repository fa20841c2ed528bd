"""Sign a sample event, as the provisioning API does, and post it: ``python send.py [--id ID] [--forged] [URL]``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from typing import Any

from flask_tenant_provisioning.webhooks.signing import sign, signing_key

TENANT = "019365df-9f02-7b1e-8a55-0c9a6f0d7e21"
SAMPLE: dict[str, Any] = {
    "id": "019365e0-3b1a-7c44-9d3c-6d2f4f1c2a10",
    "type": "tenant.created",
    "timestamp": "2025-02-10T16:30:00.000Z",
    "partner": "acme",
    "tenant": TENANT,
    "request_id": "5f1c9d",
    "actor": {"sub": "someone", "partner": "acme"},
    "data": {"tenant": TENANT, "client_name": "Example Corp", "status": "active", "version": 1},
    "changes": {},
}


def main() -> int:
    """Post one webhook. Return the exit status: 0 if the receiver accepted it."""
    options = parse_arguments()
    body = json.dumps(SAMPLE, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json", **sign_headers(read_secret(), options.id, body)}
    if options.forged:
        body = body.replace(b"acme", b"evil")
    status = post(options.url, body, headers)
    print(f"{options.id}: {status}")
    return 0 if 200 <= status < 300 else 1


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Sign a sample webhook with FLASK_WEBHOOK_SECRETS and post it.")
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:5000/webhooks")
    parser.add_argument("--id", default=f"msg_{uuid.uuid4().hex}", help="the webhook-id; a new one by default")
    parser.add_argument("--forged", action="store_true", help="change the body after it was signed")
    return parser.parse_args()


def read_secret() -> str:
    """Return the receiver's secret, the first if it has several."""
    text = os.environ["FLASK_WEBHOOK_SECRETS"]
    return str(json.loads(text)[0]) if text.startswith("[") else text


def sign_headers(secret: str, id: str, body: bytes) -> dict[str, str]:
    """Return the three headers of a signed webhook."""
    now = int(time.time())
    signature = sign([signing_key(secret)], id, now, body)
    return {"webhook-id": id, "webhook-timestamp": str(now), "webhook-signature": signature}


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """Post the body and return the status of the response."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=15) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        sys.stderr.write(error.read().decode())
        return error.code


if __name__ == "__main__":
    sys.exit(main())
