"""The API is there, and admits the callers that the suite makes up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from flask_tenant_provisioning.testing.api import MountedApi, require_testable_mount
from flask_tenant_provisioning.testing.callers import TENANTS, Caller
from flask_tenant_provisioning.testing.host import NotReady


def test_the_api_is_mounted(
    provisioning_app: Flask, provisioning_mount: str | None, provisioning_token: Callable[..., str]
) -> None:
    obstacle = ""
    try:
        require_testable_mount(provisioning_app, provisioning_mount, provisioning_token)
    except NotReady as error:
        obstacle = str(error)
    if obstacle:
        pytest.fail(obstacle, pytrace=False)


def test_the_mount_answers_below_its_prefix(provisioning_api: MountedApi) -> None:
    provisioning_api("GET", TENANTS).problem(401, "authentication-required")


def test_a_partner_is_admitted(provisioning_partner: Caller) -> None:
    provisioning_partner("GET", TENANTS).expect(200)
