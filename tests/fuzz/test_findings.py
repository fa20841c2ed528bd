"""The fuzzer's findings, each as a request that can be repeated."""

from __future__ import annotations

from flask import Flask

from tests.support.assertions import check_problem
from tests.support.callers import EXAMPLE, Caller
from tests.support.hosts import PREFIX
from tests.support.servers import send_request, serve


def test_a_nul_in_the_path_of_an_upsert_is_invalid_text(partner: Caller) -> None:
    response = partner("PUT", "/tenants/by-external-id/a%00b", json=EXAMPLE)
    assert response.status_code == 400
    wrong = check_problem(response, code="validation-error")["errors"]
    assert [(error["pointer"], error["code"]) for error in wrong] == [("#/external_id", "invalid-text")]


def test_an_external_id_with_a_slash_can_be_upserted(partner: Caller) -> None:
    tenant = partner.create(external_id="crm/1")
    response = partner("PUT", "/tenants/by-external-id/crm%2F1", json=EXAMPLE)
    assert (response.status_code, response.get_json().get("tenant")) == (200, tenant["tenant"])


def test_a_path_that_is_not_utf8_names_no_tenant(app: Flask, partner: Caller) -> None:
    """Over a real server: the test client would send U+FFFD in the place of such a byte."""
    tenant = partner.create(external_id="\ufffd")
    body = {**EXAMPLE, "client_name": "Somebody else"}
    with serve(app) as address:
        reply = send_request(address, "PUT", f"{PREFIX}/tenants/by-external-id/%FF", partner.token, body)
    refusal = {"pointer": "#/external_id", "code": "invalid-text", "detail": "Must be UTF-8."}
    assert (reply.status, reply.json()["code"], reply.json()["errors"]) == (400, "validation-error", [refusal])
    assert partner("GET", f"/tenants/{tenant['tenant']}").get_json() == tenant


def test_the_replacement_character_itself_is_an_external_id(partner: Caller) -> None:
    tenant = partner.create(external_id="\ufffd")
    response = partner("PUT", "/tenants/by-external-id/%EF%BF%BD", json=EXAMPLE)
    assert (response.status_code, response.get_json()["tenant"]) == (200, tenant["tenant"])
