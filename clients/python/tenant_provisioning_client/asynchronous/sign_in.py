"""The access token of an API client: fetched when it is first needed, and again before it expires."""

from __future__ import annotations

import math
from collections.abc import Callable

import httpx

from ..credentials import AccessToken, ClientCredentials, read_access_token
from ..replies import Reply
from .runtime import make_lock


class AsyncSignIn:
    """Gets the tokens of one API client. One request at a time does so, and the others wait for its token."""

    def __init__(
        self,
        credentials: ClientCredentials,
        base_url: str,
        http: httpx.AsyncClient,
        user_agent: str,
        timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self._credentials, self._http, self._clock = credentials, http, clock
        self._url = credentials.token_url or f"{base_url}/oauth/token"
        self._user_agent, self._timeout = user_agent, timeout
        self._token, self._renew_at = "", -math.inf
        self._lock = make_lock()

    async def get_token(self, rejected: str | None = None) -> str:
        """Return a token that is valid for a while; another one than `rejected`, which the API has refused.

        Raises `SignInFailed`, `UnexpectedResponse` and httpx's errors.
        """
        async with self._lock:
            if self._clock() >= self._renew_at or self._token == rejected:
                asked_at, token = self._clock(), await self._fetch_token()
                self._token, self._renew_at = token.value, asked_at + token.seconds
            return self._token

    async def _fetch_token(self) -> AccessToken:
        request = self._http.build_request(
            "POST",
            self._url,
            headers={**self._credentials.build_headers(), "User-Agent": self._user_agent},
            content=self._credentials.build_content(),
            timeout=httpx.Timeout(self._timeout),
        )
        response = await self._http.send(request, follow_redirects=False)
        return read_access_token(Reply(response.status_code, response.headers, response.content))
