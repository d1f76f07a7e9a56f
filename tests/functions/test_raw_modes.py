"""`AEP_RAW_MODE`: raw events in each mode, pushed and pulled, at an inlet that accepts no other.

Real but for two constants: an answer counts as missing after one second, not after three, and while
AEP refuses everything a probe is due each second, not every ten.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from itertools import count, islice, product
from typing import get_args

import aiohttp
import orjson
import pytest

from local.aep import AepServer, Behaviour, RawMode, answering, has_id, refusing
from local.functions import Function
from local.pipeline import FLOW_ID
from local.pubsub import PubSubServer
from tests.cases import Case, table
from tests.delivery_harness import (
    BACKLOG,
    DEAD_TOPIC,
    TOPIC,
    Consumer,
    consumer_env,
    make_fault,
    publish_events,
    source_with,
    wait_for_line,
)
from tests.webhooks import SURVEY, event, push_body, send, unique_id

pytestmark = pytest.mark.slow  # a function for each mode, and faults that take time to pass
_HEADER = {
    "flowId": FLOW_ID,
    "imsOrgId": "ACME@AdobeOrg",
    "datasetId": "dataset-1",
    "operations": {"data": "create"},
}
_numbers = count()


@dataclass(frozen=True, slots=True)
class Setup:
    """A function in one mode, at an inlet that accepts no other."""

    consumer: Consumer
    mode: RawMode
    function: Function
    server: PubSubServer
    aep: AepServer
    http: aiohttp.ClientSession

    async def deliver_once(self, ids: Iterable[str]) -> set[str]:
        """Pushes these events, or lets `drain` pull them; returns those that must come again."""
        ids = list(ids)
        if self.consumer == "drain":
            known = {message.attributes["eventId"] for message in self.server.published(TOPIC)}
            publish_events(self.server, [i for i in ids if i not in known])
            assert (await send(self.http, self.function.url, b"")).status == 200
            is_empty = self.server.stats(BACKLOG).waiting == 0
            return set() if is_empty else set(ids)  # Pub/Sub does not say which of them
        bodies = [push_body(event(i), eventId=i) for i in ids]
        answers = await asyncio.gather(*(send(self.http, self.function.url, b) for b in bodies))
        assert {answer.status for answer in answers} <= {204, 503}
        return {i for i, answer in zip(ids, answers, strict=True) if answer.status == 503}

    async def deliver_all(self, ids: Iterable[str]) -> None:
        """Delivers these events again and again, as Pub/Sub does, until all are acknowledged."""
        left = set(ids)
        async with asyncio.timeout(120):
            while left:
                left = await self.deliver_once(left)

    def dead(self, ids: Iterable[str]) -> dict[str, str]:
        """Returns the reason of each dead letter among these events."""
        letters = self.server.published(DEAD_TOPIC)
        reasons = {one.attributes["eventId"]: one.attributes["reason"] for one in letters}
        return {i: reasons[i] for i in ids if i in reasons}

    def accepted(self, ids: Iterable[str]) -> set[str]:
        """Returns those of these events that AEP has accepted."""
        return self.aep.distinct_ids & set(ids)


@pytest.fixture(scope="module", params=[*product(get_args(Consumer), RawMode)], ids="-".join)
async def setup(
    request: pytest.FixtureRequest,
    server: PubSubServer,
    aep: AepServer,
    http: aiohttp.ClientSession,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Setup]:
    """Both consumers, each in every mode."""
    consumer, mode = request.param
    shorter = {
        "pendo_aep.http._SILENT_SECONDS": 1.0,
        "pendo_aep.aep.misconfiguration._SECONDS_BETWEEN_PROBES": 1.0,
    }
    settings = {
        "AEP_RAW_MODE": mode,
        "AEP_DATASET_ID": "dataset-1",
        "AEP_IMS_ORG_ID": "ACME@AdobeOrg",
        "BATCH_LINGER_MS": "50",
        "DELIVER_DEADLINE_SECONDS": "6",
        **source_with(tmp_path_factory.mktemp("source"), shorter),
    }
    target = "deliver" if consumer == "push" else "drain"
    async with Function(target, consumer_env(server, aep, **settings)) as function:
        yield Setup(consumer, mode, function, server, aep, http)


@pytest.fixture(autouse=True)
def healthy(setup: Setup) -> None:
    """Starts each test with an AEP that works, and accepts what the function sends."""
    setup.aep.faults.clear()
    setup.aep.behaviour = Behaviour(raw_modes=frozenset({setup.mode}))


def new_ids(many: int) -> list[str]:
    """Returns event IDs that no other test uses."""
    return [unique_id(number) for number in islice(_numbers, many)]


async def test_events_are_sent_in_the_documented_form(setup: Setup) -> None:
    """An event is sent as it is or as the body of an envelope; alone, or with many others."""
    ids = new_ids(60)

    await setup.deliver_all(ids)

    accepted = {one.id: one for one in setup.aep.accepted}
    for one in ids:
        record = orjson.loads(event(one)) | SURVEY
        enveloped = {"header": _HEADER, "body": record}
        expected = enveloped if setup.mode is RawMode.ENVELOPED else record
        assert accepted[one].message == expected
    numbers = {accepted[one].request for one in ids}
    requests = [request for request in setup.aep.requests if request.number in numbers]
    is_single = setup.mode is RawMode.SINGLE
    endpoint = "/collection/" if is_single else "/collection/batch/"
    assert {request.path for request in requests} == {endpoint + setup.aep.inlet}
    assert {request.headers["x-adobe-flow-id"] for request in requests} == {FLOW_ID}
    assert len(requests) == 60 if is_single else len(requests) < 10


async def test_only_the_rejected_event_is_a_dead_letter(setup: Setup) -> None:
    """A 400 for one event and a 413 for another affect no other event."""
    ids = new_ids(40)
    setup.aep.faults.add(refusing(has_id(ids[7])), refusing(has_id(ids[9]), status=413))

    await setup.deliver_all(ids)

    assert setup.dead(ids) == {ids[7]: "rejected", ids[9]: "too_large"}
    assert setup.accepted(ids) == set(ids) - {ids[7], ids[9]}


PASSING = [row for row in table("passing_faults") if row.get("formats")]


@pytest.mark.parametrize("case", PASSING, ids=lambda row: row["case"])
async def test_passing_faults_are_retried(setup: Setup, case: Case) -> None:
    """Throttling, outages and silence delay events, and have no other effect."""
    ids = new_ids(20)
    setup.aep.faults.add(make_fault(*case["fault"]).times(1))

    await setup.deliver_all(ids)

    assert setup.accepted(ids) == set(ids)
    assert setup.dead(ids) == {}


async def test_an_event_on_which_aep_fails_delays_no_other(setup: Setup) -> None:
    """A 500 for one event alone: all others arrive.

    In a batch it is isolated, and becomes a dead letter. Alone in its request it cannot be told
    from an outage: it comes again until the subscription's dead-letter policy applies.
    """
    ids = new_ids(30)
    setup.aep.faults.add(answering(500).when(has_id(ids[11])))

    left = await setup.deliver_once(ids)

    if setup.mode is RawMode.SINGLE:
        assert ids[11] in left
        assert setup.dead(ids) == {}
        setup.aep.faults.clear()
        await setup.deliver_all(left)
        assert setup.accepted(ids) == set(ids)
    else:
        assert left == set()
        assert setup.dead(ids) == {ids[11]: "poison"}
        assert setup.accepted(ids) == set(ids) - {ids[11]}


async def test_nothing_is_lost_in_the_wrong_mode(setup: Setup) -> None:
    """AEP rejects every event for its form: all wait in Pub/Sub until the mode is the right one."""
    right = {
        RawMode.BATCH: RawMode.ENVELOPED,
        RawMode.ENVELOPED: RawMode.SINGLE,
        RawMode.SINGLE: RawMode.BATCH,
    }
    ids = new_ids(60)
    setup.aep.behaviour = Behaviour(raw_modes=frozenset({right[setup.mode]}))
    before = len(setup.aep.requests)

    assert await setup.deliver_once(ids) == set(ids)

    await wait_for_line(setup.function, lambda line: line["severity"] == "CRITICAL")
    assert len(setup.aep.requests) - before <= 60
    [critical] = [line for line in setup.function.lines if line["severity"] == "CRITICAL"]
    assert "AEP_RAW_MODE" in critical["message"]
    assert (setup.accepted(ids), setup.dead(ids)) == (set(), {})

    setup.aep.behaviour = Behaviour(raw_modes=frozenset({setup.mode}))
    await setup.deliver_all(ids)
    assert setup.accepted(ids) == set(ids)
    assert setup.dead(ids) == {}
