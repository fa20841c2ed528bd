"""URLs of webhooks: every spelling of an internal network is refused, with a reason."""

from __future__ import annotations

import logging
import socket
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from flask_tenant_provisioning.webhooks.client.ssrf import (
    INTERNAL_NETWORKS,
    Destination,
    HostUnresolved,
    Resolve,
    SsrfGuard,
    UrlRefused,
    is_permitted_address,
    parse_address,
)
from tests.support.webhooks.resolver import FakeResolver, resolve_example_to

PUBLIC, PUBLIC_6 = "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
ABSOLUTE = "This is not an absolute URL such as https://example.com/hook."
UNPRINTABLE = "The URL contains white space, control characters or backslashes."
FRAGMENT = "The URL must not have a fragment (#)."
USER = "The URL must not carry a user name or password."
HOST = "The host is malformed."
NAME = "The host name is malformed."
IDNA = "The host name is not valid in IDNA 2008; write it in lower case, or as xn--."
IPV4 = "An IPv4 address is written as four decimal numbers."
IPV6 = "The IPv6 address is malformed."
ZONE = "An IPv6 address must not have a zone."
PORT = "The port is not a number from 1 to 65535."
TARGET = "Path and query must be percent-encoded."
LONG = "The URL is longer than 2048 characters."
LITERAL = "Webhooks may not be sent to this address."

#: An address out of each network of the table, and those that stand at its edges.
INSIDE = [
    "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1",
    "127.255.255.255", "169.254.169.254", "172.16.0.0", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1",
    "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
    "240.0.0.1", "255.255.255.255", "168.63.129.16", "100.100.100.200", "192.0.0.192",
    "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe",
    "::ffff:0:127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1", "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "2002:a9fe:a9fe::", "2002:808:808::1", "3fff::1", "5f00::1",
    "fc00::1", "fdff::1", "fec0::1", "fe80::1", "febf::1", "ff02::1",
    "1fff:ffff::1", "4000::1", "8000::1", "fd00:ec2::254", "fd20:ce::254", "2001:10::1", "2001:20::1", "2001:1ff::1",
]  # fmt: skip
OUTSIDE = [
    "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
    "169.253.0.1", "172.15.255.255", "172.32.0.0", "192.0.1.1", "192.167.255.255", "198.17.255.255", "198.20.0.0",
    "223.255.255.255", "2001:4860:4860::8888", "2606:4700::1111", "::ffff:8.8.8.8", "168.63.129.15", "168.63.129.17",
    "2000::1", "2001:200::1", "2003::1", "3ffe::1",
]  # fmt: skip


def refusal(url: str, resolve: Resolve | None = None, **widened: Any) -> str:
    """Why a URL is refused."""
    with pytest.raises(UrlRefused) as caught:
        SsrfGuard(resolve=resolve or resolve_example_to(PUBLIC), **widened).check(url)
    return str(caught.value)


def describe_refusal(host: str) -> str:
    return f"The host name {host} does not lead to an address that webhooks may be sent to."


def test_a_url_leads_to_the_addresses_that_were_checked() -> None:
    destination = SsrfGuard(resolve=resolve_example_to(PUBLIC, PUBLIC_6)).check("https://example.com/hook?a=1")
    assert destination == Destination("https", "example.com", 443, (PUBLIC, PUBLIC_6), "/hook?a=1")


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("https://example.com", "example.com", "/"),
        ("https://example.com/", "example.com", "/"),
        ("HTTPS://EXAMPLE.COM/A", "example.com", "/A"),
        ("https://example.com:443/", "example.com", "/"),
        ("https://example.com:8443/x", "example.com:8443", "/x"),
        ("https://example.com?q=a[]&b=%C3%A9", "example.com", "/?q=a[]&b=%C3%A9"),
        ("https://example.com//a/../b;c=1,2?x=a@b:c", "example.com", "//a/../b;c=1,2?x=a@b:c"),
        ("https://93.184.215.14/x", "93.184.215.14", "/x"),
        ("https://[2606:4700:0::1111]:8443/x", "[2606:4700::1111]:8443", "/x"),
    ],
)
def test_a_url_is_read(url: str, authority: str, target: str) -> None:
    destination = SsrfGuard(resolve=resolve_example_to(PUBLIC)).check(url)
    assert (destination.authority, destination.target) == (authority, target)


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_within_the_table_is_refused(address: str) -> None:
    assert not is_permitted_address(parse_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_beside_the_table_is_permitted(address: str) -> None:
    assert is_permitted_address(parse_address(address))


@pytest.mark.parametrize("network", INTERNAL_NETWORKS, ids=str)
def test_each_network_of_the_table_is_refused_from_end_to_end(network: Any) -> None:
    assert not is_permitted_address(network[0])
    assert not is_permitted_address(network[-1])


@pytest.mark.parametrize("address", INSIDE)
def test_a_literal_within_the_table_is_refused(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    assert refusal(f"https://{host}/", resolve_example_to()) == LITERAL


@pytest.mark.parametrize("address", INSIDE)
@pytest.mark.parametrize("beside", [(), (PUBLIC,), (PUBLIC_6, PUBLIC)], ids=["alone", "after one", "after two"])
def test_a_name_with_one_address_within_the_table_is_refused(address: str, beside: tuple[str, ...]) -> None:
    assert refusal("https://example.com/", resolve_example_to(*beside, address)) == describe_refusal("example.com")


def test_a_name_with_an_inner_address_before_a_public_one_is_refused() -> None:
    assert refusal("https://example.com/", resolve_example_to("10.0.0.1", PUBLIC)) == describe_refusal("example.com")


def test_cname_to_an_internal_address_is_refused() -> None:
    def resolve(host: str, port: int, *, type: int) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, type, 6, "db.internal", ("10.0.0.5", port))]

    assert refusal("https://example.com/", resolve) == describe_refusal("example.com")


def test_an_address_of_the_link_with_its_zone_is_refused() -> None:
    assert refusal("https://example.com/", resolve_example_to("fe80::1%eth0")) == describe_refusal("example.com")


@pytest.mark.parametrize("name", ["localhost", "ip6-localhost", "LOCALHOST"])
def test_the_system_s_own_name_is_refused(name: str) -> None:
    assert refusal(f"https://{name}/", socket.getaddrinfo) == describe_refusal(name.lower())


def test_a_name_is_resolved_once() -> None:
    resolve = resolve_example_to(PUBLIC, PUBLIC_6)
    SsrfGuard(resolve=resolve).check("https://example.com/")
    assert resolve.asked == ["example.com"]


def test_name_is_resolved_for_each_request() -> None:
    resolve = resolve_example_to(PUBLIC)
    guard = SsrfGuard(resolve=resolve)
    guard.check("https://example.com/")
    resolve.addresses["example.com"] = ["127.0.0.1"]
    with pytest.raises(UrlRefused):
        guard.check("https://example.com/")


@pytest.mark.parametrize("resolve", [FakeResolver(), resolve_example_to()], ids=["unknown", "without address"])
def test_a_name_without_address_reads_like_a_refused_one(resolve: FakeResolver) -> None:
    with pytest.raises(HostUnresolved) as caught:
        SsrfGuard(resolve=resolve).check("https://example.com/")
    assert str(caught.value) == describe_refusal("example.com")


def test_refused_address_is_logged_for_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flask_tenant_provisioning")
    refusal("https://example.com/", resolve_example_to(PUBLIC, "10.0.0.1"))
    assert caplog.messages == ["refused to send webhooks to example.com: its address 10.0.0.1 is internal"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        # Numbers of every spelling
        ("https://2130706433/", IPV4),
        ("https://0x7f000001/", IPV4),
        ("https://0x7f.1/", IPV4),
        ("https://0X7F.1/", IPV4),
        ("https://017700000001/", IPV4),
        ("https://0177.0.0.1/", IPV4),
        ("https://%31%32%37.0.0.1/", IPV4),
        ("https://127.1/", IPV4),
        ("https://127.0.1/", IPV4),
        ("https://0/", IPV4),
        ("https://0x/", IPV4),
        ("https://127.0.0.01/", IPV4),
        ("https://127.0.0.1.5/", IPV4),
        ("https://256.0.0.1/", IPV4),
        ("https://93.184.215.014/", IPV4),
        ("https://example.1/", IPV4),
        # Letters that are mapped to others
        ("https://①②⑦.⓪.⓪.①/", IDNA),
        ("https://127。0。0。1/", IDNA),
        ("https://127．0．0．1/", IDNA),
        ("https://１２７.0.0.1/", IDNA),
        ("https://ｅxample.com/", IDNA),
        ("https://ℂ𝕆𝕄.example/", IDNA),
        ("https://loca\u00adlhost/", IDNA),
        ("https://a\u200db.example/", IDNA),
        ("https://\u202eexample.com/", IDNA),
        ("https://BÜCHER.example/", IDNA),
        (f"https://{'ü' * 64}.example/", IDNA),
        # Names
        ("https://example.com./", NAME),
        ("https://127.0.0.1./", NAME),
        ("https://localhost./", NAME),
        ("https:///x", NAME),
        ("https://:443/", NAME),
        ("https://.example.com/", NAME),
        ("https://a..b/", NAME),
        ("https://-a.example/", NAME),
        ("https://a-.example/", NAME),
        ("https://a_b.example/", NAME),
        ("https://a%2eb/", NAME),
        ("https://127.0.0.1%2f/", NAME),
        ("https://%6cocalhost/", NAME),
        ("https://example.com,127.0.0.1.example/", NAME),
        (f"https://{'a' * 64}.example/", NAME),
        (f"https://{'a.' * 126}ab/", NAME),
        # Literals of IPv6
        ("https://[fe80::1%25eth0]/", ZONE),
        ("https://[fe80::1%eth0]/", ZONE),
        ("https://[::1%]/", ZONE),
        ("https://[]/", IPV6),
        ("https://[127.0.0.1]/", IPV6),
        ("https://[v1.a]/", IPV6),
        ("https://[::1::]/", IPV6),
        ("https://[1:2]/", IPV6),
        ("https://[::1]x/", HOST),
        ("https://x[::1]/", HOST),
        ("https://::1/", PORT),
        ("https://[[::1]]/", HOST),
        # What readers disagree on
        ("http://good.com\\@127.0.0.1/", UNPRINTABLE),
        ("https://example.com\\.evil.example/", UNPRINTABLE),
        ("https://example.com/a b", UNPRINTABLE),
        (" https://example.com/", UNPRINTABLE),
        ("https://example.com/\r\nHost: evil", UNPRINTABLE),
        ("https://exam\tple.com/", UNPRINTABLE),
        ("https://example.com/\x00", UNPRINTABLE),
        ("https://example.com/\x7f", UNPRINTABLE),
        ("https://example.com/\x85", UNPRINTABLE),
        ("https://example.com/\u3000", UNPRINTABLE),
        ("https://example.com/\u2028", UNPRINTABLE),
        ("https://a.com@127.0.0.1/", USER),
        ("https://user:secret@example.com/", USER),
        ("https://@example.com/", USER),
        ("https://example.com#@127.0.0.1/", FRAGMENT),
        ("https://example.com/#", FRAGMENT),
        ("https://example.com/a#b", FRAGMENT),
        ("https://example.com/é", TARGET),
        ("https://example.com/\u212a", TARGET),
        ("https://example.com/%", TARGET),
        ("https://example.com/%zz", TARGET),
        ('https://example.com/"', TARGET),
        ("https://example.com/?a=<b>", TARGET),
        ("https://example.com/{id}", TARGET),
        ("https://example.com/\ud800", TARGET),
        ("https://\ud800.example/", IDNA),
        # Ports
        ("https://example.com:/", PORT),
        ("https://example.com:0/", PORT),
        ("https://example.com:0443/", PORT),
        ("https://example.com:65536/", PORT),
        ("https://example.com:-1/", PORT),
        ("https://example.com:443:443/", PORT),
        ("https://example.com:٤٤٣/", PORT),
        ("https://example.com:" + "9" * 1000 + "/", PORT),
        # No URLs
        ("", ABSOLUTE),
        ("example.com", ABSOLUTE),
        ("//example.com/", ABSOLUTE),
        ("/hook", ABSOLUTE),
        ("https:example.com", ABSOLUTE),
        ("https:/example.com", ABSOLUTE),
        ("mailto:a@b.example", ABSOLUTE),
        ("httpſ://example.com/", ABSOLUTE),
        ("https://example.com/" + "a" * 2029, LONG),
    ],
)
def test_a_url_is_refused_before_anything_is_resolved(url: str, why: str) -> None:
    resolve = resolve_example_to(PUBLIC)
    assert (refusal(url, resolve), resolve.asked) == (why, [])


def test_a_url_of_2048_characters_is_taken() -> None:
    assert SsrfGuard(resolve=resolve_example_to(PUBLIC)).check("https://example.com/" + "a" * 2028).port == 443


@pytest.mark.parametrize("scheme", ["http", "ftp", "file", "gopher", "ws", "https+unix"])
def test_another_scheme_is_refused(scheme: str) -> None:
    assert refusal(f"{scheme}://example.com/") == "The URL must begin with https://."


def test_the_schemes_that_are_allowed_are_named() -> None:
    assert refusal("ftp://a/", schemes=["https", "http"]) == "The URL must begin with https:// or http://."


@pytest.mark.parametrize("port", [22, 80, 444, 6379, 65535])
def test_another_port_is_refused(port: int) -> None:
    assert refusal(f"https://example.com:{port}/") == f"Port {port} is not allowed; allowed are: 443, 8443."


def test_http_has_a_port_that_is_to_be_allowed_too() -> None:
    assert refusal("http://example.com/", schemes=["http"]) == "Port 80 is not allowed; allowed are: 443, 8443."


def test_an_empty_list_allows_any_port() -> None:
    guard = SsrfGuard(schemes=["http"], ports=[], resolve=resolve_example_to(PUBLIC))
    assert [guard.check(f"http://example.com{port}/").port for port in ("", ":1", ":65535")] == [80, 1, 65535]


@pytest.mark.parametrize(
    ("unicode", "ascii"),
    [
        ("bücher.example", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
    ],
)
def test_an_international_name_goes_out_in_ascii(unicode: str, ascii: str) -> None:
    resolve = FakeResolver(**{ascii.replace(".", "_"): [PUBLIC]})
    assert SsrfGuard(resolve=resolve).check(f"https://{unicode}/").authority == ascii


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("10.1.0.0/16", "10.1.2.3"),
        ("10.1.0.0/16", "::ffff:10.1.2.3"),
        ("127.0.0.1/32", "127.0.0.1"),
        ("::1/128", "::1"),
        ("fd00::/8", "fd12::1"),
        ("64:ff9b::/96", "64:ff9b::8.8.8.8"),
        ("2002::/16", "2002:808:808::1"),
    ],
)
def test_operator_can_allow_a_network(network: str, address: str) -> None:
    guard = SsrfGuard(allowed_networks=[ip_network(network)], resolve=resolve_example_to(address))
    assert guard.check("https://example.com/").addresses == (str(parse_address(address)),)


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("10.1.0.0/16", "10.2.0.1"),
        ("10.1.0.0/16", "64:ff9b::10.1.0.1"),
        ("64:ff9b::/96", "64:ff9b::a9fe:a9fe"),
        ("::ffff:0:0:0/96", "::ffff:0:7f00:1"),
        ("2002::/16", "2002:a9fe:a9fe::1"),
        ("2001::/32", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
        ("::1/128", "127.0.0.1"),
    ],
)
def test_allowed_network_allows_no_other(network: str, address: str) -> None:
    assert refusal(
        "https://example.com/", resolve_example_to(address), allowed_networks=[ip_network(network)]
    ) == describe_refusal("example.com")


def test_mapped_ipv4_address_is_unwrapped() -> None:
    assert SsrfGuard(resolve=resolve_example_to("::ffff:8.8.8.8", "8.8.8.8")).check(
        "https://example.com/"
    ).addresses == ("8.8.8.8",)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "017700000001", "127.1", "0"])
def test_refused_urls_would_have_reached_this_machine(host: str) -> None:
    (entry, *_) = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    assert not is_permitted_address(ip_address(entry[4][0]))
