"""The problems that a host maps its errors to are explained and documented on its own mount, and on no other."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.errors import iter_problem_classes
from tests.support.assertions import assert_problem
from tests.support.callers import EXAMPLE, Caller
from tests.support.hosts import PREFIX, make_config

CODES = {kind.code for kind in iter_problem_classes()}
BROWSER = {"Accept": "text/html"}


class BillingError(Exception):
    """An exception of the host's own."""


@pytest.fixture
def app(tmp_path: Any) -> Flask:
    """A host with a mount that maps errors, and one beside it that does not."""
    host = Flask("host")
    host.config.update(make_config())
    billed = TenantProvisioning()
    billed.init_app(host, f"sqlite:///{tmp_path}/a.sqlite3")
    TenantProvisioning(name="free", url_prefix="/free").init_app(host, f"sqlite:///{tmp_path}/b.sqlite3")
    billed.map_error(
        BillingError,
        status=402,
        code="billing-refused",
        title="Billing refused",
        remedy="Pay `<amount>`.",
        meaning="The partner's account is in arrears.",
    )
    billed.map_error(KeyError, status=409, code="no-room")
    billed.map_error(ValueError, status=415, code="wrong-ink")

    @billed.hook("tenant.create", "tenant.suspend")
    def bill() -> None:
        raise BillingError("7 € are due.")

    return host


def get_problem_page(app: Flask, path: str = "/problems/billing-refused", prefix: str = PREFIX) -> Any:
    return app.test_client().get(prefix + path)


def test_a_hosts_code_is_explained_in_json(app: Flask) -> None:
    assert get_problem_page(app).get_json() == {
        "type": f"{PREFIX}/problems/billing-refused",
        "code": "billing-refused",
        "title": "Billing refused",
        "status": 402,
        "meaning": "The partner's account is in arrears.",
        "remedy": "Pay `<amount>`.",
        "mended_by": ["partner", "operator"],
        "example": {
            "type": f"{PREFIX}/problems/billing-refused",
            "title": "Billing refused",
            "status": 402,
            "code": "billing-refused",
            "detail": "Billing refused.",
            "instance": f"{PREFIX}/tenants",
            "request_id": "b1d0c3f6a5e84d7c9f2e6a1b0c3d4e5f",
        },
    }


def test_host_texts_are_escaped_on_problem_pages(app: Flask) -> None:
    page = app.test_client().get(f"{PREFIX}/problems/billing-refused", headers=BROWSER)
    assert page.status_code == 200
    assert "Pay <code>&lt;amount&gt;</code>." in page.text


def test_the_answer_refers_to_its_explanation(app: Flask) -> None:
    response = Caller(app)("POST", "/tenants", json=EXAMPLE)
    assert_problem(response, 402, "billing-refused", "7 € are due.", title="Billing refused")
    assert app.test_client().get(response.get_json()["type"]).status_code == 200


def test_the_index_lists_the_mounts_own_codes_and_no_other_mounts(app: Flask) -> None:
    listed, others = (
        {item["code"] for item in get_problem_page(app, "/problems", prefix).get_json()["items"]}
        for prefix in (PREFIX, "/free")
    )
    assert listed == {*CODES, "billing-refused", "no-room", "wrong-ink"}
    assert others == CODES
    assert get_problem_page(app, prefix="/free").status_code == 404


def test_openapi_lists_host_problems_at_their_operations(app: Flask) -> None:
    document = get_problem_page(app, "/openapi.json").get_json()
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    assert {"billing-refused", "no-room", "wrong-ink"} <= document["components"]["examples"].keys()
    places = document["paths"]["/problems/{code}"]["get"]["parameters"]
    assert {"billing-refused", "no-room"} <= set(
        next(parameter for parameter in places if parameter["in"] == "path")["schema"]["enum"]
    )
    assert {
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if "402" in operation["responses"]
    } == {"create_tenant", "upsert_tenant", "suspend_tenant"}


def test_openapi_puts_them_beside_our_own_of_the_same_status(app: Flask) -> None:
    document = get_problem_page(app, "/openapi.json").get_json()
    responses = document["paths"]["/tenants"]["post"]["responses"]
    name = responses["409"]["$ref"].rpartition("/")[2]
    assert name == "TenantExistsOrIdempotencyInProgressOrNoRoom"
    response = document["components"]["responses"][name]
    assert "`no-room`: No room." in response["description"]
    content = response["content"]["application/problem+json"]
    assert set(content["examples"]) == {"tenant-exists", "idempotency-in-progress", "no-room"}
    schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    assert schema["discriminator"]["mapping"]["no-room"] == "#/components/schemas/NoRoomProblem"


def test_a_header_that_the_hosts_refusal_does_not_bear_is_not_promised(app: Flask) -> None:
    document = get_problem_page(app, "/openapi.json").get_json()
    name = document["paths"]["/tenants"]["post"]["responses"]["415"]["$ref"].rpartition("/")[2]
    assert "Accept" not in document["components"]["responses"][name]["headers"]


def test_host_problems_are_not_in_another_mounts_document(app: Flask) -> None:
    assert "billing" not in get_problem_page(app, "/openapi.json", "/free").text
    assert "402" not in get_problem_page(app, "/openapi.json", "/free").text
