"""Serve the quickstart app and print requests to try; `make serve`, stopped with Ctrl-C."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from pathlib import Path

from demo import EXAMPLE, HERE, TENANTS, Failure, find_free_port, run_server, sign_token

INSTRUCTIONS = """
The host's page     {base}/
The API, explained  {base}/api/provisioning/docs

# create a tenant
curl -i {url} -H 'Authorization: Bearer {admin}' -H 'Content-Type: application/json' -d {body}

# list the partner's tenants
curl -i {url} -H 'Authorization: Bearer {admin}'

# a viewer may not create: 403
curl -i {url} -H 'Authorization: Bearer {viewer}' -H 'Content-Type: application/json' -d {body}

# another token
{flask} --app {app} provisioning token --role partner-admin --partner acme

Ctrl-C stops the server.
"""


def main() -> None:
    """Serve until stopped, configured by the environment alone."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    port = find_free_port(int(os.environ.get("PORT", "5000")))
    base = f"http://127.0.0.1:{port}"
    environment = {"FLASK_PROVISIONING_INVITATION_URL": f"{base}/welcome/{{token}}", **os.environ}
    with run_server(port, environment):
        text = INSTRUCTIONS.format(
            base=base,
            url=base + TENANTS,
            body=shlex.quote(json.dumps(EXAMPLE)),
            admin=sign_token("partner-admin", "acme", os.environ),
            viewer=sign_token("partner-viewer", "acme", os.environ),
            flask=shlex.quote(os.path.relpath(Path(sys.executable).with_name("flask"))),
            app=shlex.quote(os.path.relpath(HERE / "app.py")),
        )
        print(text, flush=True)
        signal.pause()


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"Not served: {failure}. (PORT in the environment chooses another port.)")
    except KeyboardInterrupt:
        pass
