"""The host of the tests of invitations."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.invitations import InvitationHost


@pytest.fixture
def host(database_url: str) -> Iterator[InvitationHost]:
    host = InvitationHost(database_url)
    yield host
    host.close()
