"""A desk for each test of the set-up."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.provisioning.desk import Desk, new_desk


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """On an empty platform with two sandboxes, prod and dev."""
    async with new_desk() as made:
        yield made
