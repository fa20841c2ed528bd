"""A licensed REST API that provisions tenants in any Flask app.

Public names are imported at first use (PEP 562): code that only imports this package, such as another Flask command,
does not load the API.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .access.guard import current_principal as current_principal, requires as requires
    from .access.principal import Principal as Principal
    from .config import ConfigurationError as ConfigurationError
    from .errors import ProvisioningError as ProvisioningError
    from .extension import TenantProvisioning as TenantProvisioning
    from .invitations.context import (
        Invitation as Invitation,
        InvitationAccepted as InvitationAccepted,
        InvitationExpired as InvitationExpired,
        InvitationRefused as InvitationRefused,
        InvitationRevoked as InvitationRevoked,
        InvitationUnknown as InvitationUnknown,
        InvitedAdmin as InvitedAdmin,
        TenantUnavailable as TenantUnavailable,
    )
    from .isolation.context import current_tenant as current_tenant, tenant_required as tenant_required
    from .settings.tenant_settings import TenantSettings as TenantSettings
    from .steps.context import StepAbandoned as StepAbandoned, StepContext as StepContext, StepFailed as StepFailed
    from .steps.export import to_folder as to_folder

__version__ = "0.1.0"

_HOMES = {
    "ConfigurationError": ".config",
    "Invitation": ".invitations.context",
    "InvitationAccepted": ".invitations.context",
    "InvitationExpired": ".invitations.context",
    "InvitationRefused": ".invitations.context",
    "InvitationRevoked": ".invitations.context",
    "InvitationUnknown": ".invitations.context",
    "InvitedAdmin": ".invitations.context",
    "Principal": ".access.principal",
    "ProvisioningError": ".errors",
    "StepAbandoned": ".steps.context",
    "StepContext": ".steps.context",
    "StepFailed": ".steps.context",
    "TenantProvisioning": ".extension",
    "TenantSettings": ".settings.tenant_settings",
    "TenantUnavailable": ".invitations.context",
    "current_principal": ".access.guard",
    "current_tenant": ".isolation.context",
    "requires": ".access.guard",
    "tenant_required": ".isolation.context",
    "to_folder": ".steps.export",
}

if not TYPE_CHECKING:  # a type checker must go on to refuse a name that does not exist
    __all__ = [*_HOMES]

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOMES[name], __name__), name)
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
