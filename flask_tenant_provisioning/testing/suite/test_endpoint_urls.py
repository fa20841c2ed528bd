"""URLs of webhooks: no partner's URL makes the host call into its own network (SSRF)."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from flask_tenant_provisioning.testing.callers import WEBHOOKS, Caller
from flask_tenant_provisioning.testing.events import (
    change_endpoint,
    create_endpoint,
    get_endpoint_path,
    make_endpoint_body,
    make_webhook_url,
    remove_secret,
    require_endpoint,
)
from flask_tenant_provisioning.testing.responses import ApiResponse

#: Addresses within internal networks, each of another kind; a host may allow some of them.
INSIDE = (
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.255", "169.254.169.254", "172.16.0.1",  # noqa: S104
    "172.31.255.255", "192.0.0.1", "192.168.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe", "2001:db8::1", "2002:a9fe:a9fe::",
    "fc00::1", "fec0::1", "fe80::1", "ff02::1",
)  # fmt: skip
#: Hosts that are spelled so as to look like something else, whatever the host allows.
DISGUISED = (
    "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "127.1", "0", "127.0.0.01", "256.0.0.1",
    "%31%32%37.0.0.1", "①②⑦.⓪.⓪.①", "127。0。0。1", "ｅxample.com", "localhost.", "127.0.0.1.", ".example.com", "a..b",
    "exa_mple.com", "[fe80::1%25eth0]", "[::1", "user@example.com", "user:password@example.com", "example.com:0",
    "example.com:99999", "example.com:", "example.com\\@localhost", "exam ple.com", "",
)  # fmt: skip
#: URLs that are none to send anything to.
NO_RECEIVERS = (
    "example.com/hook", "//example.com/hook", "/hook", "ftp://example.com/", "file:///etc/passwd",
    "gopher://example.com/", "javascript:alert(1)", "https:example.com",
)  # fmt: skip


def attempt(caller: Caller, url: str) -> ApiResponse:
    """The answer to the creation of an endpoint with this URL."""
    return caller("POST", WEBHOOKS, json=make_endpoint_body(caller, url=url))


def require_refused_url(response: ApiResponse) -> None:
    """Demand that the URL is refused, and named alone."""
    response.require(response.faults() == {"#/url": "refused-url"}, "refuse the URL, and name it alone")


def skip_what_the_host_allows(caller: Caller, *addresses: str) -> None:
    """Skip where the operator has excepted the network of one of these."""
    networks = caller.api.config.webhook_allowed_networks
    if any(ip_address(address) in network for address in addresses for network in networks):
        pytest.skip("PROVISIONING_WEBHOOK_ALLOWED_NETWORKS allows this address")


@pytest.mark.parametrize("address", INSIDE)
def test_private_address_is_refused(provisioning_partner: Caller, address: str) -> None:
    mapped = getattr(ip_address(address), "ipv4_mapped", None)
    skip_what_the_host_allows(provisioning_partner, str(mapped or address))
    host = f"[{address}]" if ":" in address else address
    require_refused_url(attempt(provisioning_partner, make_webhook_url(provisioning_partner.api.config, host)))


def test_the_machines_own_name_is_refused(provisioning_partner: Caller) -> None:
    skip_what_the_host_allows(provisioning_partner, "127.0.0.1", "::1")
    require_refused_url(attempt(provisioning_partner, make_webhook_url(provisioning_partner.api.config, "localhost")))


@pytest.mark.parametrize("host", DISGUISED)
def test_a_host_in_disguise_is_refused(provisioning_partner: Caller, host: str) -> None:
    scheme = provisioning_partner.api.config.webhook_schemes[0]
    require_refused_url(attempt(provisioning_partner, f"{scheme}://{host}/hook"))


@pytest.mark.parametrize("url", NO_RECEIVERS)
def test_invalid_receiver_url_is_refused(provisioning_partner: Caller, url: str) -> None:
    require_refused_url(attempt(provisioning_partner, url))


def test_a_scheme_that_the_host_does_not_allow_is_refused(provisioning_partner: Caller) -> None:
    settings = provisioning_partner.api.config
    others = {"https", "http"} - {*settings.webhook_schemes}
    if not others:
        pytest.skip("PROVISIONING_WEBHOOK_SCHEMES allows both")
    _, _, rest = make_webhook_url(settings).partition(":")
    require_refused_url(attempt(provisioning_partner, f"{others.pop()}:{rest}"))


def test_a_port_that_the_host_does_not_allow_is_refused(provisioning_partner: Caller) -> None:
    settings = provisioning_partner.api.config
    if not settings.webhook_ports:
        pytest.skip("PROVISIONING_WEBHOOK_PORTS allows any")
    for port in {22, 25, 5432, 6379} - {*settings.webhook_ports}:
        require_refused_url(attempt(provisioning_partner, f"{settings.webhook_schemes[0]}://[3000::1]:{port}/hook"))


@pytest.mark.parametrize("end", ["#fragment", "?a=b c", "%zz", "\u00e9", "\t"])
def test_unsendable_url_is_refused(provisioning_partner: Caller, end: str) -> None:
    require_refused_url(attempt(provisioning_partner, make_webhook_url(provisioning_partner.api.config) + end))


@pytest.mark.parametrize("url", [None, 7, "", "x" * 2049])
def test_a_url_is_text_of_2048_characters_at_most(provisioning_partner: Caller, url: object) -> None:
    response = provisioning_partner("POST", WEBHOOKS, json=make_endpoint_body(provisioning_partner, url=url))
    response.require({*response.faults()} == {"#/url"}, "name the URL alone")


def test_an_endpoint_is_not_led_inside_afterwards(provisioning_partner: Caller) -> None:
    skip_what_the_host_allows(provisioning_partner, "169.254.169.254")
    endpoint = create_endpoint(provisioning_partner)
    inside = make_webhook_url(provisioning_partner.api.config, "169.254.169.254")
    response = change_endpoint(provisioning_partner, "PATCH", endpoint, json={"url": inside})
    require_refused_url(response)
    shown = require_endpoint(provisioning_partner("GET", get_endpoint_path(endpoint)))
    response.require(shown == remove_secret(endpoint), "leave the endpoint as it was")


def test_a_refused_url_makes_no_endpoint(provisioning_partner: Caller) -> None:
    refused = attempt(provisioning_partner, "file:///etc/passwd")
    require_refused_url(refused)
    refused.require(provisioning_partner("GET", WEBHOOKS).document()["items"] == [], "create nothing")
