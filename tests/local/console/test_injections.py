"""What is made to go wrong: it does, it is listed, and it goes right again when cleared."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.pubsub_v1.types import PubsubMessage

from local.aep import AepServer
from local.console.injections import Injection, Injections, Kind
from local.pipeline import EVENTS, PROJECT_ID, administer
from local.pubsub import PubSubServer
from tests.local.aep_client import AepClient, raw

CASES = orjson.loads((Path(__file__).parent / "injections.json").read_bytes())
MESSAGES = raw(*(f"e{number}" for number in range(20)))
TOPIC = f"projects/{PROJECT_ID}/topics/{EVENTS}"


@dataclass(frozen=True, slots=True)
class World:
    """The servers, somebody who uses them, and what goes wrong there."""

    aep: AepServer
    client: AepClient
    host: str
    injections: Injections
    changes: list[None]

    async def look(self) -> dict[str, Any]:
        """How a batch, a token request and a publish fare now."""
        refused = len(self.aep.refused)
        started = time.monotonic()
        try:
            batch = (await self.client.batch(MESSAGES)).status
        except aiohttp.ServerDisconnectedError:
            batch = None
        seconds = time.monotonic() - started
        return {
            "batch": batch,
            "refused": len(self.aep.refused) > refused,
            "seconds": seconds,
            "token": (await self.client.token()).status,
            "publish": await self._publish(),
        }

    async def _publish(self) -> str:
        async with administer(self.host) as admin:
            try:
                await admin.publisher.publish(
                    topic=TOPIC, messages=[PubsubMessage(data=b"{}")], retry=None, timeout=10
                )
            except ServiceUnavailable:
                return "UNAVAILABLE"
        return "OK"


@pytest.fixture
async def world(aep: AepServer) -> AsyncIterator[World]:
    """All is well in it."""
    changes: list[None] = []
    async with PubSubServer() as pubsub, aiohttp.ClientSession() as session:
        pubsub.create_topic(TOPIC)
        injections = Injections(aep, pubsub, lambda: changes.append(None))
        yield World(aep, AepClient(aep, session), pubsub.host, injections, changes)


WELL = {"batch": 207, "refused": False, "token": 200, "publish": "OK"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["kind"])
async def test_it_goes_wrong_until_it_is_cleared(world: World, case: dict[str, Any]) -> None:
    """Each kind has its effect, is listed in words, and leaves nothing behind."""
    injections = world.injections
    injections.put(Injection(Kind(case["kind"]), seconds=case.get("seconds", 2.0)))

    assert [(one.kind, one.text) for one in injections.in_force] == [(case["kind"], case["text"])]
    seen = await world.look()
    assert seen.pop("seconds") >= case.get("seconds", 0)
    expected = {name: case[name] for name in WELL if name in case}
    assert seen == WELL | expected

    injections.clear(Kind(case["kind"]))
    assert injections.in_force == []
    after = await world.look()
    del after["seconds"]
    assert after == WELL
    assert len(world.changes) == 2


def test_every_kind_has_a_case() -> None:
    """No kind is left untried."""
    assert {case["kind"] for case in CASES} == set(Kind)


@pytest.mark.parametrize("kind", [Kind.THROTTLE, Kind.FAIL])
async def test_a_share_of_the_requests(world: World, kind: Kind) -> None:
    """About that share is hit; a second order of the kind takes the place of the first."""
    world.injections.put(Injection(kind, share=1.0))
    world.injections.put(Injection(kind, share=0.3))

    statuses = [(await world.client.batch(raw("e"))).status for _ in range(200)]

    assert 30 <= sum(status != 207 for status in statuses) <= 90  # 60, with 4.6 deviations
    (listed,) = world.injections.in_force
    assert "30% of requests" in listed.text


async def test_a_share_of_the_messages_is_the_same_ones(world: World) -> None:
    """What AEP refuses is refused for good, as often as it comes."""
    world.injections.put(Injection(Kind.PARTIAL, share=0.5))

    await world.client.batch(MESSAGES)
    first = {refused.id for refused in world.aep.refused}
    await world.client.batch(MESSAGES)
    both = [refused.id for refused in world.aep.refused]

    assert 0 < len(first) < len(MESSAGES)
    assert sorted(both, key=str) == sorted([*first, *first], key=str)


async def test_several_go_wrong_at_once(world: World) -> None:
    """Each has its effect beside the others, and clearing one leaves the rest."""
    injections = world.injections
    for kind in (Kind.SLOW, Kind.FAIL, Kind.TOKEN_DOWN):
        injections.put(Injection(kind, seconds=0.2))

    assert [one.kind for one in injections.in_force] == [Kind.SLOW, Kind.FAIL, Kind.TOKEN_DOWN]
    seen = await world.look()
    assert seen["seconds"] >= 0.2
    assert (seen["batch"], seen["token"]) == (401, 503)  # without a token it gets no further

    injections.clear(Kind.TOKEN_DOWN)
    assert ((await world.look())["batch"], (await world.client.token()).status) == (503, 200)

    injections.clear()
    assert injections.in_force == []
    assert (await world.look())["batch"] == 207


async def test_manners_of_before_come_back(aep: AepServer) -> None:
    """What AEP's stand-in was started with holds again when all is cleared."""
    before = aep.behaviour
    injections = Injections(aep, PubSubServer(), lambda: None)

    injections.put(Injection(Kind.SLOW))
    assert aep.behaviour.latency_seconds == 2.0
    injections.clear()

    assert aep.behaviour == before
