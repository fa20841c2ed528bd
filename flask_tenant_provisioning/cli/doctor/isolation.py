"""Check of the current tenant: the callers of the host's own requests cannot choose another one's."""

from __future__ import annotations

from ...access.authority import find_jwt_manager
from ...isolation.context import get_declarations
from ...isolation.resolvers import Claim, Header
from .context import FAIL, OK, WARN, DoctorContext, Finding

HEADER_ADVICE = "let the proxy set it and drop what clients send, and name a Claim or SessionKey besides"


def check_isolation(context: DoctorContext) -> Finding:
    """Check that no resolver believes a header that every client can send, and that claims can be verified."""
    declared = get_declarations(context.app).get(context.mount.name)
    if declared is None or not declared.resolvers:
        return Finding(OK, "the app names no resolvers")
    resolvers = declared.resolvers
    detail = f"requests name their tenant by {', '.join(map(repr, resolvers))}"
    if any(isinstance(resolver, Claim) for resolver in resolvers) and find_jwt_manager(context.app) is None:
        return Finding(FAIL, f"{detail}, and the app has no JWTManager", "call JWTManager(app)")
    headers = [resolver for resolver in resolvers if isinstance(resolver, Header)]
    if headers and not any(resolver.is_proof for resolver in resolvers):
        return Finding(WARN, f"{detail}: every client can send the header {headers[0].name}", HEADER_ADVICE)
    return Finding(OK, detail)
