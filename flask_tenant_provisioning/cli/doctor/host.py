"""Checks of the host: the mount is served, no code that runs around the API disturbs it, and no routes overlap."""

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
    """Check that the app serves the API."""
    mount = context.mount
    if not context.is_served:
        return Finding(WARN, f"nothing is mounted at {mount.config.url_prefix}", "see the line `license`")
    rules = sum(rule.endpoint.startswith(f"{mount.name}.") for rule in mount.app.url_map.iter_rules())
    kind = ", isolated" if context.is_isolated else ""
    return Finding(OK, f"{mount.name}, {rules} routes at {mount.config.url_prefix}{kind}")


_ISOLATED_DETAIL = "the mount is isolated: no code of the host runs before it"
_SHARED_METHODS = {"HEAD", "OPTIONS"}
MethodAndPath = tuple[str, str]
_SESSION_NAMES = frozenset({"session", "save_session", "set_cookie", "delete_cookie"})


def check_csrf(context: DoctorContext) -> Finding:
    """Check that no CSRF protection refuses partners' requests."""
    if context.is_isolated:
        return Finding(OK, _ISOLATED_DETAIL)
    csrf_hooks = [hook for hook in _list_before_request_hooks(context) if _is_csrf_hook(hook)]
    unknown_hooks = [hook for hook in csrf_hooks if not _is_flask_wtf_hook(hook)]
    if unknown_hooks:
        return Finding(WARN, f"{_format_names(unknown_hooks)} may refuse partners' requests", ISOLATE_ADVICE)
    protection: Any = context.app.extensions.get("csrf")
    if protection is None or not hasattr(protection, "_exempt_blueprints"):
        return Finding(OK, "no CSRFProtect")
    config = context.app.config
    if not config.get("WTF_CSRF_ENABLED", True) or not config.get("WTF_CSRF_CHECK_DEFAULT", True):
        return Finding(OK, "CSRFProtect does not check requests by default")
    blueprint = context.app.blueprints.get(context.mount.name)
    if blueprint is None:
        return Finding(OK, "CSRFProtect is used, and nothing is mounted")
    if {blueprint, blueprint.name} & protection._exempt_blueprints:
        return Finding(OK, "the API is exempt from CSRFProtect")
    advice = f"call csrf.exempt(provisioning.blueprint), or {ISOLATE_ADVICE}"
    return Finding(FAIL, "CSRFProtect refuses partners' requests", advice)


def check_hooks(context: DoctorContext) -> Finding:
    """Check that no `before_request` function of the host responds to partners' requests, or reads their bodies.

    The functions are called in the context of a partner's request.
    """
    if context.is_isolated:
        return Finding(OK, _ISOLATED_DETAIL)
    hooks = [hook for hook in _list_before_request_hooks(context) if not _is_csrf_hook(hook)]
    if not hooks:
        return Finding(OK, "the host has no before_request function")
    advice = _make_skip_advice(context)
    if not context.is_served:
        return Finding(WARN, f"{_format_names(hooks)} may respond to partners' requests", advice)
    for method in ("GET", "POST"):
        for hook, outcome in _find_failing_hooks(context, hooks, method):
            return Finding(FAIL, f"{get_qualified_name(hook)} {outcome} for a partner's {method} /tenants", advice)
    return Finding(OK, f"{_format_names(hooks)}: called before a request, and none responds")


def _make_skip_advice(context: DoctorContext) -> str:
    return f"skip requests with request.blueprint == {context.mount.name!r} in it, or {ISOLATE_ADVICE}"


def _find_failing_hooks(
    context: DoctorContext, hooks: list[Callable[..., Any]], method: str
) -> Iterator[tuple[Callable[..., Any], str]]:
    """Yield the hooks that do not let a partner's request pass, with the outcome. All run in one request context."""
    with context.open_request(method, _sign_token(context)):
        for hook in hooks:
            outcome = _call_before_request_hook(context, hook)
            if outcome is not None:
                yield hook, outcome


def _sign_token(context: DoctorContext) -> str:
    """Return a partner's token, or an empty text if the app signs none."""
    try:
        return sign_probe(context)
    except Exception:
        return ""


def _call_before_request_hook(context: DoctorContext, hook: Callable[..., Any]) -> str | None:
    """Call a hook in the current request and return its outcome in words; None if the request passes unchanged."""
    try:
        result = context.app.ensure_sync(hook)()
    except HTTPException as error:
        return f"returns {error.code}"
    except Exception as error:
        return f"fails ({type(error).__name__})"
    if result is not None:
        return f"returns {context.app.make_response(result).status_code}"
    return "consumes the body" if _is_body_lost() else None


def _is_body_lost() -> bool:
    """Return True if the current request's body was read, and Flask has not cached it."""
    if request.environ["wsgi.input"].tell() == 0:
        return False
    return "stream" not in vars(request) or not request.get_data()


def check_responses(context: DoctorContext) -> Finding:
    """Check that no `after_request` function of the host changes the API's responses.

    The functions are called with two responses like those of the API: a tenant, and a problem.
    """
    if context.is_isolated:
        return Finding(OK, _ISOLATED_DETAIL)
    hooks = context.app.after_request_funcs.get(None, ())[::-1]
    if not hooks:
        return Finding(OK, "the host has no after_request function")
    before_hooks = [hook for hook in _list_before_request_hooks(context) if not _is_csrf_hook(hook)]
    for status in (200, 404):
        with context.open_request("GET", _sign_token(context)):
            if any(_call_before_request_hook(context, hook) for hook in before_hooks):
                return Finding(OK, "not checked: see the line `hooks`")
            for hook in hooks:
                outcome = _call_after_request_hook(context, hook, _make_response(status))
                if outcome is not None:
                    detail = f"{get_qualified_name(hook)} {outcome} where the API returns {status}"
                    return Finding(FAIL, detail, _make_skip_advice(context))
    return Finding(OK, f"{_format_names(hooks)}: called after a request, and the response stays as it is")


def _make_response(status: int) -> Response:
    """Return a response like those of the API."""
    is_success = status < 400
    media_type = JSON if is_success else PROBLEM_MEDIA_TYPE
    response = set_common_headers(Response(json.dumps({"status": status}), status, mimetype=media_type))
    if is_success:
        response.headers["ETag"] = format_etag(1)
    return response


def _call_after_request_hook(context: DoctorContext, hook: Callable[..., Any], response: Response) -> str | None:
    """Call a hook with `response` and return in words which contractual parts it changes; None if it changes none."""
    before = _get_contract(response)
    try:
        response = context.app.ensure_sync(hook)(response)
        after = _get_contract(response)
    except Exception as error:
        return f"fails ({type(error).__name__})"
    changes = [name for name in before if after[name] != before[name]]
    return f"changes the {', '.join(changes)}" if changes else None


def _get_contract(response: Response) -> dict[str, Any]:
    """Return the parts of a response that partners rely on, by name."""
    return {
        "status": response.status_code,
        "Content-Type": response.mimetype,
        "Cache-Control": "no-store" in response.headers.get("Cache-Control", ""),
        "ETag": response.headers.get("ETag"),
        "body": response.get_data(),
    }


def check_sessions(context: DoctorContext) -> Finding:
    """Check that no function of the host sets cookies on the API's responses, or makes them depend on cookies."""
    if context.is_isolated:
        return Finding(OK, _ISOLATED_DETAIL)
    app = context.app
    hooks = [*app.url_value_preprocessors.get(None, ()), *app.after_request_funcs.get(None, ())]
    session_hooks = [hook for hook in hooks if _uses_sessions(hook)]
    if session_hooks:
        return Finding(WARN, f"{_format_names(session_hooks)} may set cookies on the API's responses", ISOLATE_ADVICE)
    return Finding(OK, "no hook around a request uses sessions or cookies")


def check_compression(context: DoctorContext) -> Finding:
    """Check that the host does not compress the API's responses."""
    if context.is_isolated:
        return Finding(OK, _ISOLATED_DETAIL)
    hooks = context.app.after_request_funcs.get(None, ())
    if any(get_qualified_name(hook).startswith("flask_compress.") for hook in hooks):
        detail = (
            "Flask-Compress compresses the API's responses, even secrets, and changes the ETags that If-Match needs"
        )
        return Finding(WARN, detail, f"let the proxy in front compress the API, or {ISOLATE_ADVICE}")
    return Finding(OK, "no Flask-Compress")


def check_middleware(context: DoctorContext) -> Finding:
    """Check that middleware around the app's `wsgi_app` is around the API too."""
    wrapped = context.mount.entrance
    while isinstance(wrapped, IsolatedMiddleware):
        wrapped = wrapped.wrapped
    if wrapped is None or getattr(wrapped, "__self__", None) is context.app:
        return Finding(OK, "every wrapper of app.wsgi_app also wraps the API")
    detail = f"{get_qualified_name(wrapped)} was added before init_app: requests to the API do not pass through it"
    return Finding(WARN, detail, "wrap app.wsgi_app after provisioning.init_app(app)")


def _list_before_request_hooks(context: DoctorContext) -> list[Callable[..., Any]]:
    return list(context.app.before_request_funcs.get(None, ()))


def _is_csrf_hook(hook: Callable[..., Any]) -> bool:
    return any(word in get_qualified_name(hook).lower() for word in ("csrf", "seasurf", "xsrf"))


def _is_flask_wtf_hook(hook: Callable[..., Any]) -> bool:
    return get_qualified_name(hook).startswith("flask_wtf.csrf.CSRFProtect.")


def _format_names(hooks: list[Callable[..., Any]]) -> str:
    return ", ".join(map(get_qualified_name, hooks))


def _uses_sessions(hook: Any) -> bool:
    while isinstance(hook, functools.partial):
        hook = hook.func
    code = getattr(inspect.unwrap(hook), "__code__", None) or getattr(type(hook).__call__, "__code__", None)
    return code is not None and not _SESSION_NAMES.isdisjoint(_iter_code_names(code))


def _iter_code_names(code: CodeType) -> Iterator[str]:
    """Yield every name that `code` uses, also in nested functions."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _iter_code_names(constant)


def check_routes(context: DoctorContext) -> Finding:
    """Check that no route of the host has the method and path of one of ours."""
    prefix, name = context.mount.config.url_prefix, context.mount.name
    own_pairs = {pair for rule in _iter_mount_rules(context.mount.app, name) for pair in _get_methods_and_path(rule)}
    host_rules = [rule for rule in list_rules_below(context.app, prefix) if not _is_mount_rule(context, rule)]
    overlapping = [rule.rule for rule in host_rules if own_pairs.intersection(_get_methods_and_path(rule))]
    if overlapping:
        outcome = "is hidden by the API" if context.is_isolated else "may handle requests to the API"
        return Finding(
            FAIL, f"the host's {', '.join(overlapping)} {outcome}", "move it, or set PROVISIONING_URL_PREFIX"
        )
    if host_rules:
        return Finding(OK, f"{len(host_rules)} routes of the host below {prefix}, and none overlaps with ours")
    return Finding(OK, f"no route of the host below {prefix}")


def _iter_mount_rules(app: Flask, name: str) -> Iterator[Rule]:
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(f"{name}.") and rule.endpoint != f"{name}.{UNMATCHED}":
            yield rule


def _is_mount_rule(context: DoctorContext, rule: Rule) -> bool:
    return any(rule.endpoint.startswith(f"{mount.name}.") for mount in context.mounts if mount.app is context.app)


def _get_methods_and_path(rule: Rule) -> set[MethodAndPath]:
    """Return the rule's method and path pairs, without the names and converters of its variables."""
    path = re.sub(r"<[^>]*>", "<>", rule.rule)
    return {(method, path) for method in (rule.methods or set()) - _SHARED_METHODS}
