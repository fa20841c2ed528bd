"""``flask provisioning webhooks``."""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Callable
from typing import Any

from flask import Flask

from flask_tenant_provisioning.database.ids import format_instant, make_uuid7
from flask_tenant_provisioning.webhooks import actions, endpoint_secrets
from flask_tenant_provisioning.webhooks.signing import signing_key
from tests.support.callers import Caller
from tests.support.commands import run_command
from tests.support.hosts import get_mount

URL = "https://93.184.215.14/hook"


def run_json(app: Flask, *arguments: str) -> list[dict[str, Any]]:
    """Return the JSON that the command prints."""
    result = run_command(app, "webhooks", *arguments, "--json")
    assert (result.status, result.err) == (0, "")
    return [json.loads(line) for line in result.out.splitlines()]


def create_endpoint(partner: Caller, *options: str) -> dict[str, Any]:
    (document,) = run_json(partner.app, "create", "--partner", partner.partner, "--url", URL, *options)
    return document


def test_a_webhook_is_created_with_its_secret_shown_once(partner: Caller) -> None:
    endpoint = create_endpoint(
        partner, "--event", "tenant.*", "--event", "*.deleted", "--description", "x", "--signing", "v1"
    )
    assert (endpoint["partner"], endpoint["events"], endpoint["description"]) == (
        partner.partner,
        ["tenant.*", "*.deleted"],
        "x",
    )
    assert endpoint.pop("secret").startswith("whsec_")
    assert run_json(partner.app, "show", endpoint["webhook"]) == [endpoint]
    assert run_json(partner.app, "list", "--partner", partner.partner) == [endpoint]
    assert partner("GET", f"/webhooks/{endpoint['webhook']}").get_json() == endpoint


def test_a_list_says_that_there_are_more(partner: Caller) -> None:
    for _ in range(3):
        create_endpoint(partner)
    result = run_command(partner.app, "webhooks", "list", "--partner", partner.partner, "--limit", "2")
    heading, *lines = result.out.splitlines()
    assert heading.split() == ["webhook", "partner", "url", "enabled", "disabled_reason", "failing_since"]
    assert [line.split()[1:] for line in lines] == [[partner.partner, URL, "true", "-", "-"]] * 2
    assert result.err == "There are more: --limit 0 lists them all.\n"
    assert len(run_json(partner.app, "list", "--partner", partner.partner, "--limit", "0")) == 3


def test_empty_list_says_so(partner: Caller) -> None:
    result = run_command(partner.app, "webhooks", "list", "--partner", partner.partner)
    assert result == (0, "", "There are no such webhooks.\n")


def test_each_error_names_its_field(partner: Caller) -> None:
    result = run_command(partner.app, "webhooks", "create", "--partner", "p", "--url", URL, "--event", "invoice.*")
    assert (result.status, result.out) == (1, "")
    assert "\n  events.0: invoice.* matches none of: tenant.created, " in result.err


def test_endpoint_is_disabled_and_enabled(partner: Caller) -> None:
    id = create_endpoint(partner)["webhook"]
    assert [endpoint["enabled"] for endpoint in run_json(partner.app, "disable", id)] == [False]
    refused = run_command(partner.app, "webhooks", "test", id)
    assert (refused.status, "Webhook disabled." in refused.err) == (1, True)
    assert [endpoint["enabled"] for endpoint in run_json(partner.app, "enable", id)] == [True]


def test_its_secret_is_rotated(partner: Caller) -> None:
    endpoint = create_endpoint(partner)
    (rotated,) = run_json(partner.app, "rotate-secret", endpoint["webhook"], "--overlap-hours", "1")
    assert rotated["secret"] != endpoint["secret"]
    refused = run_command(partner.app, "webhooks", "rotate-secret", endpoint["webhook"], "--overlap-hours", "169")
    assert "\n  overlap_hours: Must be a whole number from 0 to 168.\n" in refused.err


def test_test_sends_a_delivery_that_can_be_listed_and_retried(partner: Caller) -> None:
    id = create_endpoint(partner)["webhook"]
    (sent,) = run_json(partner.app, "test", id)
    assert run_json(partner.app, "deliveries", id, "--state", "pending") == [sent]
    assert run_json(partner.app, "deliveries", id, "--state", "failed") == []
    (again,) = run_json(partner.app, "redeliver", sent["delivery"])
    assert (again["delivery"], again["state"]) == (sent["delivery"], "pending")


def test_failed_deliveries_are_recovered(partner: Caller) -> None:
    partner.create()
    partner("GET", "/events")
    id = create_endpoint(partner, "--event", "tenant.created")["webhook"]
    (document,) = run_json(partner.app, "recover", id, "--since", format_instant(time.time() - 60))
    assert (document["webhook"], document["deliveries"]) == (id, 1)


def test_endpoint_is_deleted(partner: Caller) -> None:
    id = create_endpoint(partner)["webhook"]
    refusal = run_command(partner.app, "webhooks", "delete", id, input="n\n")
    assert (refusal.status, f"Delete the webhook of {partner.partner} to https://" in refusal.err) == (1, True)
    assert run_command(partner.app, "webhooks", "show", id).status == 0
    assert run_command(partner.app, "webhooks", "delete", id, "--yes") == (0, f"Deleted the webhook {id}.\n", "")
    assert "Webhook not found." in run_command(partner.app, "webhooks", "show", id).err


def test_another_partners_endpoint_is_not_found(partner: Caller) -> None:
    endpoint = create_endpoint(partner)
    (sent,) = run_json(partner.app, "test", endpoint["webhook"])
    for words in (("show", endpoint["webhook"]), ("delete", endpoint["webhook"]), ("redeliver", sent["delivery"])):
        refused = run_command(partner.app, "webhooks", *words, "--partner", "somebody-else")
        assert (refused.status, "not found." in refused.err) == (1, True)
    assert run_command(partner.app, "webhooks", "redeliver", make_uuid7()).status == 1


def test_secrets_of_an_older_key_are_sealed_again(make_app: Callable[..., Flask]) -> None:
    old, new = "the old key of this host", "the new key of this host"
    created = create_endpoint(Caller(make_app(PROVISIONING_ENCRYPTION_KEYS=[old]), "acme"))
    both, alone = (make_app(PROVISIONING_ENCRYPTION_KEYS=keys) for keys in ([new, old], [new]))
    unopened = run_command(alone, "webhooks", "reseal")
    assert (unopened.status, unopened.out) == (1, "All secrets use the newest key already.\n")
    assert f"{created['webhook']}: It was sealed with the key " in unopened.err
    assert run_command(both, "webhooks", "reseal") == (0, "Webhooks with re-encrypted secrets: 1.\n", "")
    assert run_command(both, "webhooks", "reseal") == (0, "All secrets use the newest key already.\n", "")
    assert run_command(alone, "webhooks", "reseal").status == 0
    storage = get_mount(alone).storage
    endpoint = storage.read(lambda session: actions.load_endpoint(session, "acme", created["webhook"]))
    (key,) = endpoint_secrets.load_signing_keys(get_mount(alone).keyring, endpoint, format_instant(time.time()))
    assert (key.sign(b"x"), endpoint.version) == (signing_key(created["secret"]).sign(b"x"), 1)


def test_changes_at_the_command_line_are_events_of_the_operator(partner: Caller) -> None:
    id = create_endpoint(partner)["webhook"]
    for command in ("disable", "enable", "rotate-secret"):
        run_json(partner.app, command, id)
    assert run_command(partner.app, "webhooks", "delete", "--yes", id).status == 0

    events = partner("GET", "/events").get_json()["items"]
    assert [event["type"].removeprefix("webhook.") for event in events] == [
        "created", "updated", "updated", "rotated", "deleted",
    ]  # fmt: skip
    operator = {"sub": getpass.getuser(), "partner": partner.partner}
    assert [event["actor"] for event in events] == [operator] * 5
