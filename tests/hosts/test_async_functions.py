"""Functions of the host's whose work would never be done: refused at registration, or found out when called."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from marshmallow import Schema, fields, post_load, validates_schema

from flask_tenant_provisioning import ConfigurationError, TenantProvisioning
from flask_tenant_provisioning.signals import tenant_created
from tests.support.assertions import check_problem
from tests.support.callers import EXAMPLE
from tests.support.workers.step_hosts import StepHost

Register = Callable[[TenantProvisioning, Any], Any]


async def fetch(**_: Any) -> None:
    pass


async def stream(**_: Any) -> AsyncIterator[Any]:
    yield {}


def produce(**_: Any) -> Iterator[Any]:
    yield {}


def work(**_: Any) -> None:
    pass


class Service:
    """An object that is called like a function, and has a method that is one."""

    async def __call__(self, **_: Any) -> None:
        pass

    async def fetch(self, **_: Any) -> None:
        pass


ASYNCHRONOUS = {
    "coroutine function": fetch,
    "asynchronous generator function": stream,
    "method": Service().fetch,
    "callable object": Service(),
    "partial": functools.partial(fetch, a=1),
    "partial of a callable object": functools.partial(functools.partial(Service()), a=1),
}
DECORATORS: dict[str, Register] = {
    "hook": lambda provisioning, function: provisioning.hook("tenant.create")(function),
    "step": lambda provisioning, function: provisioning.step("bucket")(function),
    "undo": lambda provisioning, function: provisioning.step("bucket", undo=function)(work),
    "export": lambda provisioning, function: provisioning.export("rows")(function),
    "archive": lambda provisioning, function: provisioning.archive(function),
    "usage": lambda provisioning, function: provisioning.usage("seats")(function),
    "rate_limits": lambda provisioning, function: provisioning.rate_limits(function),
    "clock": lambda _, function: TenantProvisioning(clock=function),
    "new_id": lambda _, function: TenantProvisioning(new_id=function),
}


@pytest.mark.parametrize("register", DECORATORS.values(), ids=DECORATORS)
@pytest.mark.parametrize("function", ASYNCHRONOUS.values(), ids=ASYNCHRONOUS)
def test_an_async_function_is_refused_with_the_way_out(register: Register, function: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"is an async .*asyncio\.run\((fetch|stream|Service)\(") as caught:
        register(TenantProvisioning(), function)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in DECORATORS if name != "export"])
def test_generator_function_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"'produce' is a generator function, .* take out its yield"):
        DECORATORS[name](TenantProvisioning(), produce)


@pytest.mark.parametrize("register", DECORATORS.values(), ids=DECORATORS)
def test_non_callable_is_refused(register: Register) -> None:
    with pytest.raises(ConfigurationError, match="must be a function, not 'drop_bucket'"):
        register(TenantProvisioning(), "drop_bucket")


def test_a_plain_function_around_an_async_one_is_accepted() -> None:
    @functools.wraps(fetch)
    def run(**_: Any) -> None:
        pass

    for register in DECORATORS.values():
        register(TenantProvisioning(), run)
    TenantProvisioning().export("rows")(produce)
    TenantProvisioning().hook("tenant.create")(functools.partial(work, a=1))


def _schemas() -> Iterator[Any]:
    async def check(value: Any) -> bool:
        return True

    class Loads(Schema):
        name = fields.String()

        @post_load
        async def load_it(self, data: Any, **_: Any) -> Any:
            return data

    class Validates(Schema):
        name = fields.String()

        @validates_schema
        async def check_it(self, data: Any, **_: Any) -> None:
            pass

    class Kind(fields.String):
        async def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:  # type: ignore[override]
            return value

    class Inner(Schema):
        name = fields.String(validate=check)

    yield "post_load", Loads
    yield "validates_schema", Validates
    yield "validator", Inner
    yield "method of a field", type("Own", (Schema,), {"name": Kind()})
    yield "nested", type("Own", (Schema,), {"inner": fields.Nested(Inner)})
    yield "in a list", type("Own", (Schema,), {"names": fields.List(fields.String(validate=check))})
    yield "in a dict", type("Own", (Schema,), {"names": fields.Dict(values=fields.String(validate=check))})
    yield "default", type("Own", (Schema,), {"name": fields.String(load_default=Service().fetch)})


@pytest.mark.parametrize("schema", [pytest.param(schema, id=name) for name, schema in _schemas()])
@pytest.mark.parametrize("kind", ["fields", "settings"])
def test_a_schema_with_an_async_function_is_refused(schema: type[Schema], kind: str) -> None:
    provisioning = TenantProvisioning()
    with pytest.raises(ConfigurationError, match="is an async function"):
        provisioning.tenant_fields(schema) if kind == "fields" else provisioning.settings("mail", schema)
    assert provisioning.registry.fields is None
    assert not provisioning.registry.namespaces


@pytest.fixture
def host(database_url: str) -> StepHost:
    """A host with steps, whose worker's turns a test takes itself."""
    return StepHost(database_url)


@pytest.mark.parametrize("function", [lambda: fetch(), lambda: stream(), lambda: produce()], ids=["c", "ag", "g"])
def test_a_hook_that_returns_an_awaitable_refuses_the_change(
    host: StepHost, function: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    host.provisioning.hook("tenant.create", name="notify")(function)
    caller = host.open()
    check_problem(caller("POST", "/tenants", json=EXAMPLE), status=500, code="internal-error")
    assert caller("GET", "/tenants").get_json()["items"] == []
    assert "The hook 'notify' returned a" in caplog.text


@pytest.mark.parametrize("undo", [False, True], ids=["step", "undo"])
def test_a_step_that_returns_an_awaitable_fails_with_words(host: StepHost, undo: bool) -> None:
    if undo:
        host.provisioning.step("bucket", undo=lambda: fetch())(lambda: None)
        host.provisioning.step("mail", retries=0, after=["bucket"])(lambda: 1 / 0)
    else:
        host.provisioning.step("bucket")(lambda: fetch())
    caller = host.open()
    tenant = caller.create()
    host.work()
    host.work(3600)
    shown = caller("GET", f"/tenants/{tenant['tenant']}").get_json()
    assert shown["status"] == "failed"
    steps = caller("GET", f"/tenants/{tenant['tenant']}/provisioning").get_json()["steps"]
    step = next(step for step in steps if step["name"] == "bucket")
    assert "'bucket' returned an awaitable, which nothing awaits: its work was not done." in step["error"]["message"]


@pytest.mark.one_database
def test_a_usage_that_returns_an_awaitable_refuses_the_change(host: StepHost) -> None:
    host.provisioning.plan("free", limits={"seats": 1})
    host.provisioning.usage("seats")(lambda: fetch())
    caller = host.open()
    path = f"/tenants/{caller.create()['tenant']}"
    check_problem(caller("PATCH", path, json={"plan": "free"}), status=500)
    assert caller("GET", path).get_json()["plan"] is None


@pytest.mark.one_database
@pytest.mark.parametrize("broken", ["export", "archive"])
def test_an_export_that_returns_an_awaitable_removes_nothing(host: StepHost, broken: str) -> None:
    host.provisioning.export("rows")((lambda: fetch()) if broken == "export" else (lambda: [{"n": 1}]))
    host.provisioning.archive((lambda: fetch()) if broken == "archive" else (lambda: "here"))
    administrator = host.open("provisioning-admin")
    tenant = administrator.create()
    assert administrator("DELETE", f"/tenants/{tenant['tenant']}?purge=true").status_code == 202
    host.work()
    host.work(7200)
    steps = administrator("GET", f"/tenants/{tenant['tenant']}/provisioning").get_json()["steps"]
    assert f"The {broken}" in steps[0]["error"]["message"]


@pytest.mark.one_database
def test_a_receiver_that_returns_an_awaitable_is_logged(host: StepHost, caplog: pytest.LogCaptureFixture) -> None:
    async def greet(app: Any, event: Any) -> None:
        pass

    with tenant_created.connected_to(greet, host.app):
        host.open().create()
    assert "a receiver of tenant.created failed" in caplog.text
    assert "returned an awaitable" in caplog.text


@pytest.mark.one_database
def test_a_rate_limits_function_that_returns_an_awaitable_is_logged(
    host: StepHost, caplog: pytest.LogCaptureFixture
) -> None:
    host.provisioning.rate_limits(lambda *_: fetch())
    host.open().create()
    assert "The rate_limits function returned an awaitable" in caplog.text
