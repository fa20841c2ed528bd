"""What the fuzzer found, each as a request that anybody can send."""

from __future__ import annotations

from tests.world import EXAMPLE, Caller, problem


def test_a_nul_in_the_path_of_an_upsert_is_invalid_text(partner: Caller) -> None:
    answer = partner("PUT", "/tenants/by-external-id/a%00b", json=EXAMPLE)
    assert answer.status_code == 400
    wrong = problem(answer, code="validation-error")["errors"]
    assert [(error["pointer"], error["code"]) for error in wrong] == [("#/external_id", "invalid-text")]


def test_an_external_id_with_a_slash_can_be_upserted(partner: Caller) -> None:
    made = partner.create(external_id="crm/1")
    answer = partner("PUT", "/tenants/by-external-id/crm%2F1", json=EXAMPLE)
    assert (answer.status_code, answer.get_json().get("tenant")) == (200, made["tenant"])
