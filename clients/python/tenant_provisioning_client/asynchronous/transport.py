"""Send calls: with the token, within their time, and again where that is safe."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, TypeVar

import httpx

from ..credentials import ClientCredentials
from ..errors import ConnectionFailed, ProvisioningError, ProvisioningProblem
from ..operations import Call
from ..replies import Reply, read_failure, read_result
from ..retries import Attempts, Retries
from ..uploads import Upload
from .runtime import Sleep, Token, resolve_token
from .sign_in import AsyncSignIn

logger = logging.getLogger("tenant_provisioning_client")
T = TypeVar("T")

#: Failures before the request has left.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
#: Codes after which another token may help.
_TOKEN_CODES = {"token-expired", "invalid-token"}
#: Seconds without a byte after which a stream counts as dead; the API sends one every 15 seconds.
_STREAM_SILENCE = 45.0
#: Seconds to wait for the response to an upload: the API stores all rows before it responds.
_UPLOAD_PATIENCE = 300.0


class AsyncTransport:
    """Sends calls to one API. It knows the token, and shows it nowhere."""

    def __init__(
        self,
        base_url: str,
        token: Token | ClientCredentials | None,
        http: httpx.AsyncClient,
        *,
        timeout: float,
        retries: Retries,
        user_agent: str,
        sleep: Sleep,
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self.base_url = base_url
        self.sleep = sleep
        self._token: Token | None = None
        self._sign_in: AsyncSignIn | None = None
        if isinstance(token, ClientCredentials):
            self._sign_in = AsyncSignIn(token, base_url, http, user_agent, timeout, clock)
        else:
            self._token = token
        self._http, self._timeout = http, timeout
        self._retries, self._user_agent = retries, user_agent
        self._clock, self._random = clock, random

    async def send(self, call: Call[T], upload: Upload | None = None) -> T:
        """Send a call, again where that is safe and may help, and return its result.

        An upload takes as long as it takes: the total time of a call counts only the waits between its attempts.

        Raises `ProvisioningProblem` if the API refuses it, `UnexpectedResponse` if the response is not the API's, and
        `ConnectionFailed` if there is none; `SignInFailed` if there is no token for the API client.
        """
        attempts = Attempts(self._retries, self._clock, self._random)
        token: str | None = None
        has_token = is_renewed = False
        while True:
            failure: ProvisioningError
            begun = self._clock()
            try:
                if not has_token:
                    token, has_token = await self._get_token(), True
                return read_result(call, await self._exchange(call, upload, token, attempts))
            except ProvisioningError as error:
                failure = error
            if upload is not None:
                attempts.deadline += self._clock() - begun
            if not is_renewed and isinstance(failure, ProvisioningProblem) and failure.code in _TOKEN_CODES:
                is_renewed, old, token = True, token, await self._get_token(token)
                if token != old:
                    continue
            wait = attempts.plan_wait(call, failure)
            if wait is None:
                _explain_end(call, failure, attempts.count)
                raise failure
            logger.warning(
                "%s is sent again in %.1f seconds: %s",
                call.operation.name,
                wait,
                describe_failure(failure),
                extra={"operation": call.operation.name, "attempt": attempts.count, "wait": wait},
            )
            await self.sleep(wait)

    async def iter_lines(self, call: Call[Any]) -> AsyncGenerator[str]:
        """Send a call once, and yield the lines of its response as they arrive; none if it has no content.

        Raises the same errors as `send`.
        """
        request = self._build_request(call, None, await self._get_token(), self._timeout)
        request.extensions["timeout"]["read"] = max(self._timeout, _STREAM_SILENCE)
        try:
            response = await self._http.send(request, stream=True, follow_redirects=False)
            try:
                if response.status_code != 200:
                    content = await response.aread()
                    if response.status_code == 204:
                        return
                    raise read_failure(Reply(response.status_code, response.headers, content))
                async for line in response.aiter_lines():
                    yield line
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise make_connection_failed(error) from error

    async def _get_token(self, rejected: str | None = None) -> str | None:
        """Return the token to send, another one than `rejected` if there is one.

        Raises `ValueError` if it cannot stand in a header, and `SignInFailed`, `UnexpectedResponse` and
        `ConnectionFailed` if there is none for the API client.
        """
        if self._sign_in is not None:
            try:
                return await self._sign_in.get_token(rejected)
            except httpx.HTTPError as error:
                failure = make_connection_failed(error)
                failure.was_sent = False  # a request for a token does nothing, and the call has not been sent
                raise failure from error
        if self._token is None:
            return None
        token = await resolve_token(self._token)
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError("The token must be a text of printable ASCII characters without spaces.")
        return token

    def _build_request(
        self, call: Call[Any], upload: Upload | None, token: str | None, timeout: float
    ) -> httpx.Request:
        headers = {"Accept": "application/json", "User-Agent": self._user_agent, **call.build_headers()}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        content: Any = call.build_content()
        if upload is not None:
            headers |= upload.build_headers()
            content = _iter_upload(upload)
        url = call.build_url(self.base_url)
        return self._http.build_request(
            call.operation.method, url, headers=headers, content=content, timeout=httpx.Timeout(timeout)
        )

    async def _exchange(self, call: Call[Any], upload: Upload | None, token: str | None, attempts: Attempts) -> Reply:
        """Send a request and read its response: by the deadline of the call, if it uploads nothing."""
        request = self._build_request(call, upload, token, min(self._timeout, attempts.seconds_left))
        if upload is not None:
            request.extensions["timeout"]["read"] = max(self._timeout, _UPLOAD_PATIENCE)
        try:
            response = await self._http.send(request, stream=True, follow_redirects=False)
            try:
                content = bytearray()
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if upload is None and not attempts.seconds_left:
                        raise httpx.ReadTimeout(f"The response took longer than {self._retries.total:g} seconds.")
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise make_connection_failed(error) from error
        return Reply(response.status_code, response.headers, bytes(content))


async def _iter_upload(upload: Upload) -> AsyncIterator[bytes]:
    for chunk in upload.iter_chunks():
        yield chunk


def make_connection_failed(error: httpx.HTTPError) -> ConnectionFailed:
    """Return the error of a request without a response."""
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ConnectionFailed(reason, was_sent=not isinstance(error, _NOT_SENT))


def describe_failure(failure: ProvisioningError) -> str:
    """Return a failure in one line, without what the request contained."""
    if isinstance(failure, ProvisioningProblem):
        return f"{failure.status} {failure.code}"
    return str(failure).partition("\n")[0]


def _explain_end(call: Call[Any], failure: ProvisioningError, count: int) -> None:
    """Add to a failure what the caller cannot see: the number of attempts, and whether the write may have been done."""
    if count > 1:
        failure.add_note(f"It was sent {count} times.")
    if isinstance(failure, ConnectionFailed) and failure.was_sent and not call.is_repeatable:
        failure.add_note("It was not sent again: it expects a version, and may have been carried out. Read it first.")
