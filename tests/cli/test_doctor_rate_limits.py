"""`doctor` on rate limits: whether there are any, and whether they are counted for all processes together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

from flask_tenant_provisioning import TenantProvisioning
from tests.support.commands import run_command
from tests.support.doctor import run_doctor
from tests.support.hosts import get_mount, make_config
from tests.support.rate_limits.clocked_storage import ManualClock, hand as hand
from tests.support.webhooks.receivers import Receiver
from tests.support.workers.brokers import open_broker

LIMITS = {"read": "600/minute", "write": "10/second;120/minute"}
WRITTEN = "read 600/minute, write 10/second;120/minute"
STORAGE = "PROVISIONING_RATE_LIMIT_STORAGE"
ABSENT = object()
Told = Callable[..., tuple[str, str, str]]
pytestmark = pytest.mark.one_database("says nothing of the database")


@pytest.fixture
def check_limits(database_url: str) -> Iterator[Told]:
    """The check of a host's rate limits; `limiter` are the options of a Limiter of its own."""
    apps: list[Flask] = []

    def tell(limiter: dict[str, Any] | None = None, function: Any = None, **config: Any) -> tuple[str, str, str]:
        app = Flask("host")
        app.config.update({key: value for key, value in make_config(**config).items() if value is not ABSENT})
        if limiter is not None:
            Limiter(get_remote_address, app=app, **limiter)
        provisioning = TenantProvisioning()
        if function is not None:
            provisioning.rate_limits(function)
        provisioning.init_app(app, database_url)
        apps.append(app)
        return run_doctor(app)["rate-limits"]

    yield tell
    for app in apps:
        if "storage" in vars(get_mount(app)):
            get_mount(app).storage.engine.dispose()


@pytest.fixture
def redis_url() -> Iterator[str]:
    with open_broker("redis") as broker:
        yield broker.url


def test_doctor_warns_of_unconfigured_limits(check_limits: Told) -> None:
    detail = "off: PROVISIONING_RATE_LIMITS is not set, and one partner's requests can slow down all others"
    suggested = "{'read': '1200/minute', 'write': '300/minute', 'bulk': '30/minute'}"
    advice = f"set PROVISIONING_RATE_LIMITS = {suggested}, or {{}} if a proxy limits partners"
    assert check_limits(PROVISIONING_RATE_LIMITS=ABSENT) == ("warn", detail, advice)
    assert check_limits(PROVISIONING_RATE_LIMITS=eval(suggested))[0] == "warn"  # counted in memory
    assert check_limits(PROVISIONING_RATE_LIMITS={}) == ("ok", "off: PROVISIONING_RATE_LIMITS is empty", "")


def test_unmounted_api_has_no_rate_limits(check_limits: Told) -> None:
    check = check_limits(PROVISIONING_RATE_LIMITS=LIMITS, PROVISIONING_EDITION="community")
    assert check == ("ok", "nothing is mounted, so nothing is counted", "")


def test_memory_counts_for_one_process(check_limits: Told) -> None:
    detail, advice = (
        f"{WRITTEN}; memory://: each process counts separately",
        "set {} to a Redis URL, unless a single process serves the app",
    )
    assert check_limits(PROVISIONING_RATE_LIMITS=LIMITS) == ("warn", detail, advice.format(STORAGE))
    detail = "the host's function; memory://: each process counts separately"
    assert check_limits(function=lambda partner, route_class: None) == ("warn", detail, advice.format(STORAGE))


def test_redis_counts_for_all(check_limits: Told, redis_url: str) -> None:
    check = check_limits(PROVISIONING_RATE_LIMITS=LIMITS, PROVISIONING_RATE_LIMIT_STORAGE=redis_url)
    assert check == ("ok", f"{WRITTEN}; {redis_url}", "")


def test_unreachable_storage_is_reported_without_password(check_limits: Told) -> None:
    with Receiver() as receiver:
        port = receiver.port
    url = f"redis://user:hunter2@127.0.0.1:{port}/0?password=hunter2"
    check = check_limits(PROVISIONING_RATE_LIMITS={"bulk": "5/day"}, PROVISIONING_RATE_LIMIT_STORAGE=url)
    assert check == (
        "warn",
        f"bulk 5/day; redis://127.0.0.1:{port}/0 cannot be reached: no request is limited",
        "start it",
    )


def test_invalid_storage_url_fails(check_limits: Told) -> None:
    check = check_limits(
        PROVISIONING_RATE_LIMITS=LIMITS, PROVISIONING_RATE_LIMIT_STORAGE="redis://hunter2@127.0.0.1:port/0"
    )
    assert check == ("fail", "requests are not counted: ValueError", f"correct {STORAGE}")


def test_the_hosts_limiter_is_named(check_limits: Told, hand: ManualClock, redis_url: str) -> None:
    def ask(**limiter: Any) -> tuple[str, str, str]:
        return check_limits(
            limiter, PROVISIONING_RATE_LIMITS={"read": "1/day"}, PROVISIONING_RATE_LIMIT_STORAGE=redis_url
        )

    place = "read 1/day; the {} of the app's Limiter"
    advice = "give your Limiter a storage_uri, unless a single process serves the app"
    memory = f"{place.format('MemoryStorage')}: each process counts separately"
    assert ask(storage_uri="memory://") == ("warn", memory, advice)
    endless = f"{place.format('RedisStorage')}, which has no timeout: requests may wait for it forever"
    options = {"socket_timeout": 0.25, "socket_connect_timeout": 0.25}
    assert ask(storage_uri=redis_url, storage_options={"socket_timeout": None}) == (
        "warn",
        endless,
        f"give your Limiter storage_options={options}",
    )
    detail = f"{place.format('RedisStorage')}; {STORAGE} has no effect"
    advice = "remove it: the app has a Limiter of its own"
    assert ask(storage_uri=redis_url, storage_options=options) == ("warn", detail, advice)
    assert check_limits({"storage_uri": hand.url}, PROVISIONING_RATE_LIMITS={"read": "1/day"}) == (
        "ok",
        place.format("ClockedStorage"),
        "",
    )


def test_a_limiter_that_is_off_counts_nothing(check_limits: Told) -> None:
    check = check_limits({"storage_uri": "memory://"}, PROVISIONING_RATE_LIMITS=LIMITS, RATELIMIT_ENABLED=False)
    assert check == ("warn", "off: RATELIMIT_ENABLED turns Flask-Limiter off", "partners have no limits")


def test_invalid_limit_is_reported_first(database_url: str) -> None:
    def create_app() -> Flask:
        app = Flask("host")
        app.config.update(make_config(PROVISIONING_RATE_LIMITS={"read": "often"}))
        TenantProvisioning().init_app(app, database_url)
        return app

    result = run_command(create_app, "doctor")
    assert result.status == 1
    assert "PROVISIONING_RATE_LIMITS must be a mapping that names for 'read' a limit such as '600/minute'" in result.out
