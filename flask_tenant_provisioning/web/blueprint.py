"""The Flask blueprint of one mount: URL rules, a view for each route, and 404 and 405 problems for everything else."""

from __future__ import annotations

import functools
import hmac
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from flask import Blueprint, Response, current_app, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import BaseConverter, MapAdapter, Rule

from .. import errors
from ..access.principal import ANONYMOUS, METRICS_READER
from ..mount import Mount
from ..rate_limits import enforce_rate_limit
from ..responses import get_request_id, set_common_headers
from ..telemetry.base import REQUEST_KEY, RequestLabels, Telemetry
from .docs_links import follow_link, has_valid_cookie
from .errors import register_error_handlers
from .headers import add_accept_patch, require_json_acceptable
from .request import Request
from .routing import Route


def make_blueprint(mount: Mount) -> Blueprint:
    """Return a blueprint with all routes of `mount`, for an app to register."""
    blueprint = Blueprint(mount.name, __name__, url_prefix=mount.config.url_prefix)
    rules_below_paths = find_rules_below_paths(mount.routes)
    for route in mount.routes:
        view = _measure_view(_make_view(route, mount), mount, route.path_template)
        answers_options = route.rule not in rules_below_paths
        add_rule(blueprint, route.rule, route.endpoint, view, [route.method], answers_options=answers_options)
    unmatched_view = _measure_view(handle_unmatched, mount, UNMATCHED_TEMPLATE)
    for rule in sorted(rules_below_paths):
        add_rule(blueprint, rule, UNMATCHED, unmatched_view, answers_options=False)
    for rule in CATCH_ALL_RULES:
        add_rule(blueprint, rule, UNMATCHED, unmatched_view, answers_options=False, strict_slashes=False)
    hide_hosts(blueprint)
    blueprint.record(match_every_method)
    register_error_handlers(blueprint, mount)
    blueprint.after_request(_make_measured_finish(mount.telemetry) if mount.telemetry.is_on else _finish_response)
    return blueprint


def _finish_response(response: Response) -> Response:
    """Set the headers of every response. One hook instead of two, since each costs Flask a microsecond."""
    if request.method == "OPTIONS":
        add_accept_patch(response)
    return set_common_headers(response)


def _make_measured_finish(telemetry: Telemetry) -> Callable[[Response], Response]:
    """Return a function that sets the headers of every response, and records the request in the metrics and its span.

    While nothing takes them, that costs a look at one attribute.
    """

    def finish_measured(response: Response) -> Response:
        response = _finish_response(response)
        if telemetry.has_receiver and REQUEST_KEY in (environ := request.environ):
            telemetry.finish_request(environ, response.status_code)
        return response

    return finish_measured


def _admit_metrics_token(
    guarded_view: Callable[..., Response], handler: Callable[..., Response], mount: Mount, token: str
) -> Callable[..., Response]:
    """Return a view that admits the bearer `token` as a principal of its own, and leaves others to `guarded_view`."""
    expected = token.encode()

    def view(**path: Any) -> Response:
        scheme, _, credentials = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(credentials.strip().encode(), expected):
            return guarded_view(**path)
        return handler(Request(mount, METRICS_READER, get_request_id(mount.config.request_id_key)), **path)

    return functools.update_wrapper(view, handler)


OTHER_METHOD = "_OTHER"
#: The methods that a label may name (HTTP semantic conventions of OpenTelemetry).
_KNOWN_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})


def _measure_view(view: Callable[..., Response], mount: Mount, template: str) -> Callable[..., Response]:
    """Return a view that starts the request's span and time before `view`, if telemetry is on; else `view` itself."""
    telemetry = mount.telemetry
    if not telemetry.is_on:
        return view
    labels = {method: RequestLabels(method, template) for method in (*_KNOWN_METHODS, OTHER_METHOD)}

    def measured_view(**path: Any) -> Response:
        if telemetry.is_recording():
            telemetry.start_request(request.environ, labels.get(request.method, labels[OTHER_METHOD]))
        return view(**path)

    return functools.update_wrapper(measured_view, view)


def _make_view(route: Route, mount: Mount) -> Callable[..., Response]:
    """Return a view that calls the route's handler.

    A guarded route first authenticates and rate-limits the request, and starts the work engine of this process.
    """
    handler, permissions, is_json_only = route.handler, route.permissions, not route.has_several_types
    request_id_key = mount.config.request_id_key

    if isinstance(permissions, tuple):
        rate_class = route.rate_class
        count_request = partial(enforce_rate_limit, mount, rate_class or "")

        def guarded_view(**path: Any) -> Response:
            is_limited = rate_class is not None and mount.has_rate_limit(rate_class)
            request_id = get_request_id(request_id_key)
            principal = mount.guard.admit(permissions, count_request if is_limited else None)
            if mount.engine is not None:
                mount.engine.start()
            if is_json_only and "HTTP_ACCEPT" in request.environ:
                require_json_acceptable()
            return handler(Request(mount, principal, request_id), **path)

        if route.takes_metrics_token and mount.config.metrics_token is not None:
            return _admit_metrics_token(guarded_view, handler, mount, mount.config.metrics_token)
        return functools.update_wrapper(guarded_view, handler)

    def public_view(**path: Any) -> Response:
        request_id = get_request_id(request_id_key)
        docs_permissions = route.required_permissions(mount.config.public_docs)
        if docs_permissions and (redirect := follow_link(mount)) is not None:
            return redirect
        is_admitted = not docs_permissions or has_valid_cookie(mount)
        principal = ANONYMOUS if is_admitted else mount.guard.admit(docs_permissions)
        return handler(Request(mount, principal, request_id), **path)

    return functools.update_wrapper(public_view, handler)


UNMATCHED, UNMATCHED_TEMPLATE = "unmatched", "/{unmatched}"
#: Rules that match every path below the prefix.
CATCH_ALL_RULES = ("/", "/<path:unmatched>")
_DOUBLE_SLASH = "There is nothing at this path: it contains two slashes in a row. Does your base URL end in one?"


class _EveryMethod(set[str]):
    """Set that contains every method and lists none: the catch-all matches all, and none appears in ``Allow``."""

    def __contains__(self, method: object) -> bool:
        return method != "--"


def match_every_method(state: BlueprintSetupState) -> None:
    """Let the catch-all rules of a registered blueprint match every method."""
    for rule in state.app.url_map.iter_rules(f"{state.name}.{UNMATCHED}"):
        rule.methods = _EveryMethod()


def find_rules_below_paths(routes: Iterable[Route]) -> frozenset[str]:
    """Return the rules that end in a fixed segment after a ``<path:…>`` variable, which matches slashes.

    Without a catch-all at the same rule, their other methods would match the route that ends with the variable, and the
    fixed segment would become part of the name.
    """
    return frozenset(route.rule for route in routes if "<path:" in route.rule and not route.rule.endswith(">"))


def handle_unmatched(**_path: Any) -> Response:
    """Raise `MethodNotAllowed` or `NotFound` for a request below the prefix that no other rule matches.

    On a path of the host's own, Werkzeug's ``MethodNotAllowed`` is left to the host. OPTIONS on a rule of
    `find_rules_below_paths` returns its ``Allow`` header.
    """
    if request.url_rule is not None and not request.url_rule.rule.endswith(CATCH_ALL_RULES):
        return _handle_other_method(request.url_rule)
    adapter = current_app.create_url_adapter(request)
    endpoints = {method: _match_endpoint(adapter, method) for method in adapter.allowed_methods()} if adapter else {}
    own_prefix = f"{request.blueprint}."
    allowed = sorted(method for method, endpoint in endpoints.items() if endpoint != f"{own_prefix}{UNMATCHED}")
    if not allowed:
        raise errors.NotFound(_DOUBLE_SLASH if "//" in request.path else None)
    if not any(endpoints[method].startswith(own_prefix) for method in allowed):
        raise _hand_back_to_host(MethodNotAllowed(allowed))
    raise errors.MethodNotAllowed(f"{request.method} is not possible here.", headers={"Allow": ", ".join(allowed)})


def _handle_other_method(rule: Rule) -> Response:
    """Respond to a method that no route has at a rule of `find_rules_below_paths`, including ``OPTIONS``."""
    others = (other for other in current_app.url_map.iter_rules() if other.rule == rule.rule and other is not rule)
    allowed = ", ".join(sorted({"OPTIONS"}.union(*(other.methods or () for other in others))))
    if request.method == "OPTIONS":
        return Response(headers={"Allow": allowed})
    raise errors.MethodNotAllowed(f"{request.method} is not possible here.", headers={"Allow": allowed})


def _match_endpoint(adapter: MapAdapter, method: str) -> str:
    """Return the endpoint of one of the methods that the adapter allows at the request's path.

    The adapter also allows methods of the path with merged slashes; as sent, that path matches only the catch-all.
    """
    endpoint: str = adapter.match(method=method)[0]
    return endpoint


def _hand_back_to_host(error: MethodNotAllowed) -> MethodNotAllowed:
    """Clear the matched rule and return `error`, so that the host handles it as if this API did not exist."""
    request.routing_exception, request.url_rule, request.view_args = error, None, None
    return error


#: Variable for the host in the rules of an app with host matching: they match every host.
_HOST_VARIABLE = "provisioning_host"


class _AnyTextConverter(BaseConverter):
    """Matches any text. Werkzeug's ``path`` matches no leading slash and no line break."""

    regex = "(?s:.+)"
    weight = 200
    part_isolating = False


class _TextRule(Rule):
    """A rule whose ``<path:…>`` matches any text. The app's own converters are not changed."""

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
    """Add a rule that matches on every host of the app. With `answers_options`, Flask handles its ``OPTIONS``."""
    register = partial(_register_rule, rule=rule, endpoint=endpoint, view=view, methods=methods)
    blueprint.record(partial(register, answers_options=answers_options, options=options))


def hide_hosts(blueprint: Blueprint) -> None:
    """Remove the matched host from the arguments of the views."""

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
    app, rule_options = state.app, {"merge_slashes": False, **options}
    if app.url_map.host_matching:
        rule_options["host"] = f"<{_HOST_VARIABLE}>"
    answers_options = answers_options and app.config.get("PROVIDE_AUTOMATIC_OPTIONS", True)
    if "<path:" not in rule:
        automatic = None if answers_options else False
        state.add_url_rule(rule, endpoint, view, methods=methods, provide_automatic_options=automatic, **rule_options)
        return
    name = f"{state.name_prefix}.{state.name}.{endpoint}".lstrip(".")
    all_methods = {*methods, *(["OPTIONS"] if answers_options else [])}
    text_rule = _TextRule(
        f"{state.url_prefix}{rule}", endpoint=name, methods=all_methods, subdomain=state.subdomain, **rule_options
    )
    text_rule.provide_automatic_options = answers_options  # type: ignore[attr-defined]
    app.url_map.add(text_rule)
    app.view_functions[name] = view
