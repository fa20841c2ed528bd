"""The fuzzer's exceptions are written down, and excuse no more than that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.exceptions import EXCEPTIONS, Exchange, Exemption, find_exemption

README = Path(__file__).with_name("README.md")
DELETED = {"client_name": "Acme", "status": "deleted"}
ACTIVE = {"client_name": "Acme", "status": "active"}
SETTINGS = {"version": 0, "effective": {}, "explicit": {}, "sources": {}}
MALFORMED = {"code": "malformed-upload"}
INVALID = {"code": "validation-error"}
WRONG_ID = {"pointer": "#/external_id"}
SENT: dict[str, Any] = {"headers": {}, "query": {}, "answer": {}}


@pytest.mark.parametrize("exception", EXCEPTIONS, ids=lambda exception: exception.name)
def test_every_exception_stands_in_the_readme_with_its_reason(exception: Exemption) -> None:
    assert f"| {exception.name} | `{exception.failure}` | {exception.reason} |\n" in README.read_text("utf-8")


@pytest.mark.parametrize(
    ("failure", "sent"),
    [
        ("RejectedPositiveData", {"status": 400, "answer": {"code": "invalid-cursor"}}),
        ("RejectedPositiveData", {"status": 400, "answer": {"code": "invalid-parameter"}, "query": {"cursor": "x"}}),
        ("RejectedPositiveData", {"status": 400, "answer": {"code": "malformed-upload"}, "kind": "application/json"}),
        ("RejectedPositiveData", {"status": 400, "answer": {**MALFORMED, "detail": "Not JSON."}}),
        ("RejectedPositiveData", {"status": 400, "answer": {**INVALID, "errors": [{**WRONG_ID, "code": "null"}]}}),
        (
            "RejectedPositiveData",
            {"status": 400, "answer": {"errors": [{"pointer": "#/partner", "code": "duplicate"}]}},
        ),
        ("RejectedPositiveData", {"status": 412, "answer": {"code": "precondition-failed"}}),
        ("RejectedPositiveData", {"status": 422, "answer": {"code": "idempotency-key-reused"}}),
        ("AcceptedNegativeData", {"status": 412, "answer": {"code": "precondition-failed"}, "replayed": True}),
        ("UseAfterFree", {"status": 200, "answer": DELETED, "fate": "purged"}),
        ("UseAfterFree", {"status": 304, "fate": "purged"}),
        ("UseAfterFree", {"status": 200, "answer": {"phase": "provisioning"}, "fate": "purged"}),
        ("UseAfterFree", {"status": 200, "answer": ACTIVE, "fate": "deleted"}),
        ("UseAfterFree", {"status": 200, "answer": SETTINGS, "fate": "deleted", "method": "PATCH"}),
        ("UseAfterFree", {"status": 200, "answer": DELETED}),
        ("ServerError", {"status": 500, "answer": {"code": "internal-error"}}),
    ],
)
def test_a_failure_without_its_reason_is_kept(failure: str, sent: dict[str, Any]) -> None:
    assert find_exemption(failure, Exchange(**{**SENT, **sent})) is None


@pytest.mark.parametrize(
    ("response", "name"),
    [
        ({**MALFORMED, "detail": "The upload has no rows."}, "an upload without rows"),
        ({"errors": [{"pointer": "#/partner", "code": "invalid-partner-id"}]}, "an id that no partner can have"),
        ({**INVALID, "errors": [{**WRONG_ID, "code": "mismatch"}]}, "another external id than that of the path"),
    ],
)
def test_refusals_that_no_schema_describes_are_exempt(response: dict[str, Any], name: str) -> None:
    assert find_exemption("RejectedPositiveData", Exchange(**{**SENT, "status": 400, "answer": response})) == name


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ({"status": 200, "answer": DELETED, "fate": "deleted"}, "a deleted tenant that is still there"),
        (
            {"status": 200, "answer": {"phase": "provisioning"}, "fate": "deleted"},
            "a deleted tenant that is still there",
        ),
        ({"status": 200, "answer": SETTINGS, "fate": "deleted"}, "a deleted tenant that is still there"),
        ({"status": 304, "fate": "deleted"}, "a deleted tenant that is still there"),
        ({"status": 200, "answer": ACTIVE}, "a deleted tenant that is still there"),
    ],
)
def test_a_deleted_tenant_can_be_read_and_restored(sent: dict[str, Any], name: str) -> None:
    assert find_exemption("UseAfterFree", Exchange(**{**SENT, **sent})) == name
