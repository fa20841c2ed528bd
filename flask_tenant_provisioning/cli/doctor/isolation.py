"""Checks of the host's own tenants: callers cannot choose another one's, and their rows are kept apart."""

from __future__ import annotations

from ...access.authority import find_jwt_manager
from ...isolation.context import get_declarations
from ...isolation.resolvers import Claim, Header
from ...isolation.strategy import Strategy
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


def check_isolated_rows(context: DoctorContext) -> Finding:
    """Check that the policies hold for the role of the host's own session, and that no connection keeps a tenant."""
    declared = get_declarations(context.app).get(context.mount.name)
    if declared is None or declared.strategy is None:
        return Finding(OK, "the app names no strategy")
    strategy: Strategy = declared.strategy
    faults = strategy.find_faults(ignored={name for mount in context.mounts for name in mount.storage.metadata.tables})
    faults += strategy.probe_pool()
    serious = [fault for fault in faults if not fault.is_advice]
    if not faults:
        return Finding(OK, f"{strategy!r}: the policies hold")
    worst = (serious or faults)[0]
    others = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
    subject = f"{worst.table}: " if worst.table else ""
    advice = worst.advice if len(faults) == 1 else f"{worst.advice}; `flask provisioning isolation check` lists all"
    return Finding(FAIL if serious else WARN, f"{strategy!r}: {subject}{worst.problem}{others}", advice)
