"""Hosts whose own requests have a tenant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import event

from flask_tenant_provisioning import current_tenant, tenant_required
from tests.support.callers import Caller
from tests.support.database.rows import get_storage
from tests.support.workers.step_hosts import StepHost

ABSENT_ID = "0193b5a0-c2d4-7a6e-8f00-112233445566"


class TenantHost(StepHost):
    """A host with a page for everybody, `/`, and one for tenants, `/projects`."""

    def open(self, *roles: str) -> Caller:
        """Mount the API, add the pages, and return a partner."""
        partner = super().open(*roles)
        add_pages(self.app)
        return partner

    def get(self, path: str = "/projects", **options: Any) -> tuple[int, str]:
        """Return the status and the text of a page."""
        response = self.app.test_client(use_cookies=False).get(path, **options)
        return response.status_code, response.text

    @contextmanager
    def count_connections(self) -> Iterator[list[int]]:
        """Count how often the API takes a connection from its pool: each unit of work takes one."""
        taken: list[int] = []
        pool = get_storage(self.app).engine.pool

        def take(*_: Any) -> None:
            taken.append(1)

        event.listen(pool, "checkout", take)
        try:
            yield taken
        finally:
            event.remove(pool, "checkout", take)


def add_pages(app: Flask, decorate: Callable[[Any], Any] = tenant_required) -> None:
    """Add a page for everybody and one for tenants, at two paths each."""

    @app.get("/")
    def home() -> str:
        return current_tenant.id if current_tenant else "nobody"

    @app.get("/projects")
    @decorate
    def list_projects() -> str:
        return current_tenant.id

    @app.get("/t/<path:rest>")
    @decorate
    def list_below(rest: str) -> str:
        return f"{current_tenant.id} {rest}"
