"""The `admin` of a new tenant: in creations, upserts and bulk rows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flask_tenant_provisioning.bulk.execution import choose_strategy, execute_bulk_insert
from tests.support.assertions import assert_invalid_fields
from tests.support.bulk import Bulk
from tests.support.callers import EXAMPLE, tenant_path
from tests.support.clock import DAY
from tests.support.database.rows import fetch_rows
from tests.support.events import fetch_event_types
from tests.support.hosts import get_mount
from tests.support.invitations import ADMIN, URL, InvitationHost, read_invitation, read_invitations
from tests.support.workers.step_hosts import read_tenant_status

NOBODY = ("#/admin", "invitations-unavailable", "This service sends no invitations: leave this field out.")


def test_admin_of_a_new_tenant_is_invited_once(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    assert "admin" not in tenant
    waiting = read_invitation(partner, tenant)
    assert waiting == {
        "invitation": waiting["invitation"],
        "tenant": tenant["tenant"],
        "partner": partner.partner,
        "admin": ADMIN,
        "state": "sending",
        "attempts": 0,
        "error": None,
        "next_attempt_at": waiting["created_at"],
        "sent_at": None,
        "expires_at": waiting["expires_at"],
        "ended_at": None,
        "version": 1,
        "created_at": waiting["created_at"],
        "updated_at": waiting["created_at"],
    }
    host.work()
    host.work()

    (sent,) = host.outbox
    assert sent.tenant == partner("GET", tenant_path(tenant)).get_json()
    assert sent.admin == (ADMIN["email"], ADMIN["name"], ADMIN["locale"])
    assert sent.link == URL.replace("{token}", sent.token)
    assert (sent.id, sent.attempt, sent.expires_at) == (waiting["invitation"], 1, waiting["expires_at"])
    assert read_invitation(partner, tenant)["state"] == "sent"
    assert fetch_event_types(partner, tenant) == ["tenant.created", "invitation.created", "invitation.sent"]


def test_admin_needs_an_email_alone(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create(admin={"email": "jo@example.com", "name": None})
    assert read_invitation(partner, tenant)["admin"] == {"email": "jo@example.com", "name": None, "locale": None}


@pytest.mark.parametrize("admin", [None, "absent"])
def test_tenant_without_admin_invites_nobody(host: InvitationHost, admin: Any) -> None:
    partner = host.open()
    tenant = partner.create(**({} if admin == "absent" else {"admin": admin}))
    host.work()
    assert (host.outbox, read_invitations(partner, tenant)) == ([], [])


@pytest.mark.parametrize(
    ("admin", "errors"),
    [
        ({}, [("#/admin/email", "required", "This field is required.")]),
        ("jo@example.com", [("#/admin", "invalid-type", "Must be an object.")]),
        ([ADMIN], [("#/admin", "invalid-type", "Must be an object.")]),
        ({"email": "jo"}, [("#/admin/email", "invalid-email", "Invalid email address.")]),
        ({"email": f"{'a' * 250}@b.com"}, [("#/admin/email", "invalid-email", "Invalid email address.")]),
        (
            {"email": "jo@example.com\r\nBcc: all@example.com"},
            [("#/admin/email", "invalid-email", "Invalid email address.")],
        ),
        ({**ADMIN, "email": None}, [("#/admin/email", "null", "This field may not be null.")]),
        ({**ADMIN, "name": 7}, [("#/admin/name", "invalid-type", "Must be a text.")]),
        ({**ADMIN, "name": ""}, [("#/admin/name", "invalid-length", "Must have 1 to 255 characters.")]),
        ({**ADMIN, "name": "x" * 256}, [("#/admin/name", "invalid-length", "Must have 1 to 255 characters.")]),
        (
            {**ADMIN, "name": "Jo\r\nBcc: all@example.com"},
            [("#/admin/name", "invalid-text", "Must hold no line break and no other control character.")],
        ),
        (
            {**ADMIN, "name": "Jo \u202eeoD"},
            [("#/admin/name", "invalid-text", "Must hold no line break and no other control character.")],
        ),
        (
            {**ADMIN, "locale": "pt_BR"},
            [("#/admin/locale", "invalid-locale", "Must be a language tag such as en or pt-BR (BCP 47).")],
        ),
        ({**ADMIN, "locale": "e"}, [("#/admin/locale", "invalid-length", "Must have 2 to 35 characters.")]),
        ({**ADMIN, "locale": "en-" * 20}, [("#/admin/locale", "invalid-length", "Must have 2 to 35 characters.")]),
        ({**ADMIN, "password": "x"}, [("#/admin/password", "unknown-field", "There is no such field.")]),
        (
            {"locale": "?", "extra": 1},
            [
                ("#/admin/email", "required", "This field is required."),
                ("#/admin/extra", "unknown-field", "There is no such field."),
                ("#/admin/locale", "invalid-length", "Must have 2 to 35 characters."),
            ],
        ),
    ],
)
def test_invalid_admin_is_refused_with_every_fault(
    host: InvitationHost, admin: Any, errors: list[tuple[str, str, str]]
) -> None:
    partner = host.open()
    assert_invalid_fields(partner("POST", "/tenants", json={**EXAMPLE, "admin": admin}), *errors)
    assert fetch_rows(host.app, "tenants") == fetch_rows(host.app, "invitations") == []


def test_faults_of_the_tenant_and_of_its_admin_come_together(host: InvitationHost) -> None:
    partner = host.open()
    assert_invalid_fields(
        partner("POST", "/tenants", json={"client_name": "Example", "admin": {"email": "jo"}}),
        ("#/admin/email", "invalid-email", "Invalid email address."),
        ("#/email", "required", "This field is required."),
    )


def test_many_unknown_fields_of_an_admin_cost_little(host: InvitationHost) -> None:
    partner = host.open()
    admin = {**ADMIN, **{f"field{number}": 1 for number in range(40_000)}}
    response = partner("POST", "/tenants", json={**EXAMPLE, "admin": admin})
    assert (response.status_code, response.get_json()["errors_omitted"]) == (400, 39_900)


def test_host_without_invitations_refuses_an_admin(database_url: str) -> None:
    host = InvitationHost(database_url, invites=False)
    partner = host.open()
    assert_invalid_fields(partner("POST", "/tenants", json={**EXAMPLE, "admin": ADMIN}), NOBODY)
    assert partner("POST", "/tenants", json={**EXAMPLE, "admin": None}).status_code == 201
    host.close()


def test_admin_is_invited_when_the_steps_have_succeeded(host: InvitationHost) -> None:
    host.step("schema")
    host.broken["schema"] = RuntimeError("not yet")
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    host.work()
    assert read_tenant_status(partner, tenant) == "provisioning"
    assert (read_invitation(partner, tenant)["state"], host.outbox) == ("waiting", [])
    assert read_invitation(partner, tenant)["expires_at"] is None

    del host.broken["schema"]
    host.work(60)
    host.work()
    assert read_tenant_status(partner, tenant) == "active"
    assert [invitation.admin.email for invitation in host.outbox] == [ADMIN["email"]]
    assert read_invitation(partner, tenant)["state"] == "sent"


def test_nobody_is_invited_to_a_tenant_whose_steps_fail(host: InvitationHost) -> None:
    host.step("schema", retries=0)
    host.broken["schema"] = RuntimeError("never")
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    host.work(60)
    assert read_tenant_status(partner, tenant) == "failed"
    assert (read_invitation(partner, tenant)["state"], host.outbox) == ("waiting", [])

    del host.broken["schema"]
    assert partner("POST", f"{tenant_path(tenant)}/provisioning/retry").status_code == 202
    host.work(60)
    host.work()
    assert [invitation.admin.email for invitation in host.outbox] == [ADMIN["email"]]


def test_dry_run_validates_and_invites_nobody(host: InvitationHost) -> None:
    partner = host.open()
    response = partner("POST", "/tenants?validate_only=true", json={**EXAMPLE, "admin": ADMIN})
    assert response.status_code == 201
    host.work()
    assert (host.outbox, fetch_rows(host.app, "invitations"), fetch_rows(host.app, "events")) == ([], [], [])
    assert_invalid_fields(
        partner("POST", "/tenants?validate_only=true", json={**EXAMPLE, "admin": {"email": "jo"}}),
        ("#/admin/email", "invalid-email", "Invalid email address."),
    )


def test_repeated_create_with_an_idempotency_key_invites_once(host: InvitationHost) -> None:
    partner = host.open()
    for _ in range(3):
        response = partner(
            "POST", "/tenants", json={**EXAMPLE, "admin": ADMIN}, headers={"Idempotency-Key": "create-1"}
        )
        assert response.status_code == 201
        host.work()
    assert len(host.outbox) == len(fetch_rows(host.app, "invitations")) == 1


def test_refused_create_invites_nobody(host: InvitationHost) -> None:
    partner = host.open()
    partner.create(email="taken@example.com")
    response = partner("POST", "/tenants", json={**EXAMPLE, "email": "taken@example.com", "admin": ADMIN})
    assert response.status_code == 409
    assert fetch_rows(host.app, "invitations") == []


def test_hook_that_refuses_a_create_leaves_no_invitation(host: InvitationHost) -> None:
    @host.provisioning.hook("tenant.create")
    def refuse(tenant: dict[str, Any]) -> None:
        raise ValueError("no")

    host.provisioning.map_error(ValueError, status=409, code="no-room")
    partner = host.open()
    assert partner("POST", "/tenants", json={**EXAMPLE, "admin": ADMIN}).status_code == 409
    assert fetch_rows(host.app, "invitations") == []


def test_upsert_invites_the_admin_of_a_new_tenant_alone(host: InvitationHost) -> None:
    partner = host.open()
    body = {**EXAMPLE, "admin": ADMIN}
    created = partner("PUT", "/tenants/by-external-id/crm-1", json=body)
    assert created.status_code == 201
    again = partner("PUT", "/tenants/by-external-id/crm-1", json={**body, "industry": "Farming"})
    other = partner("PUT", "/tenants/by-external-id/crm-1", json={**body, "admin": {"email": "other@example.com"}})
    assert (again.status_code, other.status_code) == (200, 200)
    host.work()
    assert [invitation.admin.email for invitation in host.outbox] == [ADMIN["email"]]


def test_replacement_takes_the_same_body_and_invites_nobody(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create()
    response = partner("PUT", tenant_path(tenant), json={**EXAMPLE, "admin": ADMIN})
    assert response.status_code == 200
    assert read_invitations(partner, tenant) == []


def test_merge_patch_refuses_an_admin(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create()
    assert_invalid_fields(
        partner("PATCH", tenant_path(tenant), json={"admin": ADMIN, "industry": 7}),
        (
            "#/admin",
            "not-changeable",
            "Only a new tenant takes an `admin`: invite further ones at its `/invitations`.",
        ),
        ("#/industry", "invalid-type", "Must be a text."),
    )


def row(number: int, **more: Any) -> dict[str, Any]:
    return {"client_name": f"Example {number}", "email": f"u{number}@example.com", **more}


def test_bulk_rows_invite_their_admins(host: InvitationHost) -> None:
    bulk = Bulk(host.app, host.open())
    assert choose_strategy(get_mount(host.app), "create") is execute_bulk_insert
    results = bulk.do(
        "create",
        [
            row(1, admin={**ADMIN, "email": "a1@example.com"}),
            row(2),
            row(3, admin={"email": "wrong"}),
            row(4, admin={"email": "a4@example.com"}),
            row(1, admin={"email": "a5@example.com"}),
        ],
    )
    bulk.work()
    assert [result.state for result in results] == ["succeeded", "succeeded", "failed", "succeeded", "failed"]
    assert sorted(invitation.admin.email for invitation in host.outbox) == ["a1@example.com", "a4@example.com"]
    assert {invitation.tenant["email"] for invitation in host.outbox} == {"u1@example.com", "u4@example.com"}


def test_bulk_upserts_invite_the_admins_of_new_tenants(host: InvitationHost) -> None:
    bulk = Bulk(host.app, host.open())
    rows = [row(1, external_id="c1", admin={"email": "a1@example.com"}), row(2, external_id="c2")]
    bulk.do("upsert", rows)
    bulk.do("upsert", [{**one, "admin": {"email": "b@example.com"}} for one in rows])
    bulk.work()
    assert [invitation.admin.email for invitation in host.outbox] == ["a1@example.com"]


def test_bulk_rows_with_hooks_invite_their_admins(host: InvitationHost) -> None:
    @host.provisioning.hook("tenant.create")
    def pass_by(tenant: dict[str, Any]) -> None:
        """Refuse nothing."""

    bulk = Bulk(host.app, host.open())
    bulk.do("create", [row(1, admin={"email": "a1@example.com"}), row(2)])
    bulk.work()
    assert [invitation.admin.email for invitation in host.outbox] == ["a1@example.com"]


@pytest.mark.parametrize("mode", ["partial", "atomic"])
def test_bulk_dry_run_and_failed_atomic_job_invite_nobody(host: InvitationHost, mode: str) -> None:
    bulk = Bulk(host.app, host.open())
    bulk.do("create", [row(1, admin=ADMIN)], mode=mode, dry_run=True)
    bulk.do("create", [row(1, admin=ADMIN), row(2, admin={"email": "wrong"})], mode="atomic")
    bulk.work()
    assert (host.outbox, fetch_rows(host.app, "invitations")) == ([], [])


def test_csv_has_columns_for_the_admin(host: InvitationHost) -> None:
    bulk = Bulk(host.app, host.open())
    results = bulk.do(
        "create",
        "client_name,email,admin.email,admin.name,admin.locale\n"
        "One,u1@example.com,a1@example.com,Jo Doe,pt-BR\n"
        "Two,u2@example.com,,,\n"
        "Three,u3@example.com,,Jo Doe,\n",
    )
    bulk.work()
    assert [result.state for result in results] == ["succeeded", "succeeded", "failed"]
    assert results[2].problem is not None
    assert results[2].problem["errors"] == [
        {"pointer": "#/admin/email", "code": "required", "detail": "This field is required."}
    ]
    (sent,) = host.outbox
    assert sent.admin == ("a1@example.com", "Jo Doe", "pt-BR")


def test_csv_of_updates_has_no_columns_for_the_admin(host: InvitationHost) -> None:
    partner = host.open()
    response = partner("POST", "/bulk-jobs?operation=update", data="tenant,admin.email\n1,2\n", content_type="text/csv")
    assert response.status_code == 400
    assert "admin.email" in json.dumps(response.get_json())


def test_invitation_of_a_slow_tenant_expires_after_its_sending(host: InvitationHost) -> None:
    host.step("schema", retries=50)
    host.broken["schema"] = RuntimeError("not yet")
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    host.work(30 * DAY)
    del host.broken["schema"]
    host.work(DAY)
    host.work()
    assert len(host.outbox) == 1
    assert read_invitation(partner, tenant)["state"] == "sent"
