"""Every ``PROVISIONING_*`` key: its name, default, type and meaning (`keys/`), validated once at start."""

from .declaring import PREFIX as PREFIX
from .permissions import DEFAULT_ROLES as DEFAULT_ROLES, PERMISSIONS as PERMISSIONS
from .reading import ConfigurationError as ConfigurationError
from .settings import Settings as Settings
