"""A licensed REST API that provisions tenants in any Flask app."""

from .access import Principal as Principal, current_principal as current_principal, requires as requires
from .config import ConfigurationError as ConfigurationError
from .extension import TenantProvisioning as TenantProvisioning
from .problems import ProvisioningError as ProvisioningError
from .steps.context import StepContext as StepContext
from .steps.exporting import to_folder as to_folder
from .steps.failures import StepAbandoned as StepAbandoned, StepFailed as StepFailed

__version__ = "0.1.0"
