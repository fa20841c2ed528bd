"""Hooks of the host's: in the tenant's own transaction, in their declared order, and able to refuse the whole write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from flask_tenant_provisioning import ConfigurationError, Principal, TenantProvisioning
from flask_tenant_provisioning.errors import Conflict
from flask_tenant_provisioning.hooks import HOOK_OPERATIONS
from tests.support.assertions import assert_problem, check_problem
from tests.support.callers import EXAMPLE, Caller, tenant_path
from tests.support.commands import run_command
from tests.support.database.rows import TABLES, fetch_all_rows, get_storage
from tests.support.events import fetch_tenant_events
from tests.support.hosts import make_config
from tests.support.servers import run_concurrently


class Base(DeclarativeBase):
    pass


class Workspace(Base):
    """A workspace that this host opens for each tenant."""

    __tablename__ = "workspaces"
    __table_args__ = (
        UniqueConstraint("slug", name="one_workspace_a_slug"),
        CheckConstraint("slug <> 'forbidden'", name="no_forbidden_slug"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(36))
    slug: Mapped[str] = mapped_column(String(50))


class Note(Base):
    """A note in a workspace."""

    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))


class BillingError(Exception):
    """An exception of the host's own."""


class LateError(BillingError):
    """A more special one."""


class Host:
    """A host with hooks of its own."""

    def __init__(self, database_url: str) -> None:
        self.provisioning = TenantProvisioning()
        self.app = Flask("host")
        self.app.config.update(make_config())
        self._url = database_url
        self.told: list[tuple[Any, ...]] = []

    def open(self) -> Caller:
        """Mount the API, create the host's tables, and return a partner."""
        self.provisioning.init_app(self.app, self._url)
        Base.metadata.create_all(get_storage(self.app).engine)
        return Caller(self.app)

    def workspaces(self) -> list[tuple[str, str]]:
        """The tenant and slug of each workspace."""
        with get_storage(self.app).engine.connect() as connection:
            rows = connection.execute(select(Workspace.tenant_id, Workspace.slug).order_by(Workspace.slug))
            return [tuple(row) for row in rows]  # type: ignore[misc]


@pytest.fixture
def host(database_url: str) -> Iterator[Host]:
    host = Host(database_url)
    yield host
    get_storage(host.app).engine.dispose()


def make_hook(host: Host) -> Callable[..., None]:
    """A hook that opens a workspace named after the client."""

    @host.provisioning.hook("tenant.create", "tenant.update")
    def open_workspace(session: Session, tenant: dict[str, Any]) -> None:
        session.add(Workspace(tenant_id=tenant["tenant"], slug=tenant["client_name"]))

    return open_workspace


def counts(host: Host) -> tuple[dict[str, int], int]:
    """Return the numbers of rows in our tables and in the host's."""
    return {name: len(rows) for name, rows in fetch_all_rows(host.app).items()}, len(host.workspaces())


def test_rows_of_a_hook_commit_with_the_tenant(host: Host) -> None:
    make_hook(host)
    partner = host.open()

    tenant = partner.create(client_name="acme")

    assert host.workspaces() == [(tenant["tenant"], "acme")]


def test_a_hook_can_be_registered_after_init_app(host: Host) -> None:
    partner = host.open()
    partner.create(client_name="early")
    make_hook(host)

    tenant = partner.create(client_name="late")

    assert host.workspaces() == [(tenant["tenant"], "late")]


def test_hook_gets_both_documents_and_the_actor(host: Host) -> None:
    @host.provisioning.hook(*HOOK_OPERATIONS)
    def watch(operation: str, tenant: Any, before: Any, principal: Principal) -> None:
        host.told.append((operation, before, tenant, principal.subject, principal.partner))

    partner = host.open()
    created = partner.create()
    seen: list[tuple[str, Any, Any]] = [("tenant.create", None, created)]
    for method, path, body, operation in (
        ("PATCH", "", {"industry": "Mining"}, "tenant.update"),
        ("PUT", "", EXAMPLE, "tenant.update"),
        ("POST", "/suspend", {"reason": "unpaid"}, "tenant.suspend"),
        ("POST", "/reactivate", None, "tenant.reactivate"),
        ("DELETE", "", None, "tenant.delete"),
        ("POST", "/restore", None, "tenant.restore"),
    ):
        response = (
            partner(method, tenant_path(created) + path, json=body)
            if body
            else partner(method, tenant_path(created) + path)
        )
        assert response.status_code == 200, response.text
        seen.append((operation, seen[-1][2], response.get_json()))
    admin = partner.with_roles("provisioning-admin")
    assert admin("DELETE", f"{tenant_path(created)}?purge=true").status_code == 204

    last = seen[-1][2]
    assert host.told == [(*each, "someone", partner.partner) for each in [*seen, ("tenant.purge", last, last)]]


def test_unchanged_write_calls_no_hook(host: Host) -> None:
    @host.provisioning.hook(*HOOK_OPERATIONS)
    def refuse(operation: str, before: Any) -> None:
        host.told.append((operation,))

    partner = host.open()
    tenant = partner.create(industry="Mining")
    assert partner("PATCH", tenant_path(tenant), json={"industry": "Mining"}).status_code == 200
    assert partner("POST", f"{tenant_path(tenant)}/reactivate").status_code == 200

    assert host.told == [("tenant.create",)]


def test_upsert_calls_the_create_or_update_hook(host: Host) -> None:
    @host.provisioning.hook("tenant.create", "tenant.update")
    def watch(operation: str) -> None:
        host.told.append((operation,))

    partner = host.open()
    for name in ("One", "Two", "Two"):
        response = partner("PUT", "/tenants/by-external-id/7", json={**EXAMPLE, "client_name": name})
        assert response.status_code in (200, 201)

    assert host.told == [("tenant.create",), ("tenant.update",)]


def test_command_line_calls_the_same_hooks(host: Host) -> None:
    make_hook(host)
    host.open()

    result = run_command(
        host.app, "tenants", "create", "--partner", "acme", "--client-name", "cli", "--email", "a@example.com"
    )

    assert result.status == 0, result.err
    assert [slug for _, slug in host.workspaces()] == ["cli"]


def test_hooks_run_in_the_order_that_they_declare_whatever_the_order_of_imports(host: Host) -> None:
    def make_recorder(name: str) -> Callable[[], None]:
        return lambda: host.told.append((name,))

    add = host.provisioning.hook
    add("tenant.create", name="charlie", after=["zulu"])(make_recorder("charlie"))
    add("tenant.create", name="zulu")(make_recorder("zulu"))
    add("tenant.create", name="bravo", after=["charlie"])(make_recorder("bravo"))
    add("tenant.create", name="alpha")(make_recorder("alpha"))
    host.open().create()

    assert host.told == [("alpha",), ("zulu",), ("charlie",), ("bravo",)]


@pytest.mark.parametrize("keyed", [False, True], ids=["without a key", "with a key"])
@pytest.mark.parametrize(
    ("raised", "status"), [(RuntimeError("boom"), 500), (Conflict("Not now."), 409)], ids=["crash", "problem"]
)
def test_a_hook_that_raises_leaves_nothing(host: Host, raised: Exception, status: int, keyed: bool) -> None:
    make_hook(host)

    @host.provisioning.hook("tenant.create", after=["open_workspace"])
    def refuse(session: Session) -> None:
        session.flush()
        raise raised

    partner = host.open()
    headers = {"Idempotency-Key": "one"} if keyed else {}

    response = partner("POST", "/tenants", json=EXAMPLE, headers=headers)

    assert response.status_code == status, response.text
    assert "boom" not in response.text
    assert counts(host) == (dict.fromkeys(TABLES, 0), 0)


def test_hook_that_raises_rolls_back_the_change(host: Host) -> None:
    @host.provisioning.hook("tenant.update", "tenant.delete")
    def refuse() -> None:
        raise Conflict("Not now.")

    partner = host.open()
    tenant = partner.create()

    assert partner("PATCH", tenant_path(tenant), json={"industry": "Mining"}).status_code == 409
    assert partner("DELETE", tenant_path(tenant)).status_code == 409
    assert partner("GET", tenant_path(tenant)).get_json() == tenant
    assert [kind for kind, _, _ in fetch_tenant_events(partner, tenant)] == ["tenant.created"]


def test_a_refusal_is_not_remembered_for_its_key(host: Host) -> None:
    closed = [True]

    @host.provisioning.hook("tenant.create")
    def refuse() -> None:
        if closed:
            raise Conflict("Not now.")

    partner = host.open()
    keyed = {"Idempotency-Key": "one"}
    assert partner("POST", "/tenants", json=EXAMPLE, headers=keyed).status_code == 409
    closed.clear()

    response = partner("POST", "/tenants", json=EXAMPLE, headers=keyed)

    assert response.status_code == 201
    assert "Idempotency-Replayed" not in response.headers


def test_dry_run_calls_the_hooks_and_leaves_nothing(host: Host) -> None:
    make_hook(host)
    partner = host.open()
    partner.create(client_name="taken")
    host.provisioning.map_error("one_workspace_a_slug", status=409, code="slug-taken")
    before = counts(host)

    passed = partner("POST", "/tenants?validate_only=true", json=EXAMPLE)
    stopped = partner("POST", "/tenants?validate_only=true", json={**EXAMPLE, "client_name": "taken"})

    assert (passed.status_code, stopped.status_code) == (201, 409)
    assert stopped.get_json()["code"] == "slug-taken"
    assert counts(host) == before


def test_mapped_host_exception_returns_its_problem(host: Host) -> None:
    host.provisioning.map_error(BillingError, status=402, code="billing-refused", title="Billing refused")
    host.provisioning.map_error(LateError, status=409, code="too-late", detail="Come back.", field="plan")

    @host.provisioning.hook("tenant.create")
    def bill(tenant: dict[str, Any]) -> None:
        raise (LateError if tenant["plan"] else BillingError)(f"{tenant['client_name']} owes 7 €")

    partner = host.open()

    assert_problem(
        partner("POST", "/tenants", json=EXAMPLE),
        402,
        "billing-refused",
        "Example Corp owes 7 €",
        title="Billing refused",
    )
    errors = [{"pointer": "#/plan", "code": "too-late", "detail": "Come back."}]
    response = partner("POST", "/tenants", json={**EXAMPLE, "plan": "gold"})
    assert_problem(response, 409, "too-late", "Come back.", title="Too late", errors=errors)


@pytest.mark.parametrize(
    ("constraint", "name"), [("one_workspace_a_slug", "taken"), ("no_forbidden_slug", "forbidden")]
)
def test_mapped_host_constraint_returns_its_problem(host: Host, constraint: str, name: str) -> None:
    make_hook(host)
    host.provisioning.map_error(constraint, status=409, code="slug-refused", title="No such slug", field="client_name")
    partner = host.open()
    partner.create(client_name="taken")

    response = partner("POST", "/tenants", json={**EXAMPLE, "client_name": name})

    errors = [{"pointer": "#/client_name", "code": "slug-refused", "detail": "No such slug."}]
    assert_problem(response, 409, "slug-refused", "No such slug.", title="No such slug", errors=errors)
    assert len(host.workspaces()) == 1


def test_unmapped_constraint_is_a_host_error(host: Host) -> None:
    make_hook(host)
    partner = host.open()
    partner.create(client_name="taken")

    response = partner("POST", "/tenants", json={**EXAMPLE, "client_name": "taken"})

    check_problem(response, status=500, code="internal-error")
    assert counts(host)[0]["tenants"] == 1


def test_a_hook_that_rolls_back_everything_fails_the_write(host: Host) -> None:
    @host.provisioning.hook("tenant.create")
    def undo(session: Session) -> None:
        session.add(Workspace(tenant_id="7", slug="seven"))
        session.flush()
        session.rollback()

    response = host.open()("POST", "/tenants", json=EXAMPLE)

    assert response.status_code == 500
    assert counts(host)[0] == dict.fromkeys(TABLES, 0)


def test_a_commit_inside_a_hook_waits_for_the_tenants(host: Host) -> None:
    @host.provisioning.hook("tenant.create")
    def commit(session: Session, tenant: dict[str, Any]) -> None:
        session.add(Workspace(tenant_id=tenant["tenant"], slug="one"))
        session.commit()
        raise Conflict("Not now.")

    assert host.open()("POST", "/tenants", json=EXAMPLE).status_code == 409
    assert counts(host) == (dict.fromkeys(TABLES, 0), 0)


def test_a_hook_runs_in_the_hosts_application_context(host: Host) -> None:
    from flask import current_app

    @host.provisioning.hook("tenant.create")
    def look() -> None:
        host.told.append((current_app.name, current_app.config["HOSTS_OWN"]))

    host.app.config["HOSTS_OWN"] = "setting"
    host.open().create()

    assert host.told == [("host", "setting")]


def test_hooks_of_many_writers_leave_one_workspace_a_tenant(host: Host) -> None:
    make_hook(host)
    partner = host.open()
    bodies = [{"client_name": f"n{number % 10}", "email": f"n{number}@example.com"} for number in range(30)]
    host.provisioning.map_error("one_workspace_a_slug", status=409, code="slug-taken")

    responses = run_concurrently(
        30, lambda number: Caller(host.app, partner.partner)("POST", "/tenants", json=bodies[number])
    )

    assert sorted(response.status_code for response in responses) == [201] * 10 + [409] * 20
    tenants = {row["id"]: row["client_name"] for row in fetch_all_rows(host.app)["tenants"]}
    assert dict(host.workspaces()) == tenants


@pytest.mark.parametrize(
    ("register", "message"),
    [
        (lambda p: p.hook("tenant.creates")(lambda: None), "A hook names operations out of"),
        (lambda p: p.hook()(lambda: None), "at least one"),
        (
            lambda p: p.hook("tenant.create")(lambda tenants: None),
            "has the parameter 'tenants'; available are before, operation",
        ),
        (lambda p: [p.hook("tenant.create", name="a")(lambda: None) for _ in "ab"], "There is a hook named 'a'"),
        (lambda p: p.map_error(BillingError, status=500, code="x"), "a status from 400 to 499"),
        (lambda p: p.map_error(BillingError, status=409, code="tenant-exists"), "a code of its own"),
        (lambda p: p.map_error(BillingError, status=409, code="Not A Code"), "a code of its own"),
        (lambda p: p.map_error(7, status=409, code="x"), "a class of exception or a constraint's name"),
        (
            lambda p: [
                p.map_error(kind, status=status, code="x") for kind, status in ((KeyError, 400), (OSError, 409))
            ],
            "'x' has the status 400 already",
        ),
    ],
)
def test_invalid_registration_is_refused_with_a_message(register: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        register(TenantProvisioning())


@pytest.mark.parametrize(
    ("after", "message"),
    [({"a": ["b"], "b": ["a"]}, "come after each other"), ({"a": ["c"]}, "after 'c', and there is none")],
)
def test_invalid_hook_order_raises_at_start(after: dict[str, list[str]], message: str, tmp_path: Any) -> None:
    provisioning = TenantProvisioning()
    for name, others in after.items():
        provisioning.hook("tenant.create", name=name, after=others)(lambda: None)
    app = Flask("host")
    app.config.update(make_config())

    with pytest.raises(ConfigurationError, match=message):
        provisioning.init_app(app, f"sqlite:///{tmp_path}/x.sqlite3")
