"""Bodies that the API accepts, where nothing of the host's demands more."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from flask import Flask

from .mounts import mount_of


def tenant_bodies(app: Flask, name: str | None) -> Callable[..., dict[str, Any]]:
    """What makes the body of a new tenant, unlike any other but for the `fields` that it is given."""

    def make(**fields: Any) -> dict[str, Any]:
        plans = mount_of(app, name).plans
        own = uuid.uuid4().hex[:12]
        body = {
            "client_name": f"Conformance {own}",
            "email": f"{own}@example.com",
            "phone_number": "+442079460958",
            "industry": "Conformance",
            "external_id": f"conformance-{own}",
        }
        return {**body, **({"plan": plans[0]} if plans else {}), **fields}

    return make
