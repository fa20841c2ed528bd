"""Bad hosts: the suite fails on them, in the right tests, and says in a sentence what is wrong."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.conformance import ESSENTIALS, SuiteRun, assert_suite_passes, list_tests, run_suite, write_host
from tests.support.hosts import issue_license

pytestmark = [pytest.mark.blueprint("says so of its mount where it matters"), pytest.mark.slow]
slow = pytest.mark.slow
DAY = 86_400
TENANTS = "/api/provisioning/tenants"


class Bad(NamedTuple):
    """A host's defect after the mounting, the essential tests that still pass, and the expected message."""

    code: str
    passing: set[str]
    said: str


CSRF = Bad(
    "from flask_wtf import CSRFProtect\nCSRFProtect(app)",
    {"test_the_api_is_mounted", "test_the_mount_answers_below_its_prefix", "test_a_partner_is_admitted"},
    f"POST {TENANTS} should answer 201, not 400. A CSRF wall stands before the API: call "
    "csrf.exempt(provisioning.blueprint), or mount the API isolated.",
)
WALL = Bad(
    """
from flask import redirect

@app.before_request
def login_wall():
    return redirect("/login")
""",
    {"test_the_api_is_mounted"},
    f"GET {TENANTS} should answer 200, not 302. Something of the host's redirects, such as a login wall: let a request "
    "pass whose blueprint is provisioning.blueprint.name, or mount the API isolated.",
)
CACHING = Bad(
    """
@app.after_request
def keep(answer):
    answer.headers["Cache-Control"] = "public, max-age=60"
    return answer
""",
    {"test_the_api_is_mounted"},
    f"GET {TENANTS} should answer with Cache-Control: no-store.",
)
STRANGERS = Bad(
    """
from flask_jwt_extended import JWTManager

@JWTManager(app).user_lookup_loader
def known(header, claims):
    return None
""",
    {"test_the_api_is_mounted", "test_the_mount_answers_below_its_prefix"},
    f"GET {TENANTS} should answer 200, not 401. The app refuses a token of the suite's: override the fixture "
    "provisioning_token, so that it signs one that the app's JWT manager and user lookup know.",
)
PAGES = Bad(
    """
@app.after_request
def prettier(answer):
    if answer.status_code >= 400:
        answer.set_data("<h1>Sorry</h1>")
        answer.content_type = "text/html"
    return answer
""",
    {
        "test_the_api_is_mounted", "test_a_partner_is_admitted", "test_a_tenant_is_created", "test_a_name_is_trimmed",
        "test_location_of_a_new_tenant_returns_it", "test_absent_fields_are_empty",
        "test_text_of_every_script_is_returned_unchanged",
    },
    f"GET {TENANTS} should answer with application/problem+json, not text/html. A page of the host's stands where the "
    "API should answer: if a hook or a handler makes it, mount the API isolated.",
)  # fmt: skip
HOOK = Bad(
    """
class NoContract(Exception):
    pass

@provisioning.hook("tenant.create", name="contract")
def require_contract(tenant):
    raise NoContract(tenant["partner"])

provisioning.map_error(NoContract, status=403, code="no-contract")
""",
    {
        "test_the_api_is_mounted", "test_the_mount_answers_below_its_prefix", "test_a_partner_is_admitted",
        "test_a_required_field_is_missed", "test_an_unknown_field_is_named",
    },
    f"POST {TENANTS} should answer 201, not 403. A hook of the host's refuses it: override the fixtures "
    "provisioning_tenant_body and provisioning_new_partner, so that they make what the host takes.",
)  # fmt: skip
CRASH = Bad(
    """
def broken(environ, start_response):
    raise RuntimeError("the middleware is broken")

app.wsgi_app = broken
""",
    {"test_the_api_is_mounted"},
    f"GET {TENANTS} should be answered; the app raised RuntimeError: the middleware is broken",
)
EMPTY = Bad(
    "app.config['PROVISIONING_AUTO_MIGRATE'] = False\nTenantProvisioning(name='bare', url_prefix='/bare', "
    "table_prefix='bare_').init_app(app)",
    {"test_the_api_is_mounted", "test_the_mount_answers_below_its_prefix"},
    "GET /bare/tenants should answer 200, not 503. Is the database there, and has `flask provisioning db upgrade` made "
    "its tables?",
)


def reads_whole(output: str) -> bool:
    """Return whether a failure is a sentence with the request, without its token, and the response."""
    headers = r"(E +[\w-]+: .*\n)+"
    match = re.search(
        rf"POST {TENANTS} should answer 201, not 400\..*\n"
        rf"E *\n"
        rf"E +POST {TENANTS}\n{headers}"
        r'E +\{"client_name": "Conformance .*\}\n'
        rf"E +→ 400 BAD REQUEST\n{headers}"
        r'E +\{.*"detail": "The CSRF token is missing\."',
        output,
    )
    return match is not None and "Authorization: Bearer …" in match[0]


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(CSRF, id="CSRF wall"),
        pytest.param(WALL, id="login wall"),
        pytest.param(CACHING, id="caching", marks=slow),
        pytest.param(STRANGERS, id="user lookup", marks=slow),
        pytest.param(PAGES, id="error pages", marks=slow),
        pytest.param(HOOK, id="hook", marks=slow),
        pytest.param(CRASH, id="middleware", marks=slow),
        pytest.param(EMPTY, id="no tables", marks=slow),
    ],
)
def test_a_host_that_comes_between_fails_and_reads_why(tmp_path: Path, bad: Bad) -> None:
    write_host(tmp_path, after=bad.code)
    run = run_suite(tmp_path, *ESSENTIALS, *(["--provisioning-mount=bare"] if bad is EMPTY else []))
    assert run.status == 1, run
    assert bad.said in run.output
    assert bad is not CSRF or reads_whole(run.output), run
    assert "eyJ" not in run.output, "a token was shown"
    essential = {name for module in ("test_mounting", "test_creation") for name in list_tests(module)}
    not_run = {name for name in essential if "wrong" in name or "servers" in name or "unknown_plan" in name}
    assert essential - run.failed - not_run == bad.passing


@slow
@pytest.mark.parametrize("bad", [CSRF, WALL, CACHING, PAGES], ids=["CSRF wall", "login wall", "caching", "error pages"])
def test_with_an_isolated_mount_nothing_comes_between(tmp_path: Path, bad: Bad) -> None:
    jwt = "from flask_jwt_extended import JWTManager\nJWTManager(app)\n"
    write_host(tmp_path, before=jwt, after=bad.code)
    assert_suite_passes(run_suite(tmp_path, *ESSENTIALS, config={"PROVISIONING_MOUNT": "isolated"}), 12)


EATER = """
from flask import request

@app.before_request
def eat():
    request.environ["wsgi.input"].read()
"""


@slow
def test_host_that_reads_uploads_fails_with_the_response(tmp_path: Path) -> None:
    write_host(tmp_path, after=EATER)
    run = run_suite(tmp_path, "-k", "test_an_upload_is_a_job or test_mounting")
    assert run.failed == {"test_an_upload_is_a_job_that_comes_to_its_end"}, run
    assert "POST /api/provisioning/bulk-jobs should answer 202, not 400." in run.output
    assert "The upload broke off after 0 of " in run.output


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"PROVISIONING_LICENSE": "nonsense"}, "Nothing is mounted: "),
        pytest.param(
            {"PROVISIONING_EDITION": "community"},
            "Nothing is mounted: PROVISIONING_EDITION is 'community'.",
            marks=slow,
        ),
    ],
    ids=["no licence", "community"],
)
def test_unmounted_api_fails_one_test_with_the_reason(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    write_host(tmp_path)
    run = run_suite(tmp_path, config=config)
    assert (run.status, run.counts[:2]) == (1, (0, 1)), run
    assert run.failed == {"test_the_api_is_mounted"}
    assert run.left_out == {"there is no API to test: test_the_api_is_mounted says why"}
    assert message in run.output


@slow
def test_host_without_signing_key_is_named_the_fixture_to_override(tmp_path: Path) -> None:
    public = generate_private_key(65537, 2048).public_key()
    key = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    write_host(tmp_path)
    run = run_suite(tmp_path, *ESSENTIALS, config={"JWT_ALGORITHM": "RS256", "JWT_PUBLIC_KEY": key})
    assert run.counts[:2] == (0, 1), run
    assert "This app signs no tokens: " in run.output
    assert "Override the fixture provisioning_token in conftest.py" in run.output


EXPIRED = {"not_before": int(time.time()) - 100 * DAY, "expires": int(time.time()) - 50 * DAY}


@slow
@pytest.mark.parametrize(
    ("claims", "code"),
    [(EXPIRED, "license-expired"), ({"max_tenants": 0}, "quota-exceeded")],
    ids=["expired", "no room"],
)
def test_licence_without_tenants_fails_creation_and_skips_the_rest(
    tmp_path: Path, claims: dict[str, Any], code: str
) -> None:
    write_host(tmp_path)
    config = {"PROVISIONING_LICENSE": issue_license(**claims)}
    run = run_suite(tmp_path, "-k", "test_mounting or test_a_tenant_is_created or sorted", config=config)
    assert run.failed == {"test_a_tenant_is_created"}
    assert code in run.output
    (reason,) = run.left_out
    assert reason.startswith("the licence allows no tenant here: ")


@slow
def test_host_with_too_low_rate_limits_gets_a_message(tmp_path: Path) -> None:
    write_host(tmp_path)
    run = run_suite(tmp_path, "-k", "test_reading", config={"PROVISIONING_RATE_LIMITS": {"read": "1/day"}})
    assert "test_get_returns_the_created_tenant" not in run.failed
    assert "test_head_answers_as_get_without_the_body" in run.failed
    assert (
        "should answer 200, not 429. A rate limit stopped the suite, which sends some hundred requests as one partner: "
        "let it run with larger PROVISIONING_RATE_LIMITS, or without any."
    ) in run.output


@pytest.fixture
def broken(tmp_path: Path) -> Callable[[str], SuiteRun]:
    """Runs the suite for an app that cannot be made."""
    write_host(tmp_path)
    (tmp_path / "broken.py").write_text("import os\n\ndef create_app():\n    os.environ['BROKEN']\n")
    return lambda app: run_suite(tmp_path, app=app)


@pytest.mark.parametrize(
    ("app", "message"),
    [
        ("nothing:create_app", "--provisioning-app=nothing:create_app names no app: Could not import 'nothing'."),
        pytest.param("host:no_app", "--provisioning-app=host:no_app names no app: ", marks=slow),
        pytest.param("broken:create_app", "KeyError: 'BROKEN'", marks=slow),
    ],
)
def test_an_app_that_cannot_be_made_ends_the_run_at_once(
    broken: Callable[[str], SuiteRun], app: str, message: str
) -> None:
    run = broken(app)
    assert run.status == 1, run
    assert message in run.output
    assert run.output.count("\nERROR ") == 1
    assert "there is no app to test" in run.output
