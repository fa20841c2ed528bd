"""A licensed REST API that provisions tenants in any Flask app."""

from .access import Principal as Principal, current_principal as current_principal, requires as requires
from .config import ConfigurationError as ConfigurationError
from .extension import TenantProvisioning as TenantProvisioning
from .problems import ProvisioningError as ProvisioningError

__version__ = "0.1.0"
