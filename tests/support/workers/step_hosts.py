"""Hosts with steps, and a worker whose turns the test itself takes."""

from __future__ import annotations

from typing import Any

from flask import Flask

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.workers.worker import Worker, make_worker
from tests.support.callers import Caller
from tests.support.clock import LONG_LIVED_TOKENS, Clock
from tests.support.database.rows import get_storage
from tests.support.hosts import make_config


class StepHost:
    """A host with steps of its own. It has no worker but the turns that a test takes with `work`."""

    def __init__(self, database_url: str, **config: Any) -> None:
        self.clock = Clock()
        self.provisioning = TenantProvisioning(clock=self.clock)
        self.app = Flask("host")
        self.app.config.update(make_config(**LONG_LIVED_TOKENS, **config))
        self._url = database_url
        #: What the steps did, in their order.
        self.done: list[Any] = []
        #: The steps that fail at present, each with what it raises.
        self.broken: dict[str, Exception] = {}

    def step(self, name: str, *, undo: bool = True, **options: Any) -> None:
        """Register a step that notes that it ran, and unless told otherwise an undo that does."""

        def do(context: Any) -> None:
            self._record_call(name)
            self.done.append(name)

        def take_back(context: Any) -> None:
            self._record_call(f"undo {name}")
            self.done.append(f"undo {name}")

        taking_back = {"undo": take_back} if undo and options.get("phase") != "deprovisioning" else {}
        self.provisioning.step(name, **{"backoff": 10, **taking_back, **options})(do)

    def _record_call(self, name: str) -> None:
        if name in self.broken:
            self.done.append(f"{name} fails")
            raise self.broken[name]

    def open(self, *roles: str) -> Caller:
        """Mount the API and return a partner."""
        self.provisioning.init_app(self.app, self._url)
        return Caller(self.app, roles=roles or ("partner-admin",))

    def worker(self, **options: Any) -> Worker:
        """A worker of this host's."""
        return make_worker(self.app.extensions["tenant_provisioning"]["provisioning"], **options)

    def work(self, seconds: float = 0) -> None:
        """Let time pass, and do everything that is due by then."""
        self.clock.now += seconds
        self.worker().drain()

    def close(self) -> None:
        get_storage(self.app).engine.dispose()


def read_provisioning(caller: Caller, tenant: dict[str, Any]) -> dict[str, Any]:
    """A tenant's provisioning, as the API shows it."""
    response = caller("GET", f"/tenants/{tenant['tenant']}/provisioning")
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.get_json()
    return document


def read_step_states(caller: Caller, tenant: dict[str, Any]) -> dict[str, str]:
    """The state of each step."""
    return {step["name"]: step["state"] for step in read_provisioning(caller, tenant)["steps"]}


def read_tenant_status(caller: Caller, tenant: dict[str, Any]) -> str:
    """The tenant's status."""
    status: str = caller("GET", f"/tenants/{tenant['tenant']}").get_json()["status"]
    return status
