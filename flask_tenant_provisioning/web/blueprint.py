"""The Flask blueprint of one mount: URL rules, a view for each route, and problems for all other paths and methods."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from flask import Blueprint, Response, current_app, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import BaseConverter, MapAdapter, Rule

from .. import errors
from ..mount import Mount
from ..rate_limits import enforce_rate_limit
from ..responses import get_request_id, set_common_headers
from ..routes import ROUTES
from .docs_links import follow_link, has_valid_cookie
from .errors import register_error_handlers
from .headers import add_accept_patch, require_json_acceptable
from .request import Request
from .routing import Route


def make_blueprint(mount: Mount) -> Blueprint:
    """The API of `mount`, for an app to register."""
    blueprint = Blueprint(mount.name, __name__, url_prefix=mount.settings.url_prefix)
    shut = find_rules_below_paths(ROUTES)
    for route in ROUTES:
        view, answers_options = _make_view(route, mount), route.rule not in shut
        add_rule(blueprint, route.rule, route.endpoint, view, [route.method], answers_options=answers_options)
    for rule in sorted(shut):
        add_rule(blueprint, rule, UNMATCHED, handle_unmatched, answers_options=False)
    for rule in CATCH_ALL_RULES:
        add_rule(blueprint, rule, UNMATCHED, handle_unmatched, answers_options=False, strict_slashes=False)
    hide_hosts(blueprint)
    blueprint.record(match_every_method)
    register_error_handlers(blueprint, mount)
    blueprint.after_request(_finish_response)
    return blueprint


def _finish_response(response: Response) -> Response:
    """Set the headers that every response bears. One function, since Flask takes a microsecond for each hook."""
    if request.method == "OPTIONS":
        add_accept_patch(response)
    return set_common_headers(response)


def _make_view(route: Route, mount: Mount) -> Callable[..., Response]:
    """The view of `route`: the gate, then the handler."""
    handler, needed, negotiates = route.handler, route.permissions, route.negotiates

    if isinstance(needed, tuple):
        counted = functools.partial(enforce_rate_limit, mount, route.rate_class)

        def guarded(**path: Any) -> Response:
            principal = mount.guard.admit(needed, counted)
            mount.engine.start()
            if not negotiates:
                require_json_acceptable()
            return handler(Request(mount, principal), **path)

        return functools.update_wrapper(guarded, handler)

    def public(**path: Any) -> Response:
        get_request_id(mount.settings.request_id_key)
        asked = route.needs(mount.settings.public_docs)
        if asked and (followed := follow_link(mount)) is not None:
            return followed
        principal = mount.guard.admit(asked) if asked and not has_valid_cookie(mount) else None
        return handler(Request(mount, principal), **path)

    return functools.update_wrapper(public, handler)


UNMATCHED = "unmatched"
#: The rules that leave nothing below the prefix to others.
CATCH_ALL_RULES = ("/", "/<path:unmatched>")
_DOUBLE_SLASH = "There is nothing at this path: two slashes follow each other in it. Does your base URL end in one?"


class _EveryMethod(set[str]):
    """Holds every method and shows none: the catch-all answers them all, yet never appears in an ``Allow``."""

    def __contains__(self, method: object) -> bool:
        return method != "--"


def match_every_method(state: BlueprintSetupState) -> None:
    for rule in state.app.url_map.iter_rules(f"{state.name}.{UNMATCHED}"):
        rule.methods = _EveryMethod()


def find_rules_below_paths(routes: Iterable[Route]) -> frozenset[str]:
    """The rules that end in something fixed behind a place that takes slashes.

    Methods that are not theirs would go to the route that ends with that place, for which all of it is one name: the
    catch-all has to stand there too.
    """
    shut = (route for route in routes if "<path:" in route.rule and not route.rule.endswith(">"))
    return frozenset(route.rule for route in shut)


def handle_unmatched(**_path: Any) -> Response:
    """What is under the prefix and matches no other rule: a wrong method, or nothing at all."""
    if request.url_rule is not None and not request.url_rule.rule.endswith(CATCH_ALL_RULES):
        return _handle_other_method(request.url_rule)
    adapter = current_app.create_url_adapter(request)
    routed = {method: _match_endpoint(adapter, method) for method in adapter.allowed_methods()} if adapter else {}
    ours = f"{request.blueprint}."
    allowed = sorted(method for method, endpoint in routed.items() if endpoint != f"{ours}{UNMATCHED}")
    if not allowed:
        raise errors.NotFound(_DOUBLE_SLASH if "//" in request.path else None)
    if not any(routed[method].startswith(ours) for method in allowed):
        raise _hand_back_to_host(MethodNotAllowed(allowed))
    raise errors.MethodNotAllowed(f"{request.method} is not possible here.", headers={"Allow": ", ".join(allowed)})


def _handle_other_method(rule: Rule) -> Response:
    """What a rule of `beneath` answers to the methods that none of its routes has; ``OPTIONS`` is among them."""
    beside = (one for one in current_app.url_map.iter_rules() if one.rule == rule.rule and one is not rule)
    allowed = ", ".join(sorted({"OPTIONS"}.union(*(one.methods or () for one in beside))))
    if request.method == "OPTIONS":
        return Response(headers={"Allow": allowed})
    raise errors.MethodNotAllowed(f"{request.method} is not possible here.", headers={"Allow": allowed})


def _match_endpoint(adapter: MapAdapter, method: str) -> str:
    """The endpoint at the request's path for one of the methods that are said to be allowed there.

    They are so of the path with its slashes merged too, at which only the catch-all stands as it was sent.
    """
    endpoint: str = adapter.match(method=method)[0]
    return endpoint


def _hand_back_to_host(error: MethodNotAllowed) -> MethodNotAllowed:
    """Forget that a rule of ours matched: on a route of the host's own, the host answers as if we were not there."""
    request.routing_exception, request.url_rule, request.view_args = error, None, None
    return error


#: The place for the host in the rules of an app that matches hosts: they hold for each.
_HOST_VARIABLE = "provisioning_host"


class _AnyTextConverter(BaseConverter):
    """Any text, also one that begins with a slash or holds a line break: Werkzeug's ``path`` takes neither."""

    regex = "(?s:.+)"
    weight = 200
    part_isolating = False


class _TextRule(Rule):
    """A rule whose ``<path:…>`` takes any text; the app's own converters stay as they are."""

    def get_converter(
        self, variable_name: str, converter_name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> BaseConverter:
        if converter_name == "path":
            return _AnyTextConverter(self.map)
        return super().get_converter(variable_name, converter_name, args, kwargs)


def add_rule(
    blueprint: Blueprint,
    rule: str,
    endpoint: str,
    view: Callable[..., Any],
    methods: Iterable[str] = (),
    *,
    answers_options: bool = True,
    **options: Any,
) -> None:
    """Add a rule for every host that the app answers; Flask answers its ``OPTIONS`` where `answers_options`."""
    register = partial(_register_rule, rule=rule, endpoint=endpoint, view=view, methods=methods)
    blueprint.record(partial(register, answers_options=answers_options, options=options))


def hide_hosts(blueprint: Blueprint) -> None:
    """Keep the host that a rule matched from the views, which expect none."""

    def hide(_endpoint: str | None, values: dict[str, Any] | None) -> None:
        if values:
            values.pop(_HOST_VARIABLE, None)

    def register(state: BlueprintSetupState) -> None:
        if state.app.url_map.host_matching:
            name = f"{state.name_prefix}.{state.name}".lstrip(".")
            state.app.url_value_preprocessors[name].append(hide)

    blueprint.record(register)


def _register_rule(
    state: BlueprintSetupState,
    *,
    rule: str,
    endpoint: str,
    view: Callable[..., Any],
    methods: Iterable[str],
    answers_options: bool,
    options: Mapping[str, Any],
) -> None:
    app, shared = state.app, {"merge_slashes": False, **options}
    if app.url_map.host_matching:
        shared["host"] = f"<{_HOST_VARIABLE}>"
    answers_options = answers_options and app.config.get("PROVIDE_AUTOMATIC_OPTIONS", True)
    if "<path:" not in rule:
        automatic = None if answers_options else False
        state.add_url_rule(rule, endpoint, view, methods=methods, provide_automatic_options=automatic, **shared)
        return
    name = f"{state.name_prefix}.{state.name}.{endpoint}".lstrip(".")
    every = {*methods, *(["OPTIONS"] if answers_options else [])}
    made = _TextRule(f"{state.url_prefix}{rule}", endpoint=name, methods=every, subdomain=state.subdomain, **shared)
    made.provide_automatic_options = answers_options  # type: ignore[attr-defined]
    app.url_map.add(made)
    app.view_functions[name] = view
