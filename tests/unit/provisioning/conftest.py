"""The harness of the provisioning tests, as a fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.provisioning.harness import Harness, new_harness


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """On an empty platform with two sandboxes, prod and dev."""
    async with new_harness() as made:
        yield made
