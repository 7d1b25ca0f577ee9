"""What most tests of the contract start from."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.contract.door import Door, opened


@pytest_asyncio.fixture
async def door() -> AsyncIterator[Door]:
    """An external scaler that nobody has asked yet, with an empty board."""
    async with opened() as door:
        yield door
