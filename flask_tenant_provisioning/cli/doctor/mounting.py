"""Where the API is, and what of the host stands before it."""

from __future__ import annotations

from typing import Any

from .findings import FAIL, OK, WARN, Finding, Patient

_SHORTEST_SECRET = 16


def registered(patient: Patient) -> Finding:
    """The app serves the API."""
    mount = patient.mount
    if not patient.registered:
        return Finding(WARN, f"nothing is mounted at {mount.settings.url_prefix}", "see the line of the license")
    rules = sum(rule.endpoint.startswith(f"{mount.name}.") for rule in patient.app.url_map.iter_rules())
    return Finding(OK, f"{mount.name}, {rules} routes at {mount.settings.url_prefix}")


def exempt_from_csrf(patient: Patient) -> Finding:
    """No CSRF protection refuses what partners send."""
    protection: Any = patient.app.extensions.get("csrf")
    if protection is None or not hasattr(protection, "_exempt_blueprints"):
        return Finding(OK, "no CSRFProtect")
    if not patient.app.config.get("WTF_CSRF_ENABLED", True) or not patient.app.config.get(
        "WTF_CSRF_CHECK_DEFAULT", True
    ):
        return Finding(OK, "CSRFProtect checks nothing by itself")
    blueprint = patient.app.blueprints.get(patient.mount.name)
    if blueprint is None:
        return Finding(OK, "CSRFProtect, and nothing mounted that it could refuse")
    if {blueprint, blueprint.name} & protection._exempt_blueprints:
        return Finding(OK, "the API is exempt from CSRFProtect")
    return Finding(FAIL, "CSRFProtect refuses what partners send", "call csrf.exempt(provisioning.blueprint)")


def hooks(patient: Patient) -> Finding:
    """Which functions of the host run before each request, those to the API too."""
    found = [_named(hook) for hook in patient.app.before_request_funcs.get(None, ())]
    if not found:
        return Finding(OK, "none of the host's runs before a request")
    return Finding(OK, f"{', '.join(found)}: what they answer, partners get")


def cursors_are_sealed(patient: Patient) -> Finding:
    """There is a secret for the cursors of lists; its mark tells whether other processes have the same."""
    app, settings = patient.app, patient.mount.settings
    secrets = {
        "PROVISIONING_SECRET_KEY": settings.secret_key,
        "SECRET_KEY": app.secret_key,
        "JWT_SECRET_KEY": app.config.get("JWT_SECRET_KEY"),
    }
    name = next((name for name, secret in secrets.items() if secret), None)
    if name is None:
        return Finding(FAIL, "no secret seals them", "set PROVISIONING_SECRET_KEY, the same for every process")
    mark = patient.mount.cursors.seal("", "doctor")[:4]
    detail = f"sealed by {name}, mark {mark}"
    if len(secrets[name] or "") < _SHORTEST_SECRET:
        return Finding(WARN, f"{detail}; it is short", f"give it {_SHORTEST_SECRET} characters or more")
    return Finding(OK, f"{detail}: it must be the same in every process and at every start")


def _named(hook: Any) -> str:
    """Where a function is defined; the class, for an object that is called like one."""
    kind = hook if hasattr(hook, "__qualname__") else type(hook)
    return f"{kind.__module__}.{kind.__qualname__}"
