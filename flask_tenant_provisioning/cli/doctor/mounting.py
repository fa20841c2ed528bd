"""Where the API is, and what seals its cursors."""

from __future__ import annotations

from .findings import FAIL, OK, WARN, Finding, Patient

_SHORTEST_SECRET = 16


def registered(patient: Patient) -> Finding:
    """The app serves the API."""
    mount = patient.mount
    if not patient.registered:
        return Finding(WARN, f"nothing is mounted at {mount.settings.url_prefix}", "see the line of the license")
    rules = sum(rule.endpoint.startswith(f"{mount.name}.") for rule in mount.app.url_map.iter_rules())
    kind = ", isolated" if patient.isolated else ""
    return Finding(OK, f"{mount.name}, {rules} routes at {mount.settings.url_prefix}{kind}")


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
