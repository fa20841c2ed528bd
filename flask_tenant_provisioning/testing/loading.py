"""The host's app, by the name that ``--provisioning-app`` gives it."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.cli import NoAppException, ScriptInfo

ADVICE = "Run pytest with --provisioning-app=module:factory, or override the fixture provisioning_app in conftest.py."

TWICE = (
    "If a fixture of your conftest.py builds the app too, and it cannot be built twice in one process, override "
    "provisioning_app so that it returns the app of that fixture, or leave your conftest.py out: -n0 --noconftest."
)


def load(session: pytest.Session, name: str | None) -> Flask:
    """The app of this name, found as `flask --app` finds it: below the current folder.

    Where it cannot be made, this fails, and ends the run: every other test would fail alike.
    """
    try:
        return _made(name)
    except BaseException as error:
        session.shouldfail = "there is no app to test"
        error.add_note(TWICE)
        raise


def _made(name: str | None) -> Flask:
    if name is None:
        pytest.fail(f"No app is named. {ADVICE}", pytrace=False)
    try:
        return ScriptInfo(app_import_path=name, set_debug_flag=False).load_app()
    except NoAppException as error:
        pytest.fail(f"--provisioning-app={name} names no app: {error.format_message()}", pytrace=False)
