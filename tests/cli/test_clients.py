"""``flask provisioning clients``."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.database.ids import make_uuid7
from tests.support.callers import Caller
from tests.support.clients import ClientCaller, client_path
from tests.support.commands import run_command
from tests.support.hosts import get_mount, make_config
from tests.support.issuers import make_jwk

PERMISSIONS = ("--permission", "tenant:create", "--permission", "tenant:read")


def run_json(app: Flask, *arguments: str) -> list[dict[str, Any]]:
    """Return the JSON that the command prints."""
    result = run_command(app, "clients", *arguments, "--json")
    assert (result.status, result.err) == (0, "")
    return [json.loads(line) for line in result.out.splitlines()]


def create_client(partner: Caller, *options: str) -> dict[str, Any]:
    named = ("--partner", partner.partner, "--name", "CRM", *PERMISSIONS)
    (document,) = run_json(partner.app, "create", *named, *options)
    return document


def test_a_client_is_created_with_its_secret_shown_once(partner: Caller) -> None:
    options = ("--network", "192.0.2.0/24", "--network", "2001:db8::/32", "--expires-at", "2099-01-01T00:00:00Z")
    client = create_client(partner, *options)
    assert client.pop("secret").startswith("ftpsecret_")
    assert client["networks"] == ["192.0.2.0/24", "2001:db8::/32"]
    assert (client["partner"], client["created_by"]) == (partner.partner, getpass.getuser())
    assert (client["permissions"], client["expires_at"]) == (
        ["tenant:create", "tenant:read"],
        "2099-01-01T00:00:00.000Z",
    )
    assert run_json(partner.app, "show", client["client"]) == [client]
    assert run_json(partner.app, "list", "--partner", partner.partner) == [client]
    assert partner("GET", client_path(client)).get_json() == client


def test_a_client_is_created_with_keys_of_its_own(partner: Caller, tmp_path: Path) -> None:
    keys, file = {"keys": [make_jwk("first", "ES256")]}, tmp_path / "jwks.json"
    file.write_text(json.dumps(keys))
    client = create_client(partner, "--jwks", str(file))
    assert (client["authentication"], client["jwks"], client["secret"]) == ("private_key_jwt", keys, None)
    client = create_client(partner, "--jwks-url", "https://93.184.215.14/jwks")
    assert (client["authentication"], client["jwks_url"]) == ("private_key_jwt", "https://93.184.215.14/jwks")
    file.write_text('{"keys": [], "keys": []}')
    named = ("--partner", partner.partner, "--name", "CRM", *PERMISSIONS)
    refused = run_command(partner.app, "clients", "create", *named, "--jwks", str(file))
    assert (refused.status, "An object names the same key twice." in refused.err) == (1, True)


def test_a_list_says_that_there_are_more(partner: Caller) -> None:
    for _ in range(3):
        create_client(partner)
    result = run_command(partner.app, "clients", "list", "--partner", partner.partner, "--limit", "2")
    heading, *lines = result.out.splitlines()
    columns = ["client", "partner", "name", "status", "authentication", "expires_at", "last_used_at"]
    assert heading.split() == columns
    assert [line.split()[1:] for line in lines] == [
        [partner.partner, "CRM", "enabled", "client_secret", "-", "-"]
    ] * 2  # fmt: skip
    assert result.err == "There are more: --limit 0 lists them all.\n"
    assert len(run_json(partner.app, "list", "--partner", partner.partner, "--limit", "0")) == 3


def test_empty_list_says_so(partner: Caller) -> None:
    result = run_command(partner.app, "clients", "list", "--partner", partner.partner)
    assert result == (0, "", "There are no such clients.\n")


def test_each_error_names_its_field(partner: Caller) -> None:
    options = ("--partner", "p", "--name", "CRM", "--permission", "tenant:raed", "--network", "here")
    result = run_command(partner.app, "clients", "create", *options)
    assert (result.status, result.out) == (1, "")
    assert "\n  permissions.0: Must be one of: audit:read, " in result.err
    assert "\n  networks.0: Must be a network such as 192.0.2.0/24 or 2001:db8::/32.\n" in result.err


def test_a_client_is_disabled_and_enabled(partner: Caller) -> None:
    client = create_client(partner)
    states = [run_json(partner.app, command, client["client"])[0] for command in ("disable", "enable")]
    assert [(state["status"], state["generation"]) for state in states] == [("disabled", 2), ("enabled", 2)]
    assert ClientCaller(partner.app, client)("GET", "/tenants").status_code == 401
    assert ClientCaller(partner.app, states[1])("GET", "/tenants").status_code == 200


def test_its_secret_is_rotated(partner: Caller) -> None:
    client = create_client(partner)
    (rotated,) = run_json(partner.app, "rotate-secret", client["client"], "--overlap-seconds", "0")
    assert rotated["secret"] != client["secret"]
    assert (rotated["generation"], rotated["previous_secret_expires_at"]) == (2, None)
    refused = run_command(partner.app, "clients", "rotate-secret", client["client"], "--overlap-seconds", "2592001")
    assert "\n  overlap_seconds: Must be a whole number from 0 to 2592000.\n" in refused.err


def test_its_tokens_are_revoked(partner: Caller) -> None:
    client = create_client(partner)
    caller = ClientCaller(partner.app, client)
    assert caller("GET", "/tenants").status_code == 200
    (revoked,) = run_json(partner.app, "revoke-tokens", client["client"])
    assert (revoked["generation"], revoked["version"]) == (2, 2)
    assert caller("GET", "/tenants").status_code == 401


def test_a_client_is_deleted(partner: Caller) -> None:
    id = create_client(partner)["client"]
    refusal = run_command(partner.app, "clients", "delete", id, input="n\n")
    question = f"Delete the client CRM of {partner.partner} and end its tokens?"
    assert (refusal.status, question in refusal.err) == (1, True)
    assert run_command(partner.app, "clients", "show", id).status == 0
    assert run_command(partner.app, "clients", "delete", id, "--yes") == (0, f"Deleted the client {id}.\n", "")
    refused = run_command(partner.app, "clients", "show", id)
    assert (refused.status, refused.out) == (1, "")
    assert refused.err == (
        "Error: Client not found.\nCheck the id, and --partner if you gave it: `clients list` shows the clients.\n"
    )


@pytest.mark.parametrize("command", ["show", "enable", "disable", "rotate-secret", "revoke-tokens", "delete"])
def test_another_partners_client_is_not_found(partner: Caller, command: str) -> None:
    id = create_client(partner)["client"]
    for named, owner in ((id, "another"), (make_uuid7(), partner.partner), ("1", partner.partner)):
        result = run_command(partner.app, "clients", command, named, "--partner", owner, input="y\n")
        assert (result.status, "Client not found." in result.err) == (1, True)


def test_each_change_is_an_event_of_the_operator(partner: Caller) -> None:
    id = create_client(partner)["client"]
    run_json(partner.app, "disable", id)
    events = partner("GET", "/events", query_string={"type": "client.created,client.updated"}).get_json()["items"]
    assert [event["actor"]["sub"] for event in events] == [getpass.getuser()] * 2


def test_the_operator_can_give_the_hosts_own_permissions(database_url: str) -> None:
    provisioning, app = TenantProvisioning(), Flask("host")
    provisioning.permission("report:read", "Read reports.")
    app.config.update(make_config())
    provisioning.init_app(app, database_url)
    options = ("--partner", "acme", "--name", "CRM", "--permission", "report:read")
    assert run_json(app, "create", *options)[0]["permissions"] == ["report:read"]
    get_mount(app).storage.engine.dispose()


def test_the_limit_holds_at_the_command_line(make_app: Callable[..., Flask]) -> None:
    partner = Caller(make_app(PROVISIONING_CLIENT_LIMIT=0))
    named = ("--partner", partner.partner, "--name", "CRM", *PERMISSIONS)
    refused = run_command(partner.app, "clients", "create", *named)
    assert (refused.status, "The limit of 0 clients is reached." in refused.err) == (1, True)
