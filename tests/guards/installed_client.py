"""Prove that the client is complete where it is installed alone. No test; `.ci/run` runs it.

Run from an empty folder, with an environment that holds the client's wheel and its dependencies alone.
"""

from __future__ import annotations

from importlib.metadata import distributions, version
from pathlib import Path

import tenant_provisioning_client
from tenant_provisioning_client import AsyncClient, Client, ConnectionFailed, Retries

#: What a partner must not need to call an API.
UNWANTED = {"flask", "werkzeug", "sqlalchemy", "marshmallow", "flask-tenant-provisioning", "cryptography"}


def main() -> None:
    """Raise AssertionError where something is missing, or where something comes along that should not."""
    root = Path(tenant_provisioning_client.__file__).parent
    assert "site-packages" in root.parts, f"not installed, but read from {root}"
    assert (root / "py.typed").exists()
    names = {str(distribution.metadata["Name"]).lower() for distribution in distributions()}
    assert not names & UNWANTED, f"came along: {names & UNWANTED}"
    assert repr(AsyncClient("https://example.com")) == "AsyncClient('https://example.com')"
    with Client("http://127.0.0.1:9/api/provisioning", "token", retries=Retries(attempts=1)) as client:
        assert not fail_to_connect(client).was_sent
    print(f"{root.name} {version('tenant-provisioning-client')} is installed with {', '.join(sorted(names))}")


def fail_to_connect(client: Client) -> ConnectionFailed:
    """Call a server that is not there, and return the error."""
    try:
        client.tenants.list().page()
    except ConnectionFailed as error:
        return error
    raise AssertionError("something serves on port 9")


if __name__ == "__main__":
    main()
