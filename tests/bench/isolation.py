"""Measure what row-level security adds to a request, beside the same view with a hand-written WHERE.

    python -m tests.bench.isolation --db postgresql+psycopg://postgres@127.0.0.1/bench

The role has to be a superuser: it makes the role that the policies bind. Its database gets a schema of its own, which
is dropped at the end. The figures are the CPU time of the process, in microseconds per request.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

from flask import jsonify
from flask.testing import FlaskClient
from sqlalchemy import make_url, select, text

from flask_tenant_provisioning import current_tenant
from tests.support.database import postgresql
from tests.support.isolated_rows import Project, RowHost, open_role

#: Rounds of a few requests to each host in turn, so that a busy machine disturbs both alike.
_ROUNDS, _REQUESTS, _ROWS, _TENANTS = 120, 25, 100, 50


def add_views(host: RowHost, tenant: Callable[[Any], Any]) -> None:
    """Add a view that reads one row, and one that lists all of a tenant; `tenant` adds the condition."""

    def read() -> Any:
        row = host.session.scalars(tenant(select(Project).where(Project.name == "p50"))).one()
        return jsonify({"id": row.id, "tenant": row.tenant_id, "name": row.name})

    def list_all() -> Any:
        rows = host.session.scalars(tenant(select(Project))).all()
        return jsonify([{"id": row.id, "tenant": row.tenant_id, "name": row.name} for row in rows])

    host.app.add_url_rule("/row", view_func=read)
    host.app.add_url_rule("/list", view_func=list_all)


def measure(client: FlaskClient, path: str, tenant: str, count: int) -> float:
    """Return the microseconds of CPU time per request."""
    headers = {"X-Tenant-ID": tenant}
    start = time.process_time()
    for _ in range(count):
        assert client.get(path, headers=headers).status_code == 200
    return (time.process_time() - start) / count * 1e6


def main() -> None:
    """Measure, and print a line for each view."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.isolation", description=__doc__)
    parser.add_argument("--db", required=True, help="the URL of a database, with a superuser")
    schema = postgresql.create_schema(make_url(parser.parse_args().db))
    url = schema.render_as_string(hide_password=False)
    with open_role(url) as role, open_role(url, "BYPASSRLS") as plain_role:
        bound, plain = RowHost(url, role), RowHost(url, plain_role, is_bound=False)
        add_views(plain, lambda query: query.where(Project.tenant_id == current_tenant.id))
        add_views(bound, lambda query: query)
        partner = bound.open()
        plain.open(policies=False)
        tenants = [partner.create()["tenant"] for _ in range(_TENANTS)]
        for tenant in tenants:
            bound.run_as_owner(
                f"INSERT INTO projects (tenant_id, name) SELECT '{tenant}', 'p' || g FROM generate_series(1, {_ROWS}) g"
            )
        bound.run_as_owner("ANALYZE projects")
        hosts = {"WHERE": plain, "policies": bound}
        for path, count in (("/row", _REQUESTS), ("/list", _REQUESTS // 5)):
            taken: dict[str, list[float]] = {name: [] for name in hosts}
            for number in range(_ROUNDS):
                for name, host in hosts.items():
                    taken[name].append(measure(host.app.test_client(), path, tenants[number % _TENANTS], count))
            quick = {name: statistics.quantiles(values, n=10)[0] for name, values in taken.items()}
            typical = {name: statistics.median(values) for name, values in taken.items()}
            figures = ", ".join(f"{name} {typical[name]:.0f} µs (lowest tenth {quick[name]:.0f})" for name in hosts)
            more = [(of["policies"] / of["WHERE"] - 1) * 100 for of in (typical, quick)]
            print(f"{path}: {figures}: {more[0]:+.1f} % ({more[1]:+.1f} %)", flush=True)
        for host in hosts.values():
            host.close()
    with postgresql.connect(make_url(url)) as connection:
        connection.execute(text(f"DROP SCHEMA {postgresql.get_schema(make_url(url))} CASCADE"))


if __name__ == "__main__":
    main()
