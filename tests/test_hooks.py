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
from tests.commands import run
from tests.refusals import refused
from tests.servers import at_once
from tests.witness import TABLES, everything, happened, one, storage_of
from tests.world import EXAMPLE, Caller, configuration, problem


class Base(DeclarativeBase):
    pass


class Workspace(Base):
    """What this host opens for each tenant."""

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


class House:
    """A host with hooks of its own."""

    def __init__(self, database_url: str) -> None:
        self.provisioning = TenantProvisioning()
        self.app = Flask("host")
        self.app.config.update(configuration())
        self._url = database_url
        self.told: list[tuple[Any, ...]] = []

    def open(self) -> Caller:
        """Mount the API, create the host's tables, and return a partner."""
        self.provisioning.init_app(self.app, self._url)
        Base.metadata.create_all(storage_of(self.app).engine)
        return Caller(self.app)

    def workspaces(self) -> list[tuple[str, str]]:
        """The tenant and slug of each workspace."""
        with storage_of(self.app).engine.connect() as connection:
            found = connection.execute(select(Workspace.tenant_id, Workspace.slug).order_by(Workspace.slug))
            return [tuple(row) for row in found]  # type: ignore[misc]


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    made = House(database_url)
    yield made
    storage_of(made.app).engine.dispose()


def opening(house: House) -> Callable[..., None]:
    """A hook that opens a workspace named after the client."""

    @house.provisioning.hook("tenant.create", "tenant.update")
    def open_workspace(session: Session, tenant: dict[str, Any]) -> None:
        session.add(Workspace(tenant_id=tenant["tenant"], slug=tenant["client_name"]))

    return open_workspace


def counts(house: House) -> tuple[dict[str, int], int]:
    """How many rows there are in our tables and in the host's."""
    return {name: len(found) for name, found in everything(house.app).items()}, len(house.workspaces())


def test_what_a_hook_adds_commits_with_the_tenant(house: House) -> None:
    opening(house)
    partner = house.open()

    tenant = partner.create(client_name="acme")

    assert house.workspaces() == [(tenant["tenant"], "acme")]


def test_a_hook_can_be_registered_after_init_app(house: House) -> None:
    partner = house.open()
    partner.create(client_name="early")
    opening(house)

    tenant = partner.create(client_name="late")

    assert house.workspaces() == [(tenant["tenant"], "late")]


def test_a_hook_sees_the_tenant_before_and_after_and_who_did_it(house: House) -> None:
    @house.provisioning.hook(*HOOK_OPERATIONS)
    def watch(operation: str, tenant: Any, before: Any, principal: Principal) -> None:
        house.told.append((operation, before, tenant, principal.subject, principal.partner))

    partner = house.open()
    made = partner.create()
    seen: list[tuple[str, Any, Any]] = [("tenant.create", None, made)]
    for method, path, body, operation in (
        ("PATCH", "", {"industry": "Mining"}, "tenant.update"),
        ("PUT", "", EXAMPLE, "tenant.update"),
        ("POST", "/suspend", {"reason": "unpaid"}, "tenant.suspend"),
        ("POST", "/reactivate", None, "tenant.reactivate"),
        ("DELETE", "", None, "tenant.delete"),
        ("POST", "/restore", None, "tenant.restore"),
    ):
        answer = partner(method, one(made) + path, json=body) if body else partner(method, one(made) + path)
        assert answer.status_code == 200, answer.text
        seen.append((operation, seen[-1][2], answer.get_json()))
    admin = partner.as_("provisioning-admin")
    assert admin("DELETE", f"{one(made)}?purge=true").status_code == 204

    last = seen[-1][2]
    assert house.told == [(*each, "someone", partner.partner) for each in [*seen, ("tenant.purge", last, last)]]


def test_what_changes_nothing_asks_nobody(house: House) -> None:
    @house.provisioning.hook(*HOOK_OPERATIONS)
    def refuse(operation: str, before: Any) -> None:
        house.told.append((operation,))

    partner = house.open()
    tenant = partner.create(industry="Mining")
    assert partner("PATCH", one(tenant), json={"industry": "Mining"}).status_code == 200
    assert partner("POST", f"{one(tenant)}/reactivate").status_code == 200

    assert house.told == [("tenant.create",)]


def test_upserts_ask_the_hooks_of_what_they_do(house: House) -> None:
    @house.provisioning.hook("tenant.create", "tenant.update")
    def watch(operation: str) -> None:
        house.told.append((operation,))

    partner = house.open()
    for name in ("One", "Two", "Two"):
        answer = partner("PUT", "/tenants/by-external-id/7", json={**EXAMPLE, "client_name": name})
        assert answer.status_code in (200, 201)

    assert house.told == [("tenant.create",), ("tenant.update",)]


def test_the_command_line_asks_the_same_hooks(house: House) -> None:
    opening(house)
    house.open()

    done = run(house.app, "tenants", "create", "--partner", "acme", "--client-name", "cli", "--email", "a@example.com")

    assert done.status == 0, done.err
    assert [slug for _, slug in house.workspaces()] == ["cli"]


def test_hooks_run_in_the_order_that_they_declare_whatever_the_order_of_imports(house: House) -> None:
    def told(name: str) -> Callable[[], None]:
        return lambda: house.told.append((name,))

    add = house.provisioning.hook
    add("tenant.create", name="charlie", after=["zulu"])(told("charlie"))
    add("tenant.create", name="zulu")(told("zulu"))
    add("tenant.create", name="bravo", after=["charlie"])(told("bravo"))
    add("tenant.create", name="alpha")(told("alpha"))
    house.open().create()

    assert house.told == [("alpha",), ("zulu",), ("charlie",), ("bravo",)]


@pytest.mark.parametrize("keyed", [False, True], ids=["without a key", "with a key"])
@pytest.mark.parametrize(
    ("raised", "status"), [(RuntimeError("boom"), 500), (Conflict("Not now."), 409)], ids=["crash", "problem"]
)
def test_a_hook_that_raises_leaves_nothing(house: House, raised: Exception, status: int, keyed: bool) -> None:
    opening(house)

    @house.provisioning.hook("tenant.create", after=["open_workspace"])
    def refuse(session: Session) -> None:
        session.flush()
        raise raised

    partner = house.open()
    headers = {"Idempotency-Key": "one"} if keyed else {}

    answer = partner("POST", "/tenants", json=EXAMPLE, headers=headers)

    assert answer.status_code == status, answer.text
    assert "boom" not in answer.text
    assert counts(house) == (dict.fromkeys(TABLES, 0), 0)


def test_a_hook_that_raises_leaves_the_tenant_as_it_was(house: House) -> None:
    @house.provisioning.hook("tenant.update", "tenant.delete")
    def refuse() -> None:
        raise Conflict("Not now.")

    partner = house.open()
    tenant = partner.create()

    assert partner("PATCH", one(tenant), json={"industry": "Mining"}).status_code == 409
    assert partner("DELETE", one(tenant)).status_code == 409
    assert partner("GET", one(tenant)).get_json() == tenant
    assert [kind for kind, _, _ in happened(partner, tenant)] == ["tenant.created"]


def test_a_refusal_is_not_remembered_for_its_key(house: House) -> None:
    closed = [True]

    @house.provisioning.hook("tenant.create")
    def refuse() -> None:
        if closed:
            raise Conflict("Not now.")

    partner = house.open()
    keyed = {"Idempotency-Key": "one"}
    assert partner("POST", "/tenants", json=EXAMPLE, headers=keyed).status_code == 409
    closed.clear()

    answer = partner("POST", "/tenants", json=EXAMPLE, headers=keyed)

    assert answer.status_code == 201
    assert "Idempotency-Replayed" not in answer.headers


def test_a_rehearsal_asks_the_hooks_and_leaves_nothing(house: House) -> None:
    opening(house)
    partner = house.open()
    partner.create(client_name="taken")
    house.provisioning.map_error("one_workspace_a_slug", status=409, code="slug-taken")
    before = counts(house)

    passed = partner("POST", "/tenants?validate_only=true", json=EXAMPLE)
    stopped = partner("POST", "/tenants?validate_only=true", json={**EXAMPLE, "client_name": "taken"})

    assert (passed.status_code, stopped.status_code) == (201, 409)
    assert stopped.get_json()["code"] == "slug-taken"
    assert counts(house) == before


def test_an_exception_of_the_hosts_is_answered_as_it_says(house: House) -> None:
    house.provisioning.map_error(BillingError, status=402, code="billing-refused", title="Billing refused")
    house.provisioning.map_error(LateError, status=409, code="too-late", detail="Come back.", field="plan")

    @house.provisioning.hook("tenant.create")
    def bill(tenant: dict[str, Any]) -> None:
        raise (LateError if tenant["plan"] else BillingError)(f"{tenant['client_name']} owes 7 €")

    partner = house.open()

    refused(
        partner("POST", "/tenants", json=EXAMPLE),
        402,
        "billing-refused",
        "Example Corp owes 7 €",
        title="Billing refused",
    )
    errors = [{"pointer": "#/plan", "code": "too-late", "detail": "Come back."}]
    answer = partner("POST", "/tenants", json={**EXAMPLE, "plan": "gold"})
    refused(answer, 409, "too-late", "Come back.", title="Too late", errors=errors)


@pytest.mark.parametrize(
    ("constraint", "name"), [("one_workspace_a_slug", "taken"), ("no_forbidden_slug", "forbidden")]
)
def test_a_constraint_of_the_hosts_is_answered_as_it_says(house: House, constraint: str, name: str) -> None:
    opening(house)
    house.provisioning.map_error(constraint, status=409, code="slug-refused", title="No such slug", field="client_name")
    partner = house.open()
    partner.create(client_name="taken")

    answer = partner("POST", "/tenants", json={**EXAMPLE, "client_name": name})

    errors = [{"pointer": "#/client_name", "code": "slug-refused", "detail": "No such slug."}]
    refused(answer, 409, "slug-refused", "No such slug.", title="No such slug", errors=errors)
    assert len(house.workspaces()) == 1


def test_a_constraint_that_nobody_mapped_is_a_bug_of_the_hosts(house: House) -> None:
    opening(house)
    partner = house.open()
    partner.create(client_name="taken")

    answer = partner("POST", "/tenants", json={**EXAMPLE, "client_name": "taken"})

    problem(answer, status=500, code="internal-error")
    assert counts(house)[0]["tenants"] == 1


def test_a_hook_that_rolls_back_everything_fails_the_write(house: House) -> None:
    @house.provisioning.hook("tenant.create")
    def undo(session: Session) -> None:
        session.add(Workspace(tenant_id="7", slug="seven"))
        session.flush()
        session.rollback()

    answer = house.open()("POST", "/tenants", json=EXAMPLE)

    assert answer.status_code == 500
    assert counts(house)[0] == dict.fromkeys(TABLES, 0)


def test_a_commit_inside_a_hook_waits_for_the_tenants(house: House) -> None:
    @house.provisioning.hook("tenant.create")
    def commit(session: Session, tenant: dict[str, Any]) -> None:
        session.add(Workspace(tenant_id=tenant["tenant"], slug="one"))
        session.commit()
        raise Conflict("Not now.")

    assert house.open()("POST", "/tenants", json=EXAMPLE).status_code == 409
    assert counts(house) == (dict.fromkeys(TABLES, 0), 0)


def test_a_hook_runs_in_the_hosts_application_context(house: House) -> None:
    from flask import current_app

    @house.provisioning.hook("tenant.create")
    def look() -> None:
        house.told.append((current_app.name, current_app.config["HOSTS_OWN"]))

    house.app.config["HOSTS_OWN"] = "setting"
    house.open().create()

    assert house.told == [("host", "setting")]


def test_hooks_of_many_writers_leave_one_workspace_a_tenant(house: House) -> None:
    opening(house)
    partner = house.open()
    bodies = [{"client_name": f"n{number % 10}", "email": f"n{number}@example.com"} for number in range(30)]
    house.provisioning.map_error("one_workspace_a_slug", status=409, code="slug-taken")

    answers = at_once(30, lambda number: Caller(house.app, partner.partner)("POST", "/tenants", json=bodies[number]))

    assert sorted(answer.status_code for answer in answers) == [201] * 10 + [409] * 20
    tenants = {row["id"]: row["client_name"] for row in everything(house.app)["tenants"]}
    assert dict(house.workspaces()) == tenants


@pytest.mark.parametrize(
    ("register", "said"),
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
def test_what_cannot_be_registered_is_refused_in_a_sentence(register: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        register(TenantProvisioning())


@pytest.mark.parametrize(
    ("after", "said"),
    [({"a": ["b"], "b": ["a"]}, "come after each other"), ({"a": ["c"]}, "after 'c', and there is none")],
)
def test_an_order_that_cannot_be_stops_the_start(after: dict[str, list[str]], said: str, tmp_path: Any) -> None:
    provisioning = TenantProvisioning()
    for name, others in after.items():
        provisioning.hook("tenant.create", name=name, after=others)(lambda: None)
    app = Flask("host")
    app.config.update(configuration())

    with pytest.raises(ConfigurationError, match=said):
        provisioning.init_app(app, f"sqlite:///{tmp_path}/x.sqlite3")
