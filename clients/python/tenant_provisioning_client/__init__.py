"""A client of the API of flask-tenant-provisioning, for partners: `Client`, and `AsyncClient` for asyncio.

    from tenant_provisioning_client import Client

    with Client("https://example.com/api/provisioning", token) as client:
        tenant = client.tenants.create(client_name="Example Corp", email="admin@example.com")

The exceptions are those of `errors`, and below `ProvisioningProblem` a class for each status and each problem code:
`Conflict` and `TenantExists`, for example. The documents that calls return are in `models`.
"""

from .asynchronous.client import AsyncClient
from .credentials import ClientCredentials
from .errors import ConnectionFailed, ProvisioningError, ProvisioningProblem, SignInFailed, UnexpectedResponse
from .events import parse_event
from .generated import models, problems
from .generated.problems import *  # noqa: F403
from .operations import UNSET
from .pages import Page
from .replies import make_problem
from .retries import Retries
from .synchronous.client import Client
from .uploads import Progress

__all__ = [
    "UNSET",
    "AsyncClient",
    "Client",
    "ClientCredentials",
    "ConnectionFailed",
    "Page",
    "Progress",
    "ProvisioningError",
    "ProvisioningProblem",
    "Retries",
    "SignInFailed",
    "UnexpectedResponse",
    "make_problem",
    "models",
    "parse_event",
]
__all__ += problems.__all__
