"""Measure the host's read of a tenant's settings, cached and not.

    python -m tests.bench.settings --db sqlite:////tmp/settings.sqlite3

The database is to be empty; it gets one tenant, whose plan, partner and own settings all set something.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

from flask_tenant_provisioning import TenantProvisioning
from tests.support import tenant_settings
from tests.support.callers import Caller
from tests.support.database.rows import get_storage

#: Readings a round, and rounds.
_REMEMBERED, _READ, _ROUNDS = 50_000, 300, 7


def microseconds(read: Callable[[], object], count: int) -> str:
    """The median of some rounds, with the lowest and the highest."""
    seconds = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        for _ in range(count):
            read()
        seconds.append((time.perf_counter() - start) / count * 1e6)
    return f"{statistics.median(seconds):.2f} µs ({min(seconds):.2f}-{max(seconds):.2f})"


def sender(provisioning: TenantProvisioning, tenant: str) -> object:
    """Return what a host's code reads."""
    return provisioning.settings_for(tenant).mail.sender


def main() -> None:
    """Measure, and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.settings", description=__doc__)
    parser.add_argument("--db", required=True, help="the URL of an empty database")
    db = parser.parse_args().db
    for name, seconds, count in (("remembered", 3600, _REMEMBERED), ("read anew", 0, _READ)):
        app = tenant_settings.make_host(db, PROVISIONING_SETTINGS_CACHE_SECONDS=seconds)
        partner, admin = Caller(app), Caller(app, roles=["provisioning-admin"])
        tenant = partner.create(plan="pro")
        tenant_settings.patch_settings(admin, f"/partners/{partner.partner}/settings", {"look": {"low": 1}})
        tenant_settings.patch_settings(
            partner, tenant_settings.settings_path(tenant), {"mail": {"note": "x", "password": "hunter22"}}
        )
        read = partial(sender, tenant_settings.get_extension(app), tenant["tenant"])
        with app.app_context():
            print(f"{name}: {microseconds(read, count)}", flush=True)
        get_storage(app).engine.dispose()


if __name__ == "__main__":
    main()
