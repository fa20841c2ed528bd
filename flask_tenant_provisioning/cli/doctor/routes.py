"""Whether host and API keep out of each other's paths."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flask import Flask
from werkzeug.routing import Rule

from ...isolated.hosts import rules_below
from ...web.catchall import UNMATCHED
from .findings import FAIL, OK, Finding, Patient

_FREE = {"HEAD", "OPTIONS"}
Place = tuple[str, str]


def apart(patient: Patient) -> Finding:
    """No route of the host's has the path of one of ours."""
    prefix, name = patient.mount.settings.url_prefix, patient.mount.name
    ours = {place for rule in _of_mount(patient.mount.app, name) for place in _places(rule)}
    theirs = [rule for rule in rules_below(patient.app, prefix) if not _is_a_mounts(patient, rule)]
    if taken := [rule.rule for rule in theirs if ours.intersection(_places(rule))]:
        outcome = "is hidden by the API" if patient.isolated else "may answer in the API's place"
        return Finding(FAIL, f"the host's {', '.join(taken)} {outcome}", "move it, or set PROVISIONING_URL_PREFIX")
    if theirs:
        return Finding(OK, f"{len(theirs)} of the host's lie below {prefix}, beside ours")
    return Finding(OK, f"none of the host's lies below {prefix}")


def _of_mount(app: Flask, name: str) -> Iterator[Rule]:
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(f"{name}.") and rule.endpoint != f"{name}.{UNMATCHED}":
            yield rule


def _is_a_mounts(patient: Patient, rule: Rule) -> bool:
    return any(rule.endpoint.startswith(f"{mount.name}.") for mount in patient.mounts if mount.app is patient.app)


def _places(rule: Rule) -> set[Place]:
    """Each method and path, without what its variables are called and match."""
    path = re.sub(r"<[^>]*>", "<>", rule.rule)
    return {(method, path) for method in (rule.methods or set()) - _FREE}
