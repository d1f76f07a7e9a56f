"""The data lake of these tests, which need PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.postgres import PostgresServer
from local.query_service import PostgresLake


@pytest.fixture(scope="module")
def lake(postgres: PostgresServer) -> Iterator[PostgresLake]:
    """An empty data lake on the shared server."""
    running = PostgresLake(postgres)
    yield running
    running.drop_tables()
    running.close()
