"""The API clients that one process has cached, which the guard asks for each client's token."""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Literal, NamedTuple

from ..access.principal import Principal
from ..cache import TTLCache
from ..database.ids import format_instant
from ..encoding import format_error
from ..errors import AddressNotAllowed, InvalidToken
from ..mount import Mount
from ..webhooks.client.ssrf import parse_address
from . import actions
from .models import Client

logger = logging.getLogger(__name__)
#: How many clients' last uses a process remembers.
_MAX_USES = 10_000
Key = tuple[str, str]


class CachedClient(NamedTuple):
    """The part of a client that requests are checked against.

    `expires` is in seconds since 1970; None if it does not expire.
    """

    is_enabled: bool
    expires: float | None
    generation: int
    permissions: frozenset[str]
    networks: tuple[IPv4Network | IPv6Network, ...]


class ClientCache:
    """The clients of one mount, each at most `PROVISIONING_PARTNER_CACHE_SECONDS` old.

    A change that this process commits is seen at once: its event drops the client from the cache, which follows the
    events from the first client's token on. `mount.once(ClientCache)` is a mount's.
    """

    def __init__(self, mount: Mount) -> None:
        self._storage = mount.storage
        self._clock = mount.storage.clock
        # A client that does not exist is cached as False: the tokens of a deleted one cost no query each.
        self._cache: TTLCache[Key, CachedClient | Literal[False]] = TTLCache(
            self._clock, mount.config.partner_cache_seconds
        )
        self._used_minutes: dict[Key, int] = {}
        self._lock = threading.Lock()
        self._follows_events = False

    def require_valid(self, principal: Principal, address: str | None) -> Principal:
        """Return the principal of a client's token with the permissions that the client still has.

        Raises `InvalidToken` if the client was deleted, is disabled or has expired, or its tokens were ended, and
        `AddressNotAllowed` unless `address` is in one of the client's networks. Without an address, as when a request
        is checked again after it has ended, the networks are not checked.
        """
        key = principal.partner, principal.subject
        client = self._cache.get(key)
        if client is None:
            client = self._cache.load(key, partial(self._read, key))
        if client is False:
            raise InvalidToken("The token's client does not exist.")
        if not client.is_enabled:
            raise InvalidToken("The token's client is disabled.")
        if client.expires is not None and self._clock() >= client.expires:
            raise InvalidToken("The token's client has expired.")
        if client.generation != principal.client_generation:
            raise InvalidToken("The token was revoked.")
        if client.networks and address is not None and not _is_in_networks(address, client.networks):
            raise AddressNotAllowed("The token's client may not be used at this address.")
        if principal.permissions <= client.permissions:
            return principal
        return dataclasses.replace(principal, permissions=principal.permissions & client.permissions)

    def record_use(self, principal: Principal) -> None:
        """Record that the client was used now. It is written once a minute; if that fails, the request goes on."""
        key, now = (principal.partner, principal.subject), self._clock()
        minute = int(now // 60)
        if self._used_minutes.get(key) == minute:
            return
        with self._lock:
            if self._used_minutes.get(key) == minute:
                return
            if len(self._used_minutes) >= _MAX_USES:
                self._used_minutes.clear()
            self._used_minutes[key] = minute
        work = partial(
            actions.save_last_use, partner=key[0], client_id=key[1], minute=format_instant(float(minute * 60))
        )
        try:
            self._storage.transaction(work)
        except Exception as error:
            logger.warning(
                "the last use of client %s cannot be saved: %s",
                principal.subject,
                format_error(error),
                extra={"client": principal.subject, "partner": principal.partner, "error": type(error).__name__},
            )

    def _read(self, key: Key) -> CachedClient | Literal[False]:
        if not self._follows_events:
            with self._lock:
                if not self._follows_events:
                    self._storage.subscribe(self._drop_changed)
                    self._follows_events = True
        client = self._storage.read(partial(actions.find_client, partner=key[0], client_id=key[1]))
        return False if client is None else _make_cached_client(client)

    def _drop_changed(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Invalidate the clients that these committed events are about."""
        changed = [event for event in events if event["type"].startswith("client.")]
        if changed:
            self._cache.invalidate((event["partner_id"], json.loads(event["data"])["client"]) for event in changed)


def is_allowed_address(client: Client, address: str | None) -> bool:
    """Return whether the client may be used at this address; None is in no network."""
    networks = _parse_networks(client)
    return not networks or (address is not None and _is_in_networks(address, networks))


def _parse_networks(client: Client) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(map(ip_network, json.loads(client.networks)))


def _make_cached_client(client: Client) -> CachedClient:
    expires_at = client.expires_at
    return CachedClient(
        is_enabled=client.status == "enabled",
        expires=None if expires_at is None else datetime.fromisoformat(expires_at).timestamp(),
        generation=client.generation,
        permissions=frozenset(client.list_permissions()),
        networks=_parse_networks(client),
    )


def _is_in_networks(text: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Return whether this address is in one of `networks`; False for what is no address, such as a socket's path."""
    try:
        address = parse_address(text)
    except ValueError:
        return False
    return any(address in network for network in networks)
