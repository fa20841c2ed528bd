"""Check that units of work are whole."""

from __future__ import annotations

from tests.support.bulk import Bulk
from tests.support.callers import EXAMPLE, Caller


def require_whole_units(partner: Caller) -> None:
    """Assert that what is answered is kept, and what is rehearsed, refused or failed is not."""
    key = {"Idempotency-Key": "k1"}
    response = partner("POST", "/tenants", json={**EXAMPLE, "client_name": "株式会社 ü"}, headers=key)
    assert response.status_code == 201, response.text
    assert partner("POST", "/tenants", json={**EXAMPLE, "client_name": "株式会社 ü"}, headers=key).json == response.json
    at = f"/tenants/{response.get_json()['tenant']}"
    assert partner("PATCH", f"{at}?validate_only=true", json={"industry": "rehearsed"}).status_code == 200
    assert partner("PATCH", at, json={"industry": "no"}).status_code == 409
    assert partner("POST", "/tenants", json=EXAMPLE).status_code == 409
    assert partner("GET", at).json == response.json
    assert [each["type"] for each in partner("GET", "/events").get_json()["items"]] == ["tenant.created"]
    bulk = Bulk(partner.app, partner)
    rows = [{"client_name": "A", "email": "a1@example.com"}, {"client_name": "B", "email": "bad"}]
    failed = bulk.upload("create", rows, mode="atomic")
    bulk.work()
    assert bulk.job(failed).state == "failed"
    assert [item["tenant"] for item in partner("GET", "/tenants").get_json()["items"]] == [
        response.get_json()["tenant"]
    ]
    document = {**EXAMPLE, "email": "m@example.com", "metadata": {"a": "ü"}}
    assert partner("POST", "/tenants", json=document).get_json()["metadata"] == {"a": "ü"}
