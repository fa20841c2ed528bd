"""A host whose workers deliver webhooks, by a clock that the test moves on; run by `flask provisioning worker`.

The environment says where: STORM_URL is the mount's database, STORM_CLOCK a file that says by how many
seconds the clock is fast.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from flask import Flask

from flask_tenant_provisioning import TenantProvisioning
from tests.support.clock import LONG_LIVED_TOKENS
from tests.support.hosts import make_config
from tests.support.webhooks.plain_receiver import LOCAL_WEBHOOKS


def clock() -> float:
    """Seconds since 1970, and those that the file adds."""
    return time.time() + float(Path(os.environ["STORM_CLOCK"]).read_text())


def create_app() -> Flask:
    """The host."""
    app = Flask("telling")
    app.config.update(
        make_config(
            PROVISIONING_WORKER_LEASE_SECONDS=2,
            PROVISIONING_WORKER_POLL_SECONDS=1,
            **LOCAL_WEBHOOKS,
            **LONG_LIVED_TOKENS,
        )
    )
    TenantProvisioning(clock=clock).init_app(app, os.environ["STORM_URL"])
    return app
