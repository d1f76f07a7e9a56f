"""`AEP_RAW_MODE`: raw events in each mode, pushed and pulled, at an inlet that takes no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from itertools import count, islice, product
from typing import Protocol, get_args

import aiohttp
import orjson
import pytest

from local.aep import (
    AepServer,
    Behaviour,
    Fault,
    RawMode,
    answering,
    cut_after_accepting,
    has_id,
    refusing,
    silent,
    throttled,
)
from local.functions import Function
from local.pipeline import DEAD
from local.pubsub import PubSubServer
from tests.delivery_harness import Way, event
from tests.functions.test_deliver import push
from tests.webhooks import send, unique_id

_TOPIC, _DEAD_TOPIC = "projects/local/topics/backlog", f"projects/local/topics/{DEAD}"
_SUBSCRIPTION = "projects/local/subscriptions/backlog"
_HEADER = {
    "flowId": "flow-1",
    "imsOrgId": "ACME@AdobeOrg",
    "datasetId": "dataset-1",
    "operations": {"data": "create"},
}


class Road(Protocol):
    """One way of messages to a function that is running."""

    async def bring(self, ids: Iterable[str]) -> set[str]:
        """Brings these events once; returns those that must come again."""
        ...


class Pushed:
    """Each message in a request of its own, all at once."""

    def __init__(self, http: aiohttp.ClientSession, function: Function) -> None:
        self._http = http
        self._function = function

    async def bring(self, ids: Iterable[str]) -> set[str]:
        """Pushes them."""
        ids = list(ids)
        answers = await asyncio.gather(
            *(send(self._http, self._function.url, push(event(i), eventId=i)) for i in ids)
        )
        assert {answer.status for answer in answers} <= {204, 503}
        return {i for i, answer in zip(ids, answers, strict=True) if answer.status == 503}


class ReceivedMessage:
    """All that wait in a subscription, which keeps what comes back."""

    def __init__(
        self, http: aiohttp.ClientSession, function: Function, server: PubSubServer
    ) -> None:
        self._http = http
        self._function = function
        self._server = server

    async def bring(self, ids: Iterable[str]) -> set[str]:
        """Publishes those that are new, and drains once."""
        known = {message.attributes["eventId"] for message in self._server.published(_TOPIC)}
        for one in ids:
            if one not in known:
                self._server.publish(_TOPIC, event(one), eventId=one)
        answer = await send(self._http, self._function.url, b"")
        assert answer.status == 200
        is_empty = self._server.stats(_SUBSCRIPTION).waiting == 0
        return set() if is_empty else set(ids)  # Pub/Sub does not say which of them


@dataclass(frozen=True, slots=True)
class Scene:
    """A function in one mode, at an inlet that takes no other."""

    mode: RawMode
    road: Road
    server: PubSubServer
    aep: AepServer

    async def bring_all(self, ids: Iterable[str]) -> None:
        """Brings these events again and again, as Pub/Sub does, until none must come again."""
        left = set(ids)
        async with asyncio.timeout(40):
            while left:
                left = await self.road.bring(left)

    def dead(self, ids: Iterable[str]) -> dict[str, str]:
        """The reason of each dead letter among these events."""
        letters = self.server.published(_DEAD_TOPIC)
        reasons = {one.attributes["eventId"]: one.attributes["reason"] for one in letters}
        return {i: reasons[i] for i in ids if i in reasons}

    def taken(self, ids: Iterable[str]) -> set[str]:
        """Those of these events that AEP has."""
        return self.aep.distinct_ids & set(ids)


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[PubSubServer]:
    """A Pub/Sub server with a subscription to be drained."""
    async with PubSubServer(pull_wait=0.2) as running:
        running.create_topic(_TOPIC)
        running.create_topic(_DEAD_TOPIC)
        running.create_subscription(_SUBSCRIPTION, _TOPIC)
        yield running


@pytest.fixture(scope="module")
async def aep() -> AsyncIterator[AepServer]:
    """One stand-in for all: each function is started once, against its address."""
    async with AepServer() as running:
        yield running


@pytest.fixture(scope="module", params=[*product(get_args(Way), RawMode)], ids="-".join)
async def scene(
    request: pytest.FixtureRequest,
    server: PubSubServer,
    aep: AepServer,
    http: aiohttp.ClientSession,
) -> AsyncIterator[Scene]:
    """Both ways, each in every mode."""
    way, mode = request.param
    async with function_of(way, mode, server, aep) as function:
        yield Scene(mode, road(way, http, function, server), server, aep)


@pytest.fixture(autouse=True)
def healthy(request: pytest.FixtureRequest, aep: AepServer) -> None:
    """Each test starts with an AEP that is in order, and takes what the function sends."""
    aep.faults.clear()
    if "scene" in request.fixturenames:
        scene = request.getfixturevalue("scene")
        aep.behaviour = Behaviour(raw_modes=frozenset({scene.mode}))


def function_of(way: Way, mode: str, server: PubSubServer, aep: AepServer) -> Function:
    """`deliver` or `drain` in one mode, not yet started."""
    settings = {
        "PUBSUB_EMULATOR_HOST": server.host,
        "AEP_ENDPOINT": aep.endpoint,
        "AEP_FLOW_ID": "flow-1",
        "AEP_RAW_MODE": mode,
        "AEP_DATASET_ID": "dataset-1",
        "AEP_IMS_ORG_ID": "ACME@AdobeOrg",
        "BATCH_LINGER_MS": "50",
        "DELIVER_DEADLINE_SECONDS": "3",
        "DRAIN_SUBSCRIPTION": "backlog",
        "DRAIN_SECONDS": "4",
    }
    return Function("deliver" if way == "push" else "drain", settings)


def road(way: Way, http: aiohttp.ClientSession, function: Function, server: PubSubServer) -> Road:
    """How messages come to the function."""
    return Pushed(http, function) if way == "push" else ReceivedMessage(http, function, server)


_numbers = count()


def new_ids(many: int) -> list[str]:
    """So many events of this test's own."""
    return [unique_id(number) for number in islice(_numbers, many)]


async def test_every_event_arrives_in_the_documented_form(scene: Scene) -> None:
    """The very event goes by itself or as the body of the envelope; alone, or with many others."""
    ids = new_ids(60)

    await scene.bring_all(ids)

    taken = {one.id: one for one in scene.aep.accepted}
    for one in ids:
        record = orjson.loads(event(one))
        enveloped = {"header": _HEADER, "body": record}
        expected = enveloped if scene.mode is RawMode.ENVELOPED else record
        assert taken[one].message == expected
    numbers = {taken[one].request for one in ids}
    requests = [request for request in scene.aep.requests if request.number in numbers]
    is_single = scene.mode is RawMode.SINGLE
    endpoint = "/collection/" if is_single else "/collection/batch/"
    assert {request.path for request in requests} == {endpoint + scene.aep.inlet}
    assert {request.headers["x-adobe-flow-id"] for request in requests} == {"flow-1"}
    assert len(requests) == 60 if is_single else len(requests) < 10


async def test_only_the_refused_event_is_a_dead_letter(scene: Scene) -> None:
    """A 400 for one event, and a 413 for another, are theirs alone."""
    ids = new_ids(40)
    scene.aep.faults.add(refusing(has_id(ids[7])), refusing(has_id(ids[9]), status=413))

    await scene.bring_all(ids)

    assert scene.dead(ids) == {ids[7]: "rejected", ids[9]: "too_large"}
    assert scene.taken(ids) == set(ids) - {ids[7], ids[9]}


FAULTS = {
    "throttled": throttled().times(2),
    "throttled, with a time": throttled(1).times(1),
    "server error": answering(500).times(1),
    "unavailable": answering(503, retry_after=1).times(1),
    "cut after accepting": cut_after_accepting().times(1),
    "silence": silent(10).times(1),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_what_may_pass_is_tried_again(scene: Scene, fault: Fault) -> None:
    """Throttling, outage and silence cost time and nothing else."""
    ids = new_ids(20)
    scene.aep.faults.add(fault)

    await scene.bring_all(ids)

    assert scene.taken(ids) == set(ids)
    assert scene.dead(ids) == {}


async def test_an_event_on_which_aep_fails_stops_no_other(scene: Scene) -> None:
    """A 500 for one event alone: all others arrive.

    In a batch it is isolated, and becomes a dead letter. Alone in its request it cannot be told
    from an outage: it goes back to Pub/Sub until the subscription's policy gives up.
    """
    ids = new_ids(30)
    scene.aep.faults.add(answering(500).when(has_id(ids[11])))

    left = await scene.road.bring(ids)

    if scene.mode is RawMode.SINGLE:
        assert ids[11] in left
        assert scene.dead(ids) == {}
        scene.aep.faults.clear()
        await scene.bring_all(left)
        assert scene.taken(ids) == set(ids)
    else:
        assert left == set()
        assert scene.dead(ids) == {ids[11]: "poison"}
        assert scene.taken(ids) == set(ids) - {ids[11]}


@pytest.mark.parametrize("way", get_args(Way))
@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (RawMode.BATCH, RawMode.ENVELOPED),
        (RawMode.ENVELOPED, RawMode.SINGLE),
        (RawMode.SINGLE, RawMode.BATCH),
    ],
)
async def test_nothing_is_lost_in_the_wrong_mode(
    way: Way,
    wrong: RawMode,
    right: RawMode,
    server: PubSubServer,
    aep: AepServer,
    http: aiohttp.ClientSession,
) -> None:
    """Rejected for want of a header, every event waits in Pub/Sub; the right mode delivers it."""
    ids = new_ids(60)
    aep.behaviour = Behaviour(raw_modes=frozenset({right}))
    before = len(aep.requests)
    async with function_of(way, wrong, server, aep) as function:
        scene = Scene(wrong, road(way, http, function, server), server, aep)
        assert await scene.road.bring(ids) == set(ids)
        async with asyncio.timeout(10):
            while not any(line["severity"] == "CRITICAL" for line in function.lines):
                await function.next_line()
    assert len(aep.requests) - before <= 60
    [loud] = [line for line in function.lines if line["severity"] == "CRITICAL"]
    assert "AEP_RAW_MODE" in loud["message"]
    assert (scene.taken(ids), scene.dead(ids)) == (set(), {})

    async with function_of(way, right, server, aep) as function:
        scene = Scene(right, road(way, http, function, server), server, aep)
        await scene.bring_all(ids)
    assert scene.taken(ids) == set(ids)
    assert scene.dead(ids) == {}
