"""What the adapter tests share: an impatient client."""

from collections.abc import AsyncIterator

import pytest

from adapters.http import Http


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    """Waits a quarter of a second for an answer where the service waits ten."""
    async with Http(connect_seconds=1.0, answer_seconds=0.25) as client:
        yield client
