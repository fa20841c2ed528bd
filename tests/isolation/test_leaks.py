"""Many threads, many tenants and few connections: no row of another tenant is seen once."""

from __future__ import annotations

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import func, insert, make_url, select, text
from sqlalchemy.exc import DBAPIError

from flask_tenant_provisioning.isolation import TenantConflict
from tests.support.database.pgbouncer import start_pgbouncer
from tests.support.isolated_rows import Project, RowHost, open_role

THREADS, TENANTS, POOL = 64, 200, 10
ROWS = "INSERT INTO projects (tenant_id, name) SELECT '{}', 'p' || g FROM generate_series(1, {}) g"


class Storm:
    """Threads that read, write, fail and nest in the contexts of tenants at random."""

    def __init__(self, host: RowHost, rounds: int, seed: int) -> None:
        self.host = host
        self._rounds = rounds
        self._seed = seed
        partner = host.open()
        #: The number of each tenant's rows.
        self.sizes = {partner.create()["tenant"]: number % 7 + 1 for number in range(TENANTS)}
        for tenant, size in self.sizes.items():
            host.run_as_owner(ROWS.format(tenant, size))
        #: How often each thing was done, and what was seen that may not be.
        self.done: Counter[str] = Counter()
        self.leaks: list[Any] = []
        self._lock = threading.Lock()

    def run(self) -> None:
        """Let the threads do their rounds."""
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, number: int) -> None:
        rng = random.Random(self._seed * 1000 + number)
        tenants = [*self.sizes]
        actions: list[Callable[[Any, str, random.Random], None]] = [
            self._read,
            self._write_and_roll_back,
            self._fail,
            self._nest,
            self._nest_another,
            self._leave_open,
            self._savepoint,
        ]
        for _ in range(self._rounds):
            action, tenant = rng.choice(actions), rng.choice([*tenants[:20], *tenants, None])
            name = action.__name__ if tenant else "_without"
            try:
                if tenant is None:
                    self._without()
                else:
                    action(self.host.app.test_client(), tenant, rng)
            except Exception as error:
                self._report(name, tenant, repr(error))
            with self._lock:
                self.done[name] += 1

    def _report(self, *what: Any) -> None:
        with self._lock:
            self.leaks.append(what)

    def _check(self, tenant: str, where: str) -> None:
        seen = self.host.session.execute(select(Project.tenant_id, func.count()).group_by(Project.tenant_id)).all()
        if [tuple(row) for row in seen] != [(tenant, self.sizes[tenant])]:
            self._report(where, tenant, seen)

    @contextlib.contextmanager
    def _as(self, tenant: str) -> Iterator[Any]:
        with self.host.app.app_context(), self.host.provisioning.tenant_context(tenant):
            yield self.host.session

    def _without(self) -> None:
        names = self.host.app.test_client().get("/names").get_json()
        if names:
            self._report("without", names)

    def _read(self, client: Any, tenant: str, _: random.Random) -> None:
        names = client.get("/names", headers={"X-Tenant-ID": tenant}).get_json()
        if len(names) != self.sizes[tenant]:
            self._report("request", tenant, names)

    def _write_and_roll_back(self, _: Any, tenant: str, rng: random.Random) -> None:
        with self._as(tenant) as session:
            session.execute(insert(Project).values(tenant_id=tenant, name=f"x{rng.random()}"))
            session.rollback()
            self._check(tenant, "after a rollback")
            session.commit()

    def _fail(self, _: Any, tenant: str, __: random.Random) -> None:
        with contextlib.suppress(DBAPIError), self._as(tenant) as session:
            self._check(tenant, "before a failure")
            session.execute(text("SELECT 1/0"))

    def _nest(self, _: Any, tenant: str, __: random.Random) -> None:
        with self._as(tenant) as session:
            self._check(tenant, "before nesting")
            with self.host.provisioning.tenant_context(tenant):
                self._check(tenant, "nested")
                session.commit()
            self._check(tenant, "after nesting")
            session.rollback()

    def _nest_another(self, _: Any, tenant: str, rng: random.Random) -> None:
        other = rng.choice([name for name in self.sizes if name != tenant])
        with self._as(tenant) as session:
            with contextlib.suppress(TenantConflict), self.host.provisioning.tenant_context(other):
                self._report("nested another", tenant, other)
            self._check(tenant, "after another")
            session.commit()

    def _leave_open(self, _: Any, tenant: str, rng: random.Random) -> None:
        other = rng.choice([name for name in self.sizes if name != tenant])
        with self.host.app.app_context():
            with self.host.provisioning.tenant_context(tenant):
                self._check(tenant, "left open")
            with contextlib.suppress(TenantConflict), self.host.provisioning.tenant_context(other):
                self._check(other, "in what was left open")
                self._report("left open", tenant, other)
            with contextlib.suppress(TenantConflict):
                self.host.list_names()
                self._report("left open, and none", tenant)

    def _savepoint(self, _: Any, tenant: str, __: random.Random) -> None:
        with self._as(tenant) as session:
            with contextlib.suppress(ZeroDivisionError), session.begin_nested():
                self._check(tenant, "in a savepoint")
                raise ZeroDivisionError
            self._check(tenant, "after a savepoint")
            session.rollback()


def run_storm(host: RowHost, rounds: int, seed: int) -> None:
    storm = Storm(host, rounds, seed)
    storm.run()
    assert sum(storm.done.values()) == THREADS * rounds
    assert len(storm.done) == 8
    assert storm.leaks == [], f"seed {seed}"


@pytest.mark.parametrize("rounds", [12, pytest.param(300, marks=pytest.mark.slow)])
def test_a_storm_on_a_small_pool_leaks_no_row(postgresql_database: str, rounds: int) -> None:
    with open_role(postgresql_database) as role:
        host = RowHost(postgresql_database, role, pool_size=POOL, max_overflow=0, pool_timeout=300)
        run_storm(host, rounds, seed=rounds)
        host.close()


@pytest.mark.slow
def test_a_storm_through_a_pooler_in_transaction_mode_leaks_no_row(postgresql_database: str) -> None:
    url = make_url(postgresql_database)
    with open_role(postgresql_database) as role, start_pgbouncer(url.set(username=role), "transaction") as pooled:
        schema = url.query["options"].split("=")[1]  # type: ignore[union-attr]
        owner = RowHost(postgresql_database, role)
        owner.run_as_owner(f"ALTER ROLE {role} SET search_path = {schema}")
        owner.close()
        through = pooled.set(query={"connect_timeout": "60"})
        options: dict[str, Any] = {"pool_size": POOL, "max_overflow": 0, "pool_timeout": 300}
        host = RowHost(postgresql_database, role, url=through, connect_args={"prepare_threshold": None}, **options)
        run_storm(host, 60, seed=7)
        host.close()


def test_a_pooler_in_statement_mode_is_refused(postgresql_database: str) -> None:
    url = make_url(postgresql_database)
    with open_role(postgresql_database) as role, start_pgbouncer(url.set(username=role), "statement") as pooled:
        through = pooled.set(query={"connect_timeout": "60"})
        host = RowHost(postgresql_database, role, url=through, connect_args={"prepare_threshold": None})
        host.open()
        with (
            host.as_nobody(),
            pytest.raises(DBAPIError, match="transaction blocks not allowed in statement pooling mode"),
        ):
            host.list_names()
        host.close()
