"""A licensed REST API that provisions tenants in any Flask app.

A public name is imported when somebody first asks for it (PEP 562): whatever only looks into this package, such as
another command of the host's or a run of its tests, does not wait for the API.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .access import Principal as Principal, current_principal as current_principal, requires as requires
    from .config import ConfigurationError as ConfigurationError
    from .extension import TenantProvisioning as TenantProvisioning
    from .problems import ProvisioningError as ProvisioningError
    from .settings.view import TenantSettings as TenantSettings
    from .steps.context import StepContext as StepContext
    from .steps.exporting import to_folder as to_folder
    from .steps.failures import StepAbandoned as StepAbandoned, StepFailed as StepFailed

__version__ = "0.1.0"

_HOMES = {
    "ConfigurationError": ".config",
    "Principal": ".access",
    "ProvisioningError": ".problems",
    "StepAbandoned": ".steps.failures",
    "StepContext": ".steps.context",
    "StepFailed": ".steps.failures",
    "TenantProvisioning": ".extension",
    "TenantSettings": ".settings.view",
    "current_principal": ".access",
    "requires": ".access",
    "to_folder": ".steps.exporting",
}

if not TYPE_CHECKING:  # a type checker must go on to refuse a name that does not exist
    __all__ = [*_HOMES]

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_HOMES[name], __name__), name)
        return found

    def __dir__():
        return sorted({*globals(), *__all__})
