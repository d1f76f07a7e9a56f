"""The data lake of these tests, which need PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.postgres import PostgresServer
from local.query_service import PostgresLake


@pytest.fixture
def lake(postgres: PostgresServer) -> Iterator[PostgresLake]:
    """A data lake; other tests have tables of other names in it."""
    running = PostgresLake(postgres)
    yield running
    running.close()
