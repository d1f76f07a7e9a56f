"""`deliver` and `drain` with a setting for which AEP rejects every event: almost none is lost.

Real but for one constant: a probe is due each second, not every ten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from local.aep import AepServer, Behaviour, Fault, MessageFormat, answering, refusing
from local.functions import Function
from local.pubsub import PubSubServer
from tests.delivery_harness import (
    DEAD_TOPIC,
    consumer_env,
    publish_events,
    source_with,
    wait_for_line,
)
from tests.webhooks import VISITOR, event, push_body, send, unique_id

pytestmark = pytest.mark.slow
_IDS = [unique_id(number) for number in range(150)]
# What AEP says, quoting an event as it may.
_DETAIL = f"/_acme/plan: required key [plan] not found for {VISITOR}"


@dataclass(frozen=True, slots=True)
class WrongSetting:
    """How AEP rejects everything.

    Attributes:
        behaviour: What the inlet accepts.
        fault: What it answers beyond that, if anything.
        quote: What the function's log line must quote.
        most_dead: How many events may become dead letters before the function notices.
    """

    behaviour: Behaviour
    fault: Fault | None
    quote: str
    most_dead: int


WRONG_SETTINGS = {
    "raw events at an inlet for XDM": WrongSetting(
        Behaviour(format=MessageFormat.XDM), None, "The 'header' field is mandatory", 0
    ),
    "each event lacks a field": WrongSetting(
        Behaviour(), refusing(lambda _: True, reason=_DETAIL), "required key [plan] not found", 40
    ),
    "each request is refused as a whole": WrongSetting(
        Behaviour(),
        answering(400, body=b'{"message": "required key [plan] not found"}'),
        "required key [plan] not found",
        40,
    ),
}


@pytest.fixture(params=[*WRONG_SETTINGS.values()], ids=[*WRONG_SETTINGS])
def wrong(request: pytest.FixtureRequest, aep: AepServer, renewed: None) -> WrongSetting:  # noqa: ARG001
    """A wrong setting, which makes AEP reject everything."""
    setting: WrongSetting = request.param
    aep.behaviour = setting.behaviour
    if setting.fault:
        aep.faults.add(setting.fault)
    return setting


@pytest.fixture
def pauses(tmp_path: Path) -> dict[str, str]:
    """The setting that makes probes frequent."""
    return source_with(tmp_path, {"pendo_aep.aep.misconfiguration._SECONDS_BETWEEN_PROBES": 1.0})


async def test_push(
    wrong: WrongSetting,
    server: PubSubServer,
    aep: AepServer,
    http: aiohttp.ClientSession,
    pauses: dict[str, str],
) -> None:
    """Of 150 events pushed 50 at a time at most 40 become dead letters; later all others arrive."""
    async with Function("deliver", consumer_env(server, aep, **pauses)) as deliver:
        waiting: list[str] = []
        for start in range(0, len(_IDS), 50):
            waiting += await _push(http, deliver, _IDS[start : start + 50])
        await _check_rejected(wrong, server, aep, deliver, waiting)

        _correct(aep)
        async with asyncio.timeout(60):
            while waiting:
                waiting = await _push(http, deliver, waiting[:50]) + waiting[50:]
        _check_delivered(server, aep)


async def test_drain(
    wrong: WrongSetting,
    server: PubSubServer,
    aep: AepServer,
    http: aiohttp.ClientSession,
    pauses: dict[str, str],
) -> None:
    """The same of 150 events that are pulled; a run returns what it cannot deliver."""
    publish_events(server, _IDS)
    async with Function("drain", consumer_env(server, aep, DRAIN_SECONDS="20", **pauses)) as drain:
        counts = (await send(http, drain.url, b"")).json()
        assert counts["delivered"] == 0
        assert counts["refused"] <= wrong.most_dead
        assert counts["returned"] == counts["pulled"] - counts["refused"]
        await _check_rejected(wrong, server, aep, drain, _IDS)
        # The next run pulls only a message that asks AEP again, and leaves the others.
        assert (await send(http, drain.url, b"")).json()["pulled"] <= 2

        _correct(aep)
        async with asyncio.timeout(60):
            while len(server.published(DEAD_TOPIC)) + len(aep.distinct_ids) < len(_IDS):
                await send(http, drain.url, b"")
        _check_delivered(server, aep)


async def _push(http: aiohttp.ClientSession, deliver: Function, ids: Sequence[str]) -> list[str]:
    """Pushes these events at once, and returns those that are not acknowledged."""
    bodies = [push_body(event(i), eventId=i) for i in ids]
    answers = await asyncio.gather(*(send(http, deliver.url, body) for body in bodies))
    assert {answer.status for answer in answers} <= {204, 503}
    return [i for i, answer in zip(ids, answers, strict=True) if answer.status == 503]


async def _check_rejected(
    wrong: WrongSetting,
    server: PubSubServer,
    aep: AepServer,
    function: Function,
    waiting: Sequence[str],
) -> None:
    dead = server.published(DEAD_TOPIC)
    assert len(dead) <= wrong.most_dead
    assert len(waiting) >= len(_IDS) - len(dead) - wrong.most_dead
    assert len(aep.requests) <= len(_IDS)
    line = await wait_for_line(function, lambda line: line["severity"] == "CRITICAL")
    assert len([line for line in function.lines if line["severity"] == "CRITICAL"]) == 1
    assert line["message"].startswith("AEP configuration error: ")
    assert wrong.quote in line["said"]
    assert VISITOR not in function.text
    reasons = {one["reason"] for one in function.lines if one["message"] == "message returned"}
    assert reasons == {"configuration"}


def _correct(aep: AepServer) -> None:
    aep.behaviour = Behaviour()
    aep.faults.clear()


def _check_delivered(server: PubSubServer, aep: AepServer) -> None:
    """Asserts that AEP has every event that was not a dead letter before."""
    dead = {letter.attributes["eventId"] for letter in server.published(DEAD_TOPIC)}
    assert aep.distinct_ids == set(_IDS) - dead
