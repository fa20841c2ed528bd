"""What the fuzzer found, each as a request that anybody can send."""

from __future__ import annotations

from flask import Flask

from tests.servers import ask, served
from tests.world import EXAMPLE, PREFIX, Caller, problem


def test_a_nul_in_the_path_of_an_upsert_is_invalid_text(partner: Caller) -> None:
    answer = partner("PUT", "/tenants/by-external-id/a%00b", json=EXAMPLE)
    assert answer.status_code == 400
    wrong = problem(answer, code="validation-error")["errors"]
    assert [(error["pointer"], error["code"]) for error in wrong] == [("#/external_id", "invalid-text")]


def test_an_external_id_with_a_slash_can_be_upserted(partner: Caller) -> None:
    made = partner.create(external_id="crm/1")
    answer = partner("PUT", "/tenants/by-external-id/crm%2F1", json=EXAMPLE)
    assert (answer.status_code, answer.get_json().get("tenant")) == (200, made["tenant"])


def test_a_path_that_is_not_utf8_names_no_tenant(app: Flask, partner: Caller) -> None:
    """Over a real server: the test client would send U+FFFD in the place of such a byte."""
    made = partner.create(external_id="\ufffd")
    body = {**EXAMPLE, "client_name": "Somebody else"}
    with served(app) as address:
        reply = ask(address, "PUT", f"{PREFIX}/tenants/by-external-id/%FF", partner.token, body)
    refusal = {"pointer": "#/external_id", "code": "invalid-text", "detail": "Must be UTF-8."}
    assert (reply.status, reply.json()["code"], reply.json()["errors"]) == (400, "validation-error", [refusal])
    assert partner("GET", f"/tenants/{made['tenant']}").get_json() == made


def test_the_replacement_character_itself_is_an_external_id(partner: Caller) -> None:
    made = partner.create(external_id="\ufffd")
    answer = partner("PUT", "/tenants/by-external-id/%EF%BF%BD", json=EXAMPLE)
    assert (answer.status_code, answer.get_json()["tenant"]) == (200, made["tenant"])
