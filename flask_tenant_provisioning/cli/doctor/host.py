"""Checks of the host: whether it serves the mount, what of it runs before the API, and whether routes overlap."""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from ...isolated import IsolatedMiddleware, list_rules_below
from ...responses import PROBLEM_MEDIA_TYPE, set_common_headers
from ...web.blueprint import UNMATCHED
from ...web.headers import JSON, format_etag
from .context import FAIL, ISOLATE_ADVICE, OK, WARN, DoctorContext, Finding, get_qualified_name
from .tokens import sign_probe


def check_mount(context: DoctorContext) -> Finding:
    """The app serves the API."""
    mount = context.mount
    if not context.is_served:
        return Finding(WARN, f"nothing is mounted at {mount.config.url_prefix}", "see the line of the license")
    rules = sum(rule.endpoint.startswith(f"{mount.name}.") for rule in mount.app.url_map.iter_rules())
    kind = ", isolated" if context.isolated else ""
    return Finding(OK, f"{mount.name}, {rules} routes at {mount.config.url_prefix}{kind}")


_ISOLATED_DETAIL = "the mount is isolated: none comes before it"
_SESSION_NAMES = frozenset({"session", "save_session", "set_cookie", "delete_cookie"})


def check_csrf(context: DoctorContext) -> Finding:
    """No CSRF protection refuses what partners send."""
    if context.isolated:
        return Finding(OK, _ISOLATED_DETAIL)
    if others := [
        hook for hook in _list_before_request_hooks(context) if _is_csrf_hook(hook) and not _is_flask_wtf_hook(hook)
    ]:
        return Finding(WARN, f"{_format_names(others)} may refuse what partners send", ISOLATE_ADVICE)
    protection: Any = context.app.extensions.get("csrf")
    if protection is None or not hasattr(protection, "_exempt_blueprints"):
        return Finding(OK, "no CSRFProtect")
    config = context.app.config
    if not config.get("WTF_CSRF_ENABLED", True) or not config.get("WTF_CSRF_CHECK_DEFAULT", True):
        return Finding(OK, "CSRFProtect checks nothing by itself")
    blueprint = context.app.blueprints.get(context.mount.name)
    if blueprint is None:
        return Finding(OK, "CSRFProtect, and nothing mounted that it could refuse")
    if {blueprint, blueprint.name} & protection._exempt_blueprints:
        return Finding(OK, "the API is exempt from CSRFProtect")
    advice = f"call csrf.exempt(provisioning.blueprint), or {ISOLATE_ADVICE}"
    return Finding(FAIL, "CSRFProtect refuses what partners send", advice)


def check_hooks(context: DoctorContext) -> Finding:
    """No function of the host's that runs before each request answers partners itself, or takes what they send.

    A request of theirs is tried.
    """
    if context.isolated:
        return Finding(OK, _ISOLATED_DETAIL)
    found = [hook for hook in _list_before_request_hooks(context) if not _is_csrf_hook(hook)]
    if not found:
        return Finding(OK, "none of the host's runs before a request")
    advice = f"let them pass request.blueprint == {context.mount.name!r}, or {ISOLATE_ADVICE}"
    if not context.is_served:
        return Finding(WARN, f"what {_format_names(found)} may answer, partners would get", advice)
    for method in ("GET", "POST"):
        for hook, outcome in _find_answering_hooks(context, found, method):
            return Finding(
                FAIL, f"{get_qualified_name(hook)} {outcome} where a partner sends {method} /tenants", advice
            )
    return Finding(OK, f"{_format_names(found)}: asked before a request, and none answers")


def _find_answering_hooks(
    context: DoctorContext, found: list[Callable[..., Any]], method: str
) -> Iterator[tuple[Callable[..., Any], str]]:
    """The hooks that do not let a partner's request pass, each with what it does. They run in one request's context."""
    with context.request(method, _token(context)):
        for hook in found:
            if outcome := _outcome(context, hook):
                yield hook, outcome


def _token(context: DoctorContext) -> str:
    """A partner's token; empty where the app signs none, and its hooks see a request without one."""
    try:
        return sign_probe(context)
    except Exception:
        return ""


def _outcome(context: DoctorContext, hook: Callable[..., Any]) -> str | None:
    """What a hook does to the current request before it reaches the API; None where it lets it pass whole."""
    try:
        answer = context.app.ensure_sync(hook)()
    except HTTPException as error:
        return f"answers {error.code}"
    except Exception as error:
        return f"fails ({type(error).__name__})"
    if answer is not None:
        return f"answers {context.app.make_response(answer).status_code}"
    return "takes the body" if _is_body_lost() else None


def _is_body_lost() -> bool:
    """Return whether the current request's body was read, and Flask has not kept it."""
    if request.environ["wsgi.input"].tell() == 0:
        return False
    return "stream" not in vars(request) or not request.get_data()


def answers(context: DoctorContext) -> Finding:
    """No function of the host's that runs after each request changes what the API promises of its answers.

    Answers as the API gives them are tried: a tenant, and a problem.
    """
    if context.isolated:
        return Finding(OK, _ISOLATED_DETAIL)
    found = context.app.after_request_funcs.get(None, ())[::-1]
    if not found:
        return Finding(OK, "none of the host's runs after a request")
    for status in (200, 404):
        with context.request("GET", _token(context)):
            if any(_outcome(context, hook) for hook in _list_before_request_hooks(context) if not _is_csrf_hook(hook)):
                return Finding(OK, "not tried: see the line of the hooks")
            for hook in found:
                if outcome := _changes(context, hook, _sample(status)):
                    advice = f"let it pass request.blueprint == {context.mount.name!r}, or {ISOLATE_ADVICE}"
                    return Finding(FAIL, f"{get_qualified_name(hook)} {outcome} where the API answers {status}", advice)
    return Finding(OK, f"{_format_names(found)}: tried after a request, and the answer stays as it is")


def _sample(status: int) -> Response:
    """An answer as the API gives it."""
    kind, tag = (JSON, format_etag(1)) if status < 400 else (PROBLEM_MEDIA_TYPE, "")
    answer = set_common_headers(Response(json.dumps({"status": status}), status, mimetype=kind))
    if tag:
        answer.headers["ETag"] = tag
    return answer


def _changes(context: DoctorContext, hook: Callable[..., Any], answer: Response) -> str | None:
    """What a hook changes of an `answer` that has to stay; None where it changes none of it."""
    before = _promised(answer)
    try:
        answer = context.app.ensure_sync(hook)(answer)
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


def check_sessions(context: DoctorContext) -> Finding:
    """No function of the host's gives the API's answers a cookie, or makes them depend on one."""
    if context.isolated:
        return Finding(OK, _ISOLATED_DETAIL)
    app = context.app
    around = [*app.url_value_preprocessors.get(None, ()), *app.after_request_funcs.get(None, ())]
    if found := [hook for hook in around if _is_using_sessions(hook)]:
        return Finding(WARN, f"{_format_names(found)} may give the API's answers cookies", ISOLATE_ADVICE)
    return Finding(OK, "no hook around a request touches them")


def check_compression(context: DoctorContext) -> Finding:
    """Nothing of the host's compresses the API's answers."""
    if context.isolated:
        return Finding(OK, _ISOLATED_DETAIL)
    after = context.app.after_request_funcs.get(None, ())
    if any(get_qualified_name(hook).startswith("flask_compress.") for hook in after):
        detail = "Flask-Compress packs the API's answers, secrets too, and changes their ETags, which If-Match takes"
        return Finding(WARN, detail, f"leave the API to the proxy in front, or {ISOLATE_ADVICE}")
    return Finding(OK, "no Flask-Compress")


def check_middleware(context: DoctorContext) -> Finding:
    """What wraps the app's `wsgi_app` wraps the API."""
    behind = context.mount.entrance
    while isinstance(behind, IsolatedMiddleware):
        behind = behind.wrapped
    if behind is None or getattr(behind, "__self__", None) is context.app:
        return Finding(OK, "whatever wraps app.wsgi_app stands before the API")
    detail = f"{get_qualified_name(behind)} was there before init_app: no request to the API passes through it"
    return Finding(WARN, detail, "wrap app.wsgi_app after provisioning.init_app(app)")


def _list_before_request_hooks(context: DoctorContext) -> list[Callable[..., Any]]:
    return list(context.app.before_request_funcs.get(None, ()))


def _is_csrf_hook(hook: Callable[..., Any]) -> bool:
    return any(word in get_qualified_name(hook).lower() for word in ("csrf", "seasurf", "xsrf"))


def _is_flask_wtf_hook(hook: Callable[..., Any]) -> bool:
    return get_qualified_name(hook).startswith("flask_wtf.csrf.CSRFProtect.")


def _format_names(found: list[Callable[..., Any]]) -> str:
    return ", ".join(map(get_qualified_name, found))


def _is_using_sessions(hook: Any) -> bool:
    while isinstance(hook, functools.partial):
        hook = hook.func
    code = getattr(inspect.unwrap(hook), "__code__", None) or getattr(type(hook).__call__, "__code__", None)
    return code is not None and not _SESSION_NAMES.isdisjoint(_iter_code_names(code))


def _iter_code_names(code: CodeType) -> Iterator[str]:
    """Every name that some code speaks of, in functions within it too."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _iter_code_names(constant)


_SHARED_METHODS = {"HEAD", "OPTIONS"}
MethodAndPath = tuple[str, str]


def check_routes(context: DoctorContext) -> Finding:
    """No route of the host's has the path of one of ours."""
    prefix, name = context.mount.config.url_prefix, context.mount.name
    ours = {place for rule in _iter_mount_rules(context.mount.app, name) for place in _get_methods_and_path(rule)}
    theirs = [rule for rule in list_rules_below(context.app, prefix) if not _is_mount_rule(context, rule)]
    if taken := [rule.rule for rule in theirs if ours.intersection(_get_methods_and_path(rule))]:
        outcome = "is hidden by the API" if context.isolated else "may answer in the API's place"
        return Finding(FAIL, f"the host's {', '.join(taken)} {outcome}", "move it, or set PROVISIONING_URL_PREFIX")
    if theirs:
        return Finding(OK, f"{len(theirs)} of the host's lie below {prefix}, beside ours")
    return Finding(OK, f"none of the host's lies below {prefix}")


def _iter_mount_rules(app: Flask, name: str) -> Iterator[Rule]:
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(f"{name}.") and rule.endpoint != f"{name}.{UNMATCHED}":
            yield rule


def _is_mount_rule(context: DoctorContext, rule: Rule) -> bool:
    return any(rule.endpoint.startswith(f"{mount.name}.") for mount in context.mounts if mount.app is context.app)


def _get_methods_and_path(rule: Rule) -> set[MethodAndPath]:
    """Each method and path, without what its variables are called and match."""
    path = re.sub(r"<[^>]*>", "<>", rule.rule)
    return {(method, path) for method in (rule.methods or set()) - _SHARED_METHODS}
