"""A platform that ingests late, by a clock that the test moves, with a lake that only notes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from local.aep import AepServer
from local.aep_platform import PlatformServer, RecordFailed, RecordStored
from local.simulated_time import ManualClock
from tests.local.aep_platform.client import CATALOG, EVENT, PENDO_SOURCE, PlatformClient, connect

EXPORT = "/data/foundation/export"
# The beginning of an hour, so that it is clear what belongs to it.
NOON = 1_779_364_800.0
AFTER_SECONDS = 300.0
GOOD, BAD = EVENT, EVENT | {"occurredAt": "yesterday"}


@dataclass
class NotingLake:
    """Keeps what is written to it; `down` makes it refuse."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    down: bool = False

    def write(self, table: str, schema: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
        """Notes the rows."""
        if self.down:
            raise ConnectionError("the lake is down")
        assert schema["properties"]["_id"]
        self.rows.setdefault(table, []).extend(rows)

    def connection_parameters(self) -> dict[str, Any]:
        """Returns no real ones."""
        return {"dbName": "prod:all", "host": "127.0.0.1", "port": 1, "token": "t"}


@dataclass
class LatePlatform:
    """A Pendo source on a platform that ingests late."""

    client: PlatformClient
    clock: ManualClock
    lake: NotingLake
    seen: list[RecordStored | RecordFailed]

    @property
    def platform(self) -> PlatformServer:
        """The stand-in."""
        return self.client.platform

    async def send(self, *events: dict[str, Any]) -> None:
        """Sends events to the flow, which accepts all of them."""
        answered = await self.client.send_to_flow(*events)
        assert answered.status == 207
        assert all("xactionId" in entry for entry in answered.body["responses"])

    def advance(self, seconds: float = AFTER_SECONDS) -> int:
        """Moves the clock and ingests what is due then; returns how much."""
        self.clock.now += seconds
        return self.platform.ingest_due()

    async def batches(self, query: str = "") -> dict[str, Any]:
        """Returns a list of batches."""
        found: dict[str, Any] = await self.client.get(f"{CATALOG}/batches?{query}")
        return found

    async def failed_records(self, batch_id: str) -> list[dict[str, Any]]:
        """Returns the failed records of a batch, with their escaped parts parsed."""
        path = f"{EXPORT}/batches/{batch_id}/failed"
        found = []
        for file in (await self.client.get(path))["data"]:
            for line in (await self.text(f"{path}?path={file['name']}")).splitlines():
                parts = orjson.loads(line)
                found.append({name: orjson.loads(value) for name, value in parts.items()})
        return found

    async def text(self, path: str) -> bytes:
        """Returns the content of a file."""
        headers = {
            "Authorization": f"Bearer {self.client.token}",
            "x-api-key": self.client.aep.client_id,
            "x-gw-ims-org-id": self.platform.ims_org_id,
            "x-sandbox-name": "prod",
        }
        async with self.client.session.get(self.platform.url + path, headers=headers) as response:
            assert response.status == 200
            return await response.read()


@asynccontextmanager
async def late_platform(aep: AepServer, http: aiohttp.ClientSession) -> AsyncIterator[LatePlatform]:
    """Starts one, whose dataset keeps error diagnostics."""
    clock, lake = ManualClock(NOON), NotingLake()
    seen: list[RecordStored | RecordFailed] = []
    async with PlatformServer(
        aep,
        clock=clock,
        ingest_after_seconds=AFTER_SECONDS,
        lake=lake,
        observer=seen.append,
    ) as platform:
        client = await connect(platform, aep, http)
        await client.make(*PENDO_SOURCE[:3])
        await client.make("dataset", enableErrorDiagnostics=True)
        await client.make(*PENDO_SOURCE[4:])
        yield LatePlatform(client, clock, lake, seen)


def event(number: int, **changes: Any) -> dict[str, Any]:
    """Returns an event with an id of its own."""
    return EVENT | {"id": f"e-{number}"} | changes
