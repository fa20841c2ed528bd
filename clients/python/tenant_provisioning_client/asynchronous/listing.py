"""Lists: all items over all pages, or one page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Generic, TypeVar

from ..operations import Call, Operation, Value
from ..pages import Page
from .transport import AsyncTransport

T = TypeVar("T")


class AsyncListing(Generic[T]):
    """A list of the API, which is read page by page as you iterate over it.

    Iterating over it once more reads it once more.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        operation: Operation[Page[T]],
        path: Mapping[str, str],
        query: Mapping[str, Value],
    ) -> None:
        self._transport, self._operation, self._path, self._query = transport, operation, path, query

    async def page(self, cursor: str | None = None) -> Page[T]:
        """Return one page: the first, or the one that the `next` of another page leads to."""
        query = {**self._query, "cursor": cursor}
        return await self._transport.send(Call(self._operation, self._path, query))

    async def pages(self, cursor: str | None = None) -> AsyncIterator[Page[T]]:
        """Yield page after page, from `cursor` on."""
        while True:
            page = await self.page(cursor)
            yield page
            cursor = page.next
            if cursor is None:
                return

    async def __aiter__(self) -> AsyncIterator[T]:
        """Yield every item of every page."""
        async for page in self.pages():
            for item in page.items:
                yield item
