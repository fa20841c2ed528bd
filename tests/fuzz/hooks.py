"""Hooks that schemathesis calls while it runs."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.generation.meta import CaseMetadata

from tests.fuzz import streams, uploads
from tests.fuzz.exceptions import Exchange, find_exemption

#: Where each exception that applied is noted, one a line, in the run's own folder.
TALLY = Path("exempted.txt")
_MAY_NAME_PARTNERS = os.environ["FUZZ_ROLE"] == "provisioning-admin"

#: What a valid request about webhooks says in these fields, since to a schema far more looks right.
_AIMS: dict[str, Any] = {"url": "https://127.0.0.1/hook", "events": ["tenant.*"], "since": "2100-01-01T00:00:00Z"}

#: What only pages of JSON can be asked.
_PAGES = {"limit", "cursor"}

_fates: dict[str, str] = {}
_emails: set[str] = set()
_numbers = itertools.count(1)


def filter_failure(context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """Keep the failures that no exception covers."""
    fate, replayed = _fates.get(_tenant(case), ""), "idempotency-replayed" in response.headers
    result, kind = (response.status_code, _json(response)), case.media_type
    sent = Exchange(case.headers or {}, case.query or {}, *result, fate, replayed, kind, case.method.upper())
    name = find_exemption(type(failure).__name__, sent)
    if name is not None:
        with TALLY.open("a", encoding="utf-8") as tally:
            tally.write(f"{name}\n")
    return name is None


def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
    """Remember what became of a tenant; a rehearsal changes nothing."""
    about_a_tenant = "tenant_id" in (case.path_parameters or {})
    if not about_a_tenant or response.status_code not in (200, 204) or "x-validate-only" in response.headers:
        return
    if case.method == "DELETE":
        _fates[_tenant(case)] = "purged" if response.status_code == 204 else "deleted"
    elif case.path.endswith("/restore") and "idempotency-replayed" not in response.headers:
        _fates.pop(_tenant(case), None)


def map_case(context: HookContext, case: Case[Any]) -> Case[Any]:
    """Take out of valid requests what would keep them from the code that they are to reach."""
    if case.meta is not None and case.meta.generation.mode.is_positive:
        _clear_the_way(case, case.meta)
        _renew_email(case)
        _expect_nothing(case)
        _aim(case)
        _aim_at_invitation(case, case.meta)
        _sign_in(case)
        _vary(case, case.meta)
    return case


def _clear_the_way(case: Case[Any], meta: CaseMetadata) -> None:
    """Name partners as an administrator alone, who may; rehearse in single requests alone, since nothing follows."""
    about = getattr(meta.phase.data, "parameter", None)
    dead_ends = set() if _MAY_NAME_PARTNERS or about == "partner" else {"partner"}
    if meta.phase.name == "stateful":
        dead_ends.add("validate_only")
    if case.query and dead_ends & case.query.keys():
        case.query = {name: value for name, value in case.query.items() if name not in dead_ends}


def _expect_nothing(case: Case[Any]) -> None:
    """Name no version in one of two upserts, of partners too: an upsert that names one creates nothing."""
    upserts = case.method == "PUT" and {"external_id", "partner_id"} & (case.path_parameters or {}).keys()
    if case.headers and upserts and next(_numbers) % 2:
        case.headers.pop("If-Match", None)


def _renew_email(case: Case[Any]) -> None:
    """Send an address that was sent before in one of four requests only: it is taken, and answers 409."""
    body = case.body
    email = body.get("email") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(email, str):
        return
    if email in _emails and (number := next(_numbers)) % 4:
        case.body = {**body, "email": f"fresh-{number}@example.com"}
    _emails.add(email)


def _aim(case: Case[Any]) -> None:
    """Send globs that mean some event, a URL that the guard lets pass, and a time that is not long ago.

    A tenant is moved to a partner that there is, and that the stranger is not of; a partner stands below such a one.
    Settings are rolled back to version 0, which each tenant has, in one of two requests.
    """
    body = case.body
    if case.path.endswith("/rollback") and isinstance(body, dict) and "version" in body and next(_numbers) % 2:
        case.body = {**body, "version": 0}
    if "/partners" in case.path and isinstance(body, dict) and body.get("parent"):
        case.body = {**body, "parent": "acme"}
    if case.path.endswith("/move") and isinstance(body, dict) and "partner" in body:
        case.body = {**body, "partner": ("acme", "initech")[next(_numbers) % 2]}
    if "/webhooks" in case.path and isinstance(body, dict):
        case.body = {**body, **{name: value for name, value in _AIMS.items() if name in body}}


def _aim_at_invitation(case: Case[Any], meta: CaseMetadata) -> None:
    """Name an invitation together with its own tenant in three of four requests: two ids at random never fit."""
    names = case.path_parameters
    if names and "invitation_id" in names and meta.phase.name != "stateful" and (number := next(_numbers)) % 4:
        pairs = json.loads(Path("invitations.json").read_text("utf-8"))
        names["tenant_id"], names["invitation_id"] = pairs[number % len(pairs)]


def _sign_in(case: Case[Any]) -> None:
    """Send the credentials of a client that there is in one of two forms of the OAuth endpoints."""
    if case.path not in ("/oauth/token", "/oauth/revoke") or not isinstance(case.body, dict) or next(_numbers) % 2:
        return
    client = json.loads(Path("signs_in.json").read_text("utf-8"))
    kept = {name: value for name, value in case.body.items() if name in ("grant_type", "token") and value}
    case.body = {**kept, "client_id": client["client"], "client_secret": client["secret"]}


def _vary(case: Case[Any], meta: CaseMetadata) -> None:
    """Ask for each media type by turns, and for pages as JSON alone; what is to be followed stays JSON."""
    kinds = [*case.operation.definition.raw["responses"].get("200", {}).get("content", ())]
    if len(kinds) < 2 or meta.phase.name == "stateful":
        return
    case.headers["Accept"] = kind = kinds[next(_numbers) % len(kinds)]
    if kind != "application/json" and case.query:
        case.query = {name: value for name, value in case.query.items() if name not in _PAGES}


def _tenant(case: Case[Any]) -> str:
    return str((case.path_parameters or {}).get("tenant_id"))


def _json(response: Response) -> dict[str, Any]:
    try:
        document = json.loads(response.content)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _picture(context: Any, response: Response) -> str:
    """Return the signature that a picture begins with, as far as a schema can describe it."""
    return str(response.content[1:4].decode())


schemathesis.hook(filter_failure)
schemathesis.hook(after_call)
schemathesis.hook(map_case)
schemathesis.deserializer("image/png")(_picture)
schemathesis.deserializer("application/x-ndjson")(streams.lines)
schemathesis.deserializer("text/csv")(streams.table)
schemathesis.openapi.media_type("application/x-ndjson", uploads.LINES, aliases=["application/jsonl"])
schemathesis.openapi.media_type("text/csv", uploads.TABLES)
