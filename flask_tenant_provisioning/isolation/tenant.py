"""A tenant as the host's own requests, tasks and commands see it."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class CurrentTenant:
    """The tenant that the running code serves, as of at most ``PROVISIONING_TENANT_CACHE_SECONDS`` ago."""

    #: The tenant's id, a UUID in lower case.
    id: str
    #: The id of the partner that provisioned it.
    partner: str
    external_id: str | None
    client_name: str
    plan: str | None
    #: ``active``, unless the context was opened with ``any_status=True``.
    status: str
