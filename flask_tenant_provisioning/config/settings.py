"""All keys together, as one mount has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from .declaring import gathered
from .keys.access import AccessKeys
from .keys.bulk import BulkKeys
from .keys.database import DatabaseKeys
from .keys.licensing import LicenseKeys
from .keys.limits import LimitKeys
from .keys.mounting import MountKeys
from .keys.partners import PartnerKeys
from .keys.tenant_settings import TenantSettingsKeys
from .keys.tenants import TenantKeys
from .keys.webhooks import WebhookKeys
from .keys.work import WorkKeys
from .permissions import DEFAULT_ROLES
from .reading import checked


@dataclasses.dataclass(frozen=True, kw_only=True)
@gathered
class Settings(
    MountKeys,
    DatabaseKeys,
    AccessKeys,
    PartnerKeys,
    LimitKeys,
    TenantKeys,
    TenantSettingsKeys,
    BulkKeys,
    WebhookKeys,
    WorkKeys,
    LicenseKeys,
):
    """The configuration of one mount. A field ``x`` is read from ``app.config["PROVISIONING_X"]``."""

    @classmethod
    def read(cls, config: Mapping[str, Any], overrides: Mapping[str, Any]) -> Settings:
        """Read the keys from a Flask config; `overrides` are one mount's own, by field name.

        Raises `ConfigurationError` that names every key at fault at once.
        """
        values = checked(dataclasses.fields(cls), config, overrides)
        values["roles"] = values["roles"] or DEFAULT_ROLES
        values["database_options"] = values["database_options"] or {}
        values["license_public_keys"] = values["license_public_keys"] or {}
        values["rate_limits"] = values["rate_limits"] or {}
        return cls(**values)
