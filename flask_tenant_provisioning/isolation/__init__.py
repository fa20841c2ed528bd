"""The current tenant of the host's own requests, tasks and commands, and the isolation of its rows.

A host that uses none of it loads no module of this package. Names are imported at first use (PEP 562), so that a host
with resolvers alone does not load SQLAlchemy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .refusals import (
        TenantConflict as TenantConflict,
        TenantConfusion as TenantConfusion,
        TenantNotReady as TenantNotReady,
        TenantRefused as TenantRefused,
        TenantsUnreachable as TenantsUnreachable,
        TenantUnavailable as TenantUnavailable,
        TenantUnknown as TenantUnknown,
    )
    from .resolvers import (
        Claim as Claim,
        Domain as Domain,
        Header as Header,
        PathPrefix as PathPrefix,
        Resolver as Resolver,
        SessionKey as SessionKey,
        Subdomain as Subdomain,
    )
    from .rows import RowLevelSecurity as RowLevelSecurity
    from .strategy import Fault as Fault, Strategy as Strategy
    from .tenant import CurrentTenant as CurrentTenant

_HOMES = {
    "Claim": ".resolvers",
    "CurrentTenant": ".tenant",
    "Domain": ".resolvers",
    "Fault": ".strategy",
    "Header": ".resolvers",
    "PathPrefix": ".resolvers",
    "Resolver": ".resolvers",
    "RowLevelSecurity": ".rows",
    "SessionKey": ".resolvers",
    "Strategy": ".strategy",
    "Subdomain": ".resolvers",
    "TenantConflict": ".refusals",
    "TenantConfusion": ".refusals",
    "TenantNotReady": ".refusals",
    "TenantRefused": ".refusals",
    "TenantUnavailable": ".refusals",
    "TenantUnknown": ".refusals",
    "TenantsUnreachable": ".refusals",
}

if not TYPE_CHECKING:
    __all__ = [*_HOMES]

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOMES[name], __name__), name)
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
