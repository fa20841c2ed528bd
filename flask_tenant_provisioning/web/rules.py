"""The URL rules of the blueprint, among them those with a place that takes any text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from flask import Blueprint
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import BaseConverter, Rule

#: The place for the host in the rules of an app that matches hosts: they hold for each.
_HOST = "provisioning_host"


class _AnyText(BaseConverter):
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
            return _AnyText(self.map)
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
    register = partial(_register, rule=rule, endpoint=endpoint, view=view, methods=methods)
    blueprint.record(partial(register, answers_options=answers_options, options=options))


def hide_hosts(blueprint: Blueprint) -> None:
    """Keep the host that a rule matched from the views, which expect none."""

    def hide(_endpoint: str | None, values: dict[str, Any] | None) -> None:
        if values:
            values.pop(_HOST, None)

    def register(state: BlueprintSetupState) -> None:
        if state.app.url_map.host_matching:
            name = f"{state.name_prefix}.{state.name}".lstrip(".")
            state.app.url_value_preprocessors[name].append(hide)

    blueprint.record(register)


def _register(
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
        shared["host"] = f"<{_HOST}>"
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
