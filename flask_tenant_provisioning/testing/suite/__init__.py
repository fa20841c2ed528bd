"""The conformance suite. A host that keeps it among its own tests says ``from …testing.suite import *`` in a module."""

from __future__ import annotations

from .test_authentication import *  # noqa: F403
from .test_bodies import *  # noqa: F403
from .test_bulk_items import *  # noqa: F403
from .test_bulk_jobs import *  # noqa: F403
from .test_bulk_rows import *  # noqa: F403
from .test_bulk_uploads import *  # noqa: F403
from .test_changes import *  # noqa: F403
from .test_clients import *  # noqa: F403
from .test_conventions import *  # noqa: F403
from .test_creation import *  # noqa: F403
from .test_deliveries import *  # noqa: F403
from .test_documents import *  # noqa: F403
from .test_endpoint_urls import *  # noqa: F403
from .test_endpoints import *  # noqa: F403
from .test_feed import *  # noqa: F403
from .test_idempotency import *  # noqa: F403
from .test_invitations import *  # noqa: F403
from .test_isolation import *  # noqa: F403
from .test_lifecycle import *  # noqa: F403
from .test_lists import *  # noqa: F403
from .test_mounting import *  # noqa: F403
from .test_partners import *  # noqa: F403
from .test_permissions import *  # noqa: F403
from .test_preconditions import *  # noqa: F403
from .test_provisioning import *  # noqa: F403
from .test_rate_limits import *  # noqa: F403
from .test_reading import *  # noqa: F403
from .test_settings import *  # noqa: F403
from .test_upserts import *  # noqa: F403
from .test_validate_only import *  # noqa: F403

#: The tests alone: a helper that a host imports with them could be collected there, or hide one of the host's names.
__all__ = [name for name, value in list(globals().items()) if name.startswith("test_") and callable(value)]
