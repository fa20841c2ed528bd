"""What of the host comes before the API, and whether an isolated mount would be spared it."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType
from typing import Any

from flask import Response, request
from sqlalchemy import MetaData, Table
from werkzeug.exceptions import HTTPException

from ...isolated import Isolated
from ...problems.rendering import MEDIA_TYPE, mark
from ...web.media_types import JSON
from ...web.preconditions import etag
from .findings import FAIL, ISOLATE, OK, WARN, Finding, Patient, named
from .tokens import probe

_SPARED = "the mount is isolated: none comes before it"
_SESSION_WORDS = frozenset({"session", "save_session", "set_cookie", "delete_cookie"})


def no_csrf_wall(patient: Patient) -> Finding:
    """No CSRF protection refuses what partners send."""
    if patient.isolated:
        return Finding(OK, _SPARED)
    if others := [hook for hook in _before(patient) if _is_wall(hook) and not _is_flask_wtfs(hook)]:
        return Finding(WARN, f"{_listed(others)} may refuse what partners send", ISOLATE)
    protection: Any = patient.app.extensions.get("csrf")
    if protection is None or not hasattr(protection, "_exempt_blueprints"):
        return Finding(OK, "no CSRFProtect")
    config = patient.app.config
    if not config.get("WTF_CSRF_ENABLED", True) or not config.get("WTF_CSRF_CHECK_DEFAULT", True):
        return Finding(OK, "CSRFProtect checks nothing by itself")
    blueprint = patient.app.blueprints.get(patient.mount.name)
    if blueprint is None:
        return Finding(OK, "CSRFProtect, and nothing mounted that it could refuse")
    if {blueprint, blueprint.name} & protection._exempt_blueprints:
        return Finding(OK, "the API is exempt from CSRFProtect")
    advice = f"call csrf.exempt(provisioning.blueprint), or {ISOLATE}"
    return Finding(FAIL, "CSRFProtect refuses what partners send", advice)


def hooks(patient: Patient) -> Finding:
    """No function of the host's that runs before each request answers partners itself, or takes what they send.

    A request of theirs is tried.
    """
    if patient.isolated:
        return Finding(OK, _SPARED)
    found = [hook for hook in _before(patient) if not _is_wall(hook)]
    if not found:
        return Finding(OK, "none of the host's runs before a request")
    advice = f"let them pass request.blueprint == {patient.mount.name!r}, or {ISOLATE}"
    if not patient.registered:
        return Finding(WARN, f"what {_listed(found)} may answer, partners would get", advice)
    for method in ("GET", "POST"):
        for hook, outcome in _answers(patient, found, method):
            return Finding(FAIL, f"{named(hook)} {outcome} where a partner sends {method} /tenants", advice)
    return Finding(OK, f"{_listed(found)}: asked before a request, and none answers")


def _answers(
    patient: Patient, found: list[Callable[..., Any]], method: str
) -> Iterator[tuple[Callable[..., Any], str]]:
    """The hooks that do not let a partner's request pass, each with what it does. They run in one request's context."""
    with patient.request(method, _token(patient)):
        for hook in found:
            if outcome := _outcome(patient, hook):
                yield hook, outcome


def _token(patient: Patient) -> str:
    """A partner's token; empty where the app signs none, and its hooks see a request without one."""
    try:
        return probe(patient)
    except Exception:
        return ""


def _outcome(patient: Patient, hook: Callable[..., Any]) -> str | None:
    """What a hook does to the current request before it reaches the API; None where it lets it pass whole."""
    try:
        answer = patient.app.ensure_sync(hook)()
    except HTTPException as error:
        return f"answers {error.code}"
    except Exception as error:
        return f"fails ({type(error).__name__})"
    if answer is not None:
        return f"answers {patient.app.make_response(answer).status_code}"
    return "takes the body" if _is_body_lost() else None


def _is_body_lost() -> bool:
    """Return whether the current request's body was read, and Flask has not kept it."""
    if request.environ["wsgi.input"].tell() == 0:
        return False
    return "stream" not in vars(request) or not request.get_data()


def answers(patient: Patient) -> Finding:
    """No function of the host's that runs after each request changes what the API promises of its answers.

    Answers as the API gives them are tried: a tenant, and a problem.
    """
    if patient.isolated:
        return Finding(OK, _SPARED)
    found = patient.app.after_request_funcs.get(None, ())[::-1]
    if not found:
        return Finding(OK, "none of the host's runs after a request")
    for status in (200, 404):
        with patient.request("GET", _token(patient)):
            if any(_outcome(patient, hook) for hook in _before(patient) if not _is_wall(hook)):
                return Finding(OK, "not tried: see the line of the hooks")
            for hook in found:
                if outcome := _changes(patient, hook, _sample(status)):
                    advice = f"let it pass request.blueprint == {patient.mount.name!r}, or {ISOLATE}"
                    return Finding(FAIL, f"{named(hook)} {outcome} where the API answers {status}", advice)
    return Finding(OK, f"{_listed(found)}: tried after a request, and the answer stays as it is")


def _sample(status: int) -> Response:
    """An answer as the API gives it."""
    kind, tag = (JSON, etag(1)) if status < 400 else (MEDIA_TYPE, "")
    answer = mark(Response(json.dumps({"status": status}), status, mimetype=kind))
    if tag:
        answer.headers["ETag"] = tag
    return answer


def _changes(patient: Patient, hook: Callable[..., Any], answer: Response) -> str | None:
    """What a hook changes of an `answer` that has to stay; None where it changes none of it."""
    before = _promised(answer)
    try:
        answer = patient.app.ensure_sync(hook)(answer)
        after = _promised(answer)
    except Exception as error:
        return f"fails ({type(error).__name__})"
    changed = [name for name in before if after[name] != before[name]]
    return f"changes the {', '.join(changed)}" if changed else None


def _promised(answer: Response) -> dict[str, Any]:
    """What partners rely on in an `answer`, by name."""
    return {
        "status": answer.status_code,
        "Content-Type": answer.mimetype,
        "Cache-Control": "no-store" in answer.headers.get("Cache-Control", ""),
        "ETag": answer.headers.get("ETag"),
        "body": answer.get_data(),
    }


def sessions(patient: Patient) -> Finding:
    """No function of the host's gives the API's answers a cookie, or makes them depend on one."""
    if patient.isolated:
        return Finding(OK, _SPARED)
    app = patient.app
    around = [*app.url_value_preprocessors.get(None, ()), *app.after_request_funcs.get(None, ())]
    if found := [hook for hook in around if _touches_sessions(hook)]:
        return Finding(WARN, f"{_listed(found)} may give the API's answers cookies", ISOLATE)
    return Finding(OK, "no hook around a request touches them")


def compression(patient: Patient) -> Finding:
    """Nothing of the host's compresses the API's answers."""
    if patient.isolated:
        return Finding(OK, _SPARED)
    after = patient.app.after_request_funcs.get(None, ())
    if any(named(hook).startswith("flask_compress.") for hook in after):
        detail = "Flask-Compress packs the API's answers, secrets too, and changes their ETags, which If-Match takes"
        return Finding(WARN, detail, f"leave the API to the proxy in front, or {ISOLATE}")
    return Finding(OK, "no Flask-Compress")


def middleware(patient: Patient) -> Finding:
    """What wraps the app's `wsgi_app` wraps the API."""
    behind = patient.mount.entrance
    while isinstance(behind, Isolated):
        behind = behind.behind
    if behind is None or getattr(behind, "__self__", None) is patient.app:
        return Finding(OK, "whatever wraps app.wsgi_app stands before the API")
    detail = f"{named(behind)} was there before init_app: no request to the API passes through it"
    return Finding(WARN, detail, "wrap app.wsgi_app after provisioning.init_app(app)")


def _before(patient: Patient) -> list[Callable[..., Any]]:
    return list(patient.app.before_request_funcs.get(None, ()))


def _is_wall(hook: Callable[..., Any]) -> bool:
    return any(word in named(hook).lower() for word in ("csrf", "seasurf", "xsrf"))


def _is_flask_wtfs(hook: Callable[..., Any]) -> bool:
    return named(hook).startswith("flask_wtf.csrf.CSRFProtect.")


def _listed(found: list[Callable[..., Any]]) -> str:
    return ", ".join(map(named, found))


def _touches_sessions(hook: Any) -> bool:
    while isinstance(hook, functools.partial):
        hook = hook.func
    code = getattr(inspect.unwrap(hook), "__code__", None) or getattr(type(hook).__call__, "__code__", None)
    return code is not None and not _SESSION_WORDS.isdisjoint(_words(code))


def _words(code: CodeType) -> Iterator[str]:
    """Every name that some code speaks of, in functions within it too."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _words(constant)


def migrations(patient: Patient) -> Finding:
    """The host's Flask-Migrate does not write migrations that drop our tables."""
    migrate: Any = patient.app.extensions.get("migrate")
    if migrate is None:
        return Finding(OK, "no Flask-Migrate")
    if not _is_same_database(patient, migrate):
        return Finding(OK, "Flask-Migrate works on another database")
    mine = {name for mount in patient.mounts for name in mount.storage.metadata.tables}
    if not any(_is_compared(migrate.configure_args, name) for name in mine) or _filters(migrate.directory):
        return Finding(OK, "Flask-Migrate leaves the API's tables alone")
    prefix = patient.mount.settings.table_prefix
    given = "" if prefix == "provisioning_" else repr(prefix)
    advice = f"Migrate(app, db, include_name=exclude_ours({given})), from flask_tenant_provisioning.database.migration"
    return Finding(FAIL, "`flask db migrate` would write a migration that drops the API's tables", advice)


def _is_same_database(patient: Patient, migrate: Any) -> bool:
    """Return whether the host migrates the database that the mount is in; its binds too."""
    engines = getattr(migrate.db, "engines", None) or {None: migrate.db.engine}
    return any(engine.url == patient.mount.storage.engine.url for engine in engines.values())


def _is_compared(options: Mapping[str, Any], name: str) -> bool:
    """Return whether Alembic, given these options of the host's, looks at the table of this name."""
    include_name, include_object = options.get("include_name"), options.get("include_object")
    if include_name is not None and not include_name(name, "table", {"schema_name": None}):
        return False
    return include_object is None or bool(include_object(Table(name, MetaData()), name, "table", True, None))


def _filters(directory: str) -> bool:
    """Return whether the host's own ``env.py`` names our filter."""
    try:
        return "exclude_ours" in (Path(directory) / "env.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
