"""Query Service for tests: AEP's API that hands out a connection to a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast

from pendo_aep.lake.query_service import QueryLimits, QueryService
from pendo_aep.provisioning.client import Client, Operation, RetryPolicy

FAST: Final = RetryPolicy(initial_seconds=0.001, max_seconds=0.01)


@dataclass(slots=True)
class Parameters:
    """Answers as `GET /query/connection_parameters` does.

    Attributes:
        answer: what AEP says, or raises.
        asked: how often it was asked.
    """

    answer: Any
    asked: int = 0
    retry_policy: RetryPolicy = field(default=FAST)

    async def read(self, _: Operation) -> Any:
        """Takes the call of a client."""
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@asynccontextmanager
async def query_service(
    answers: Parameters, limits: QueryLimits | None = None, *, is_encrypted: bool = False
) -> AsyncIterator[QueryService]:
    """Connects to what the parameters say, as the commands do."""
    client = cast("Client", answers)
    async with QueryService(client, is_encrypted=is_encrypted, limits=limits) as service:
        yield service
