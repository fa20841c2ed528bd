"""The pytest plugin. Every run of pytest loads it once the package is installed, so it imports nothing at first."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask
    from flask.testing import FlaskClient

    from .api import MountedApi
    from .callers import Caller, Patience, ReadDocument


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("provisioning", "conformance of a mounted flask-tenant-provisioning")
    group.addoption(
        "--provisioning-app",
        metavar="MODULE:NAME",
        help="Run the conformance suite against this app or factory, named as for `flask --app`.",
    )
    group.addoption(
        "--provisioning-patience",
        metavar="SECONDS",
        type=float,
        default=120.0,
        help="How long the suite waits in all for the host's steps and bulk jobs (120).",
    )
    group.addoption("--provisioning-mount", metavar="NAME", help="The mount's name, where the app has several.")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("provisioning_app") and not config.getoption("file_or_dir"):
        from .collection import collect_alone

        collect_alone(config)


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if parent.config.getoption("provisioning_app"):
        from .collection import collect_folder

        return collect_folder(path, parent)
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("provisioning_app"):
        from .collection import add_suite

        items[:] = add_suite(session, items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("provisioning_app"):
        from .collection import summarize

        summarize(terminalreporter)


@pytest.fixture(scope="session")
def provisioning_app(request: pytest.FixtureRequest) -> Flask:
    """The host's app, by default that of ``--provisioning-app``."""
    from .host import load_app

    return load_app(request.session, request.config.getoption("provisioning_app"))


@pytest.fixture(scope="session")
def provisioning_mount(pytestconfig: pytest.Config) -> str | None:
    """The name of the mount to test, by default that of ``--provisioning-mount``; None is the app's first."""
    name: str | None = pytestconfig.getoption("provisioning_mount")
    return name


@pytest.fixture
def provisioning_client(provisioning_app: Flask) -> FlaskClient:
    """A test client that sends the requests: without cookies and without additions of the host's own class."""
    from flask.testing import FlaskClient

    return FlaskClient(provisioning_app, use_cookies=False)


@pytest.fixture
def provisioning_new_partner() -> Callable[[], str]:
    """Makes unused names of partners. Override it where the host must know its partners."""
    return lambda: f"conformance-{uuid.uuid4().hex}"


@pytest.fixture
def provisioning_token(provisioning_app: Flask, provisioning_mount: str | None) -> Callable[..., str]:
    """Signs tokens: called with a role (or None), a partner, and further claims, which count before all others.

    By default the app's own JWT manager signs. Override it where another issuer does.
    """
    from .host import make_signer

    return make_signer(provisioning_app, provisioning_mount)


@pytest.fixture
def provisioning_tenant_body(provisioning_app: Flask, provisioning_mount: str | None) -> Callable[..., dict[str, Any]]:
    """Makes bodies that `POST /tenants` accepts, each for another tenant; called with fields that are to differ.

    Override it where the host demands fields of its own, or its hooks refuse what this makes.
    """
    from .host import make_body_factory

    return make_body_factory(provisioning_app, provisioning_mount)


@pytest.fixture
def provisioning_settle() -> Callable[[ReadDocument], dict[str, Any]]:
    """Waits until a new tenant is no longer `provisioning`, or a bulk job has ended; takes a function that reads it.

    It returns what that read in the end. By default a worker of the host's is at work elsewhere. Override it to do the
    work that is due here.
    """
    from .callers import wait_until_settled

    return wait_until_settled


@pytest.fixture(scope="session")
def _provisioning_patience(pytestconfig: pytest.Config) -> Patience:
    """The time that this run waits in all."""
    from .callers import Patience

    return Patience(pytestconfig.getoption("provisioning_patience"))


@pytest.fixture
def provisioning_api(
    provisioning_app: Flask,
    provisioning_mount: str | None,
    provisioning_client: FlaskClient,
    provisioning_token: Callable[..., str],
) -> MountedApi:
    """The mounted API. Skips where there is none, which `test_the_api_is_mounted` fails for."""
    from .api import open_api

    return open_api(provisioning_app, provisioning_mount, provisioning_client, provisioning_token)


@pytest.fixture
def provisioning_callers(
    provisioning_api: MountedApi,
    provisioning_new_partner: Callable[[], str],
    provisioning_token: Callable[..., str],
    provisioning_tenant_body: Callable[..., dict[str, Any]],
    provisioning_settle: Callable[[ReadDocument], dict[str, Any]],
    _provisioning_patience: Patience,
) -> Iterator[Callable[[], Caller]]:
    """Makes callers, each of a new partner. Their tenants and endpoints are removed at the end."""
    from .callers import Caller

    callers: list[Caller] = []

    def make() -> Caller:
        callers.append(
            Caller(
                provisioning_api,
                provisioning_new_partner(),
                provisioning_token,
                provisioning_tenant_body,
                provisioning_settle,
                _provisioning_patience,
            )
        )
        return callers[-1]

    yield make
    for caller in callers:
        caller.clean_up()


@pytest.fixture
def provisioning_partner(provisioning_callers: Callable[[], Caller]) -> Caller:
    """A caller of a partner that no other test knows."""
    return provisioning_callers()


@pytest.fixture
def provisioning_stranger(provisioning_callers: Callable[[], Caller]) -> Caller:
    """A caller of another partner."""
    return provisioning_callers()
