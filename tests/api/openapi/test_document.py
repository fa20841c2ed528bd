"""The OpenAPI document says what the app does: the same routes, permissions, problems, and bodies."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.errors import iter_problem_classes
from flask_tenant_provisioning.routes import ROUTES
from flask_tenant_provisioning.web.blueprint import UNMATCHED
from flask_tenant_provisioning.web.routing import Route
from tests.support import callers, hosts
from tests.support.callers import Caller
from tests.support.hosts import PREFIX
from tests.support.openapi import DocumentedHost

NOBODY = "01890000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    new_app = hosts.make_host(f"sqlite:///{tmp_path_factory.mktemp('openapi')}/x.sqlite3")
    yield new_app
    hosts.get_engine(new_app).dispose()


@pytest.fixture(scope="module")
def documented(app: Flask) -> DocumentedHost:
    return DocumentedHost(app)


@pytest.fixture
def partner(app: Flask) -> Caller:
    return Caller(app)


@pytest.fixture
def host(tmp_path: Any) -> Callable[..., DocumentedHost]:
    """Builds a documented host app with other settings."""
    return lambda **config: DocumentedHost(hosts.make_host(f"sqlite:///{tmp_path}/x.sqlite3", **config))


def test_the_document_is_valid_openapi_3_1(documented: DocumentedHost) -> None:
    assert documented.document["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(documented.document).iter_errors()) == []


def test_every_rule_of_the_blueprint_is_documented_and_nothing_else(app: Flask, documented: DocumentedHost) -> None:
    rules = {
        (method, re.sub(r"<(?:[^<>:]+:)?(\w+)>", r"{\1}", rule.rule.removeprefix(PREFIX)))
        for rule in hosts.get_mount(app).app.url_map.iter_rules()
        if rule.endpoint.startswith("provisioning.") and rule.endpoint != f"provisioning.{UNMATCHED}"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {
        (method.upper(), path) for path, operations in documented.document["paths"].items() for method in operations
    }
    assert described == rules


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.endpoint)
def test_every_operation_documents_the_permissions_of_its_route(documented: DocumentedHost, route: Route) -> None:
    operation = documented.operation(route.method, route.path_template)
    needed = [] if route.public else list(route.permissions)  # type: ignore[arg-type]
    assert operation["x-permissions"] == needed
    assert operation["security"] == ([{"bearerAuth": needed}, {"oauth2": needed}] if needed else [])
    assert operation["summary"]
    assert all(f"`{permission}`" in operation["description"] for permission in needed)


def test_every_operation_is_refused_to_a_stranger_as_documented(app: Flask, documented: DocumentedHost) -> None:
    for route in ROUTES:
        if not route.public:
            path = route.path_template
            place = PREFIX + path.format_map(defaultdict(lambda: NOBODY))
            response = app.test_client().open(place, method=route.method)
            assert response.status_code == 401
            documented.require(response, route.method, path)


def test_every_problem_code_of_the_catalogue_is_documented(documented: DocumentedHost) -> None:
    codes = {kind.code for kind in iter_problem_classes()}
    assert documented.component("schemas", "AnyProblem")["discriminator"]["mapping"].keys() == codes


def test_every_problem_of_a_route_is_among_its_answers(documented: DocumentedHost) -> None:
    for route in ROUTES:
        for kind in route.problems:
            response = documented.find_response(route.method, route.path_template, kind.status)
            assert kind.code in response["content"]["application/problem+json"]["examples"]


@pytest.mark.parametrize("code", sorted(kind.code for kind in iter_problem_classes()))
def test_the_example_of_every_problem_fits_its_own_schema(documented: DocumentedHost, code: str) -> None:
    example = documented.app.test_client().get(f"{PREFIX}/problems/{code}").get_json()["example"]
    schema = f"{''.join(word.capitalize() for word in code.split('-'))}Problem"
    assert documented.errors(documented.component("schemas", schema), example) == []
    assert (example["code"], example["type"]) == (code, f"{PREFIX}/problems/{code}")


def test_every_example_matches_its_schema(documented: DocumentedHost) -> None:
    schemas = documented.document["components"]["schemas"]
    examples = {name: schema["examples"][0] for name, schema in schemas.items() if "examples" in schema}
    assert {"Tenant", "TenantInput", "TenantPatch", "TenantPage"} <= examples.keys()
    for name, example in examples.items():
        assert documented.errors(schemas[name], example) == []


def test_the_example_of_an_upload_is_a_job_that_waits(documented: DocumentedHost) -> None:
    content = documented.document["paths"]["/bulk-jobs"]["post"]["responses"]["202"]["content"]["application/json"]
    assert documented.errors(content["schema"], content["example"]) == []
    names = ("state", "total", "processed", "started_at", "finished_at")
    assert [content["example"][name] for name in names] == ["queued", 1000, 0, None, None]


def test_no_property_is_left_without_a_type(documented: DocumentedHost) -> None:
    any_value = {"Change": {"previous", "new"}}
    for name, schema in documented.document["components"]["schemas"].items():
        for field in schema.get("properties", {}).keys() - any_value.get(name, set()):
            described = schema["properties"][field]
            assert described.keys() & {"type", "enum", "$ref", "anyOf"}, f"{name}.{field}"


def test_every_field_of_an_answer_is_required_and_the_server_fields_are_read_only(documented: DocumentedHost) -> None:
    tenant, sent = documented.component("schemas", "Tenant"), documented.component("schemas", "TenantInput")
    assert set(tenant["required"]) == set(tenant["properties"])
    read_only = {name for name, described in tenant["properties"].items() if described.get("readOnly")}
    assert read_only == set(tenant["properties"]) - set(sent["properties"])


def test_the_documented_request_is_accepted(documented: DocumentedHost, partner: Caller) -> None:
    example = documented.component("schemas", "TenantInput")["examples"][0]
    assert example == callers.EXAMPLE
    response = partner("POST", "/tenants", json=example)
    assert response.status_code == 201
    documented.require(response, "POST", "/tenants")


def test_answers_to_writes_are_as_documented(documented: DocumentedHost, partner: Caller) -> None:
    tenant = partner.create(email="one@example.com", metadata={"region": "eu"})
    tenant_url = f"/tenants/{tenant['tenant']}"
    merge = {"content_type": "application/merge-patch+json"}
    patch = json.dumps(documented.component("schemas", "TenantPatch")["examples"][0])
    writes: list[tuple[str, str, dict[str, Any], int]] = [
        ("PATCH", tenant_url, {"data": patch, **merge}, 200),
        ("PATCH", tenant_url, {"json": {}, "headers": {"If-Match": '"99"'}}, 412),
        ("PUT", tenant_url, {"json": {"client_name": "B", "email": "two@example.com"}}, 200),
        ("PUT", tenant_url, {"data": "{}", "content_type": "text/plain"}, 415),
        ("PUT", tenant_url, {"data": b" " * 1_100_000, "content_type": "application/json"}, 413),
        ("DELETE", tenant_url, {}, 200),
        ("PATCH", tenant_url, {"json": {"plan": "gold"}}, 409),
        ("DELETE", f"/tenants/{NOBODY}", {}, 404),
        ("POST", "/tenants", {"json": {"client_name": " ", "surprise": 1}}, 400),
        ("POST", "/tenants", {"data": "{", "content_type": "application/json"}, 400),
        ("POST", "/tenants?surprise=1", {"json": {}}, 400),
        ("POST", "/tenants?partner=other", {"json": {}}, 403),
    ]
    for method, path, options, status in writes:
        response = partner(method, path, **options)
        assert response.status_code == status, response.text
        documented.require(response, method, _template(path))


def test_answers_to_reads_are_as_documented(documented: DocumentedHost, partner: Caller) -> None:
    tenant = partner.create(phone_number="+44 20 7946 0000", external_id="x-1", plan="gold")
    partner.create()
    tenant_url = f"/tenants/{tenant['tenant']}"
    for path, headers, status in [
        ("/tenants", {}, 200),
        ("/tenants?limit=1", {}, 200),
        ("/tenants?limit=0&sort=random", {}, 400),
        ("/tenants?cursor=nonsense", {}, 400),
        ("/tenants", {"Accept": "text/csv"}, 406),
        (tenant_url, {}, 200),
        (tenant_url, {"If-None-Match": '"1"'}, 304),
        (f"/tenants/{NOBODY}", {}, 404),
    ]:
        response = partner("GET", path, headers=headers)
        assert response.status_code == status, response.text
        documented.require(response, "GET", _template(path))


def test_answers_about_webhooks_are_as_documented(documented: DocumentedHost, partner: Caller) -> None:
    example = documented.component("schemas", "WebhookInput")["examples"][0]
    created = partner("POST", "/webhooks", json={**example, "url": "https://93.184.215.14/hooks"})
    documented.require(created, "POST", "/webhooks")
    webhook_path, of_one = f"/webhooks/{created.get_json()['webhook']}", "/webhooks/{webhook_id}"
    sent = partner("POST", f"{webhook_path}/test")
    documented.require(sent, "POST", f"{of_one}/test")
    delivery = f"/deliveries/{sent.get_json()['delivery']}"
    since = {"since": "2100-01-01T00:00:00Z"}
    for method, path, template, options in (
        ("GET", "/webhooks?limit=1", "/webhooks", {}),
        ("GET", webhook_path, of_one, {}),
        ("GET", webhook_path, of_one, {"headers": {"If-None-Match": '"1"'}}),
        ("PATCH", webhook_path, of_one, {"json": {"description": None}}),
        ("POST", f"{webhook_path}/rotate-secret", f"{of_one}/rotate-secret", {}),
        ("POST", f"{webhook_path}/recover", f"{of_one}/recover", {"json": since}),
        ("POST", f"{delivery}/redeliver", "/deliveries/{delivery_id}/redeliver", {}),
        ("GET", delivery, "/deliveries/{delivery_id}", {}),
        ("GET", f"{webhook_path}/deliveries", f"{of_one}/deliveries", {}),
        ("PATCH", webhook_path, of_one, {"json": {"enabled": False}}),
        ("POST", f"{webhook_path}/test", f"{of_one}/test", {}),
        ("DELETE", webhook_path, of_one, {}),
        ("GET", webhook_path, of_one, {}),
    ):
        documented.require(partner(method, path, **options), method, template)


def test_a_duplicate_answers_as_documented(documented: DocumentedHost, partner: Caller) -> None:
    tenant = partner.create()
    response = partner("POST", "/tenants", json={"client_name": "Again", "email": tenant["email"]})
    assert response.status_code == 409
    documented.require(response, "POST", "/tenants")
    assert response.get_json().keys() == documented.component("examples", "tenant-exists")["value"].keys()


def test_a_viewer_is_refused_as_documented(documented: DocumentedHost, partner: Caller) -> None:
    response = partner.with_roles("partner-viewer")("POST", "/tenants", json=callers.EXAMPLE)
    assert response.status_code == 403
    documented.require(response, "POST", "/tenants")


@pytest.mark.parametrize(
    "path", ["/openapi.json", "/problems", "/problems/not-found", "/problems/no-such", "/docs?x=1"]
)
def test_answers_about_the_api_are_as_documented(app: Flask, documented: DocumentedHost, path: str) -> None:
    documented.require(app.test_client().get(PREFIX + path), "GET", _template(path))


#: A value for one field, and whether it is accepted.
SENT: list[tuple[str, Any, bool]] = [
    ("client_name", "A", True),
    ("client_name", "", False),
    ("client_name", " \t\u2003\x1f", False),
    ("client_name", None, False),
    ("client_name", 7, False),
    ("client_name", f" \n{'é' * 255}\u3000", True),
    ("client_name", "é" * 256, False),
    ("client_name", f"{'a' * 254}  b", False),
    ("client_name", "a\0b", False),
    ("client_name", "😀" * 255, True),
    ("email", "someone@example.com", True),
    ("email", f"{'a' * 250}@example.com", False),
    ("email", "someone@host.TEST", False),
    ("email", "nobody", False),
    ("email", "", False),
    ("email", None, False),
    ("phone_number", "+1 (234) 567-890", True),
    ("phone_number", None, True),
    ("phone_number", "12", False),
    ("phone_number", "+++", False),
    ("phone_number", "12345\n", False),
    ("phone_number", "1" * 33, False),
    ("industry", "", True),
    ("industry", "x" * 101, False),
    ("plan", "gold", True),
    ("plan", "x" * 101, False),
    ("external_id", None, True),
    ("external_id", "", False),
    ("external_id", "x" * 128, True),
    ("external_id", "x" * 129, False),
    ("metadata", {}, True),
    ("metadata", None, True),
    ("metadata", {"a": "b"}, True),
    ("metadata", {"a": "x" * 501}, False),
    ("metadata", {"x" * 41: "b"}, False),
    ("metadata", {"": "b"}, False),
    ("metadata", {"a": 1}, False),
    ("metadata", {str(n): "" for n in range(50)}, True),
    ("metadata", {str(n): "" for n in range(51)}, False),
    ("metadata", [], False),
    ("tenant", NOBODY, False),
    ("version", 1, False),
    ("surprise", 1, False),
]


@pytest.mark.parametrize(("field", "value", "good"), SENT)
def test_create_schema_agrees_with_the_app(
    documented: DocumentedHost, partner: Caller, field: str, value: Any, good: bool
) -> None:
    body = {"client_name": "A", "email": "someone@example.com", field: value}
    assert (documented.errors(documented.component("schemas", "TenantInput"), body) == []) is good
    assert partner("POST", "/tenants", json=body).status_code == (201 if good else 400)


@pytest.mark.parametrize(
    ("patch", "good"),
    [
        ({}, True),
        ({"metadata": {"gone": None}}, True),
        ({"plan": None, "industry": None, "external_id": None, "phone_number": None}, True),
        ({"client_name": None}, False),
        ({"email": None}, False),
        ({"metadata": {"a": 1}}, False),
        ({"status": "active"}, False),
    ],
)
def test_patch_schema_agrees_with_the_app(
    documented: DocumentedHost, partner: Caller, patch: dict[str, Any], good: bool
) -> None:
    tenant = partner.create()
    assert (documented.errors(documented.component("schemas", "TenantPatch"), patch) == []) is good
    assert partner("PATCH", f"/tenants/{tenant['tenant']}", json=patch).status_code == (200 if good else 400)


def test_plans_roles_and_telephone_numbers_are_those_of_the_host(host: Callable[..., DocumentedHost]) -> None:
    documented = host(
        PROVISIONING_PLANS=["gold", "basic"],
        PROVISIONING_ROLES={"clerk": ["tenant:create"]},
        PROVISIONING_PHONE_E164=True,
    )
    sent = documented.component("schemas", "TenantInput")
    assert sent["properties"]["plan"]["enum"] == ["gold", "basic", None]
    assert documented.operation("POST", "/tenants")["x-roles"] == ["clerk"]
    assert documented.operation("GET", "/tenants")["x-roles"] == []
    clerk = Caller(documented.app, roles=["clerk"])
    assert clerk("POST", "/tenants", json=sent["examples"][0]).status_code == 201
    assert list(OpenAPIV31SpecValidator(documented.document).iter_errors()) == []


def test_without_rate_limits_no_operation_documents_429(documented: DocumentedHost) -> None:
    assert "x-rate-limit" not in json.dumps(documented.document)
    assert not {"RateLimit", "RateLimit-Policy"} & documented.document["components"]["headers"].keys()
    for route in ROUTES:
        assert "RateLimited" not in json.dumps(documented.operation(route.method, route.path_template)["responses"])


def test_operations_that_are_counted_say_so(host: Callable[..., DocumentedHost]) -> None:
    documented = host(PROVISIONING_RATE_LIMITS={"write": "2/hour", "bulk": "1/hour"})
    assert list(OpenAPIV31SpecValidator(documented.document).iter_errors()) == []
    for route in ROUTES:
        operation = documented.operation(route.method, route.path_template)
        counted = route.rate_class in ("write", "bulk")
        assert operation.get("x-rate-limit") == (route.rate_class if counted else None), route.endpoint
        assert ("RateLimited" in json.dumps(operation["responses"])) is counted, route.endpoint
        for status in route.responses:
            headers = documented.find_response(route.method, route.path_template, status)["headers"]
            assert {"RateLimit", "RateLimit-Policy"}.issubset(headers) is counted, (route.endpoint, status)
    partner = Caller(documented.app)
    for status in (201, 400, 429):
        response = partner(
            "POST", "/tenants", json={"client_name": "A", "email": "a@b.example"} if status == 201 else {}
        )
        assert (response.status_code, "RateLimit" in response.headers) == (status, True)
        documented.require(response, "POST", "/tenants")
    assert {"RateLimit", "RateLimit-Policy"} <= documented.find_response("POST", "/tenants", 429)["headers"].keys()
    assert not {"RateLimit"} & documented.find_response("POST", "/tenants", 401)["headers"].keys()


def test_private_documents_are_described_as_private(tmp_path: Any) -> None:
    app = hosts.make_host(f"sqlite:///{tmp_path}/x.sqlite3", PROVISIONING_PUBLIC_DOCS=False)
    assert app.test_client().get(f"{PREFIX}/openapi.json").status_code == 401
    viewer = Caller(app, roles=["partner-viewer"])
    document = viewer("GET", "/openapi.json").get_json()
    for path in ("/openapi.json", "/docs", "/docs/{asset}", "/problems", "/problems/{code}"):
        operation = document["paths"][path]["get"]
        assert operation["security"] == [{"bearerAuth": ["tenant:read"]}, {"oauth2": ["tenant:read"]}]
        assert {"401", "403"} <= operation["responses"].keys()


def test_server_url_includes_the_script_name(app: Flask, documented: DocumentedHost) -> None:
    assert documented.document["servers"] == [{"url": PREFIX}]
    behind = app.test_client().get(f"{PREFIX}/openapi.json", environ_overrides={"SCRIPT_NAME": "/erp"}).get_json()
    assert behind["servers"] == [{"url": f"/erp{PREFIX}"}]
    example = behind["components"]["examples"]["tenant-not-found"]["value"]
    assert example["type"] == f"/erp{PREFIX}/problems/tenant-not-found"


def test_two_mounts_have_documents_of_their_own(tmp_path: Any) -> None:
    app = hosts.make_host(f"sqlite:///{tmp_path}/x.sqlite3")
    TenantProvisioning(name="eu", url_prefix="/eu", plans=["eu-only"]).init_app(app, f"sqlite:///{tmp_path}/y.db")
    client = app.test_client()
    own_document, other = client.get(f"{PREFIX}/openapi.json").get_json(), client.get("/eu/openapi.json").get_json()
    assert [document["servers"][0]["url"] for document in (own_document, other)] == [PREFIX, "/eu"]
    plans = [
        document["components"]["schemas"]["TenantInput"]["properties"]["plan"].get("enum")
        for document in (own_document, other)
    ]
    assert plans == [None, ["eu-only", None]]


def test_the_command_prints_the_same_document(app: Flask, documented: DocumentedHost, tmp_path: Any) -> None:
    from flask_tenant_provisioning.cli.docs import openapi

    runner = app.test_cli_runner()
    printed = runner.invoke(openapi)
    assert (printed.exit_code, json.loads(printed.output)) == (0, documented.document)
    written = runner.invoke(openapi, ["--output", str(tmp_path / "openapi.json")])
    assert (written.exit_code, written.output) == (0, "")
    assert json.loads((tmp_path / "openapi.json").read_text("utf-8")) == documented.document


def test_the_command_needs_no_licence(tmp_path: Any, documented: DocumentedHost) -> None:
    from flask_tenant_provisioning.cli.docs import openapi

    app = hosts.make_host(f"sqlite:///{tmp_path}/x.sqlite3", PROVISIONING_LICENSE=None)
    assert app.test_client().get(f"{PREFIX}/openapi.json").status_code == 404
    printed = app.test_cli_runner().invoke(openapi)
    assert json.loads(printed.output) == documented.document


def _template(path: str) -> str:
    """The template that a request's path was made from."""
    bare = path.partition("?")[0]
    return re.sub(r"^/tenants/.+", "/tenants/{tenant_id}", re.sub(r"^/problems/.+", "/problems/{code}", bare))
