"""`deliver` and `drain` with a setting that makes AEP refuse every event: nothing is buried."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from local.aep import AepServer, Behaviour, Fault, MessageFormat, answering, refusing
from local.functions import Function, Line
from local.pipeline import DEAD
from local.pubsub import PubSubServer
from tests.functions.test_deliver import deliver_all, event
from tests.webhooks import VISITOR, send, unique_id

pytestmark = pytest.mark.slow
_TOPIC, _DEAD_TOPIC = "projects/local/topics/backlog", f"projects/local/topics/{DEAD}"
_EVENTS = 300
# What AEP says, quoting an event as it may.
_SAID = f"/_acme/plan: required key [plan] not found for {VISITOR}"


@dataclass(frozen=True, slots=True)
class WrongSetting:
    """How AEP refuses everything.

    Attributes:
        behaviour: what the inlet takes.
        fault: what it answers beyond that, if anything.
        words: what the function's line must quote.
        most_dead: how many events may become dead letters before the function notices.
    """

    behaviour: Behaviour
    fault: Fault | None
    words: str
    most_dead: int


WRONG_SETTINGS = {
    "raw events at an inlet for XDM": WrongSetting(
        Behaviour(format=MessageFormat.XDM), None, "The 'header' field is mandatory", 0
    ),
    "each event lacks a field": WrongSetting(
        Behaviour(), refusing(lambda _: True, reason=_SAID), "required key [plan] not found", 40
    ),
    "each request is refused as a whole": WrongSetting(
        Behaviour(),
        answering(400, body=b'{"message": "required key [plan] not found"}'),
        "required key [plan] not found",
        40,
    ),
}


@pytest.fixture(params=[*WRONG_SETTINGS.values()], ids=[*WRONG_SETTINGS])
def wrong(request: pytest.FixtureRequest, aep: AepServer) -> WrongSetting:
    """AEP refuses everything, for one reason or another."""
    setting: WrongSetting = request.param
    aep.behaviour = setting.behaviour
    if setting.fault:
        aep.faults.add(setting.fault)
    return setting


@pytest.fixture
async def server() -> AsyncIterator[PubSubServer]:
    """A Pub/Sub server of this test's own."""
    async with PubSubServer(pull_wait=0.2) as running:
        running.create_topic(_TOPIC)
        running.create_topic(_DEAD_TOPIC)
        running.create_subscription("projects/local/subscriptions/backlog", _TOPIC)
        yield running


def settings(server: PubSubServer, aep: AepServer) -> dict[str, str]:
    """What both functions need."""
    return {
        "PUBSUB_EMULATOR_HOST": server.host,
        "AEP_ENDPOINT": aep.endpoint,
        "AEP_FLOW_ID": "flow-1",
        "DRAIN_SUBSCRIPTION": "backlog",
        "DRAIN_SECONDS": "8",
    }


async def test_push(
    wrong: WrongSetting, server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """Of 300 events pushed 50 at a time at most 40 become dead letters; later all others arrive."""
    async with Function("deliver", settings(server, aep)) as deliver:
        waiting: set[int] = set()
        for start in range(0, _EVENTS, 50):
            waiting |= await _push(http, deliver, range(start, start + 50))
        await _check(wrong, server, aep, deliver, waiting)

        _mend(aep)
        async with asyncio.timeout(60):
            while waiting:
                waiting = await _push(http, deliver, sorted(waiting)[:50]) | set(
                    sorted(waiting)[50:]
                )
        _check_arrived(server, aep)


async def test_drain(
    wrong: WrongSetting, server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """The same of 300 events that are pulled; a run gives back what it cannot deliver."""
    for number in range(_EVENTS):
        server.publish(_TOPIC, event(number), eventId=unique_id(number))
    async with Function("drain", settings(server, aep)) as drain:
        counts = (await send(http, drain.url, b"")).json()
        assert counts["delivered"] == 0
        assert counts["refused"] <= wrong.most_dead
        assert counts["returned"] == counts["pulled"] - counts["refused"]
        await _check(wrong, server, aep, drain, set(range(_EVENTS)))
        # The next run brings what asks AEP again, and leaves the others where they are.
        assert (await send(http, drain.url, b"")).json()["pulled"] <= 2

        _mend(aep)
        async with asyncio.timeout(60):
            while len(server.published(_DEAD_TOPIC)) + len(aep.distinct_ids) < _EVENTS:
                await send(http, drain.url, b"")
        _check_arrived(server, aep)


async def _push(
    http: aiohttp.ClientSession, deliver: Function, numbers: range | list[int]
) -> set[int]:
    """Pushes these events at once; answers those that are not acknowledged."""
    statuses = await deliver_all(http, deliver, numbers)
    assert set(statuses) <= {204, 503}
    return {n for n, status in zip(numbers, statuses, strict=True) if status == 503}


async def _check(
    wrong: WrongSetting,
    server: PubSubServer,
    aep: AepServer,
    function: Function,
    waiting: set[int],
) -> None:
    dead = server.published(_DEAD_TOPIC)
    assert len(dead) <= wrong.most_dead
    assert len(waiting) >= _EVENTS - len(dead) - wrong.most_dead
    assert len(aep.requests) <= _EVENTS
    line = await _critical(function)
    assert line["message"].startswith("AEP configuration error: ")
    assert wrong.words in line["said"]
    assert VISITOR not in function.text
    reasons = {one["reason"] for one in function.lines if one["message"] == "message returned"}
    assert reasons == {"configuration"}


async def _critical(function: Function) -> Line:
    """The line that says it, once it is written."""
    async with asyncio.timeout(10):
        while not (found := [x for x in function.lines if x["severity"] == "CRITICAL"]):
            await function.next_line()
    [line] = found
    return line


def _mend(aep: AepServer) -> None:
    aep.behaviour = Behaviour()
    aep.faults.clear()


def _check_arrived(server: PubSubServer, aep: AepServer) -> None:
    """Every event is in AEP, but for those that were dead letters before."""
    dead = {letter.attributes["eventId"] for letter in server.published(_DEAD_TOPIC)}
    assert aep.distinct_ids == {unique_id(n) for n in range(_EVENTS)} - dead
