"""A set-up on the stand-in of AEP whose clock a test moves, and events sent through its inlet."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from local.aep_platform import RecordFailed, RecordStored
from local.simulated_time import ManualClock
from pendo_aep.aep.client import StreamingClient
from pendo_aep.aep.format import Raw
from pendo_aep.clock import rfc3339
from pendo_aep.http import http_connection
from pendo_aep.lake.status import Status, read_status
from pendo_aep.lake.target import find_target
from pendo_aep.provisioning.connection import open_client
from pendo_aep.settings import DeliverSettings, LakeSettings, load
from tests.unit.provisioning.harness import FAST_RETRIES, Harness

INGEST_AFTER: Final = 300.0
CANARY: Final = "CANARY@example.com"
START: Final = datetime(2026, 1, 31, 9, 5, tzinfo=UTC)


@dataclass
class LakeHarness:
    """The stand-in, and what it did with each record.

    Attributes:
        adobe: sets it up, and takes it down.
        clock: the stand-in's; nothing is ingested before it moves.
        ends: of all records so far, as the stand-in tells.
    """

    adobe: Harness
    clock: ManualClock
    ends: list[RecordStored | RecordFailed] = field(default_factory=list)

    async def send(self, *events: dict[str, Any]) -> None:
        """Sends events as `deliver` does; AEP accepts them all."""
        await send_events(self.adobe, *events)

    def wait(self, **time: float) -> None:
        """Moves the clock; what is due is ingested."""
        self.clock.now += timedelta(**time).total_seconds()
        self.adobe.platform.ingest_due()

    @property
    def now(self) -> datetime:
        """The stand-in's time."""
        return datetime.fromtimestamp(self.clock.now, UTC)

    async def status(
        self, since: datetime = START, settings: Mapping[str, str] | None = None
    ) -> Status:
        """Reads the status up to now."""
        loaded = load(LakeSettings, {**self.adobe.environ, **(settings or {})})
        async with open_client(loaded, FAST_RETRIES) as client:
            target = await find_target(client, loaded)
            return await read_status(client, target, since, self.now + timedelta(seconds=1))

    def stored(self) -> int:
        """How many records the stand-in has stored."""
        return sum(isinstance(end, RecordStored) for end in self.ends)

    def failed(self) -> dict[tuple[str, str], int]:
        """How many records of each batch failed with which code, as the stand-in tells."""
        counts: dict[tuple[str, str], int] = {}
        for end in self.ends:
            if isinstance(end, RecordFailed):
                key = (end.batch, end.code)
                counts[key] = counts.get(key, 0) + 1
        return counts


async def send_events(adobe: Harness, *events: dict[str, Any]) -> None:
    """Sends events to the dataflow as `deliver` does; AEP accepts them all."""
    messages = [Raw().encode(orjson.dumps(event), event) for event in events]  # type: ignore[arg-type]
    settings = load(DeliverSettings, {"GOOGLE_CLOUD_PROJECT": "p", **await adobe.show()})
    async with adobe.connected() as platform:
        connection = http_connection("AEP", lambda: platform.session)
        client = StreamingClient.of(settings, connection, platform.tokens)
        response = await client.post(messages, asyncio.get_running_loop().time() + 10)
    assert response.status == 207


def events(*ids: str, **changes: Any) -> Sequence[dict[str, Any]]:
    """Returns normalised events, each with what is to be wrong with it."""
    now = rfc3339(START)
    return [
        {
            "id": one,
            "type": "guide.displayed",
            "pendoEvent": "guideDisplayed",
            "occurredAt": now,
            "receivedAt": now,
            "visitorId": "canary-visitor",
            "schemaVersion": 1,
            **changes,
        }
        for one in ids
    ]


async def send_in_three_hours(lake: LakeHarness) -> None:
    """Stores 12 of 18 events, in several batches of two hours; one in an hour without others."""
    await lake.send(*events("a1", "a2", "a3"), *events("m1", "m2", occurredAt="yesterday"))
    lake.wait(minutes=20)
    await lake.send(*events("a4", "a5"), *events("v1", visitorId=CANARY))
    lake.wait(minutes=20)
    await lake.send(*events("a6"), *events("v2", "v3", visitorId=CANARY))
    lake.wait(hours=2)
    await lake.send(*events(*(f"b{n}" for n in range(6))), *events("m3", occurredAt="then"))
    lake.wait(minutes=10)
