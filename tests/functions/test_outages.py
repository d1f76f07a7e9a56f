"""Faults of AEP, outages and crashes, by push and by pull: every event is settled in the end.

Real: the functions as processes, Pub/Sub's protocol, the faults, the length of the outage and of
the silences. Shortened: how long the functions pause when AEP keeps failing (`_PAUSES`) and, on our
own Pub/Sub, how long a push pauses (the fixture `pubsub`). With the pauses of production, each
event would arrive just as surely, up to a minute after AEP is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count, islice
from typing import get_args

import pytest

from local import aep
from local.aep import Behaviour, Fault, Shape
from local.aep.server import CLIENT_SECRET
from tests.cases import Case, cases
from tests.conftest import PubSub
from tests.delivery_harness import (
    EMULATOR_GIVES_UP,
    Consumer,
    DeliveryHarness,
    delivery_harness,
    make_fault,
    source_with,
)
from tests.webhooks import COMMENT, VISITOR, unique_id

pytestmark = pytest.mark.slow
FAULT_EVENTS, OUTAGE_EVENTS, KILLED_EVENTS = 150, 1000, 1500
# After failures the emulator keeps one push open, and so delivers 12 to 18 events a second for
# minutes (measured with 0.8.20). Setting the push endpoint anew does not change that.
SETTLED_SECONDS = 300
KILLS = 3
# In production: 30, 10 and 3 seconds.
_PAUSES = {
    "pendo_aep.aep.circuit_breaker._LONGEST_PAUSE_SECONDS": 4.0,
    "pendo_aep.aep.misconfiguration._SECONDS_BETWEEN_PROBES": 1.0,
    "pendo_aep.http._SILENT_SECONDS": 1.0,
}
# What the batch endpoint answered in a log of 2024, when an inlet for XDM got raw events.
NO_HEADER = b'{"message": "The \'header\' field is mandatory"}'
Record = Callable[[str, object], None]
_numbers = count()


def new_ids(many: int) -> list[str]:
    """Returns event IDs that nothing else uses."""
    return [unique_id(number) for number in islice(_numbers, many)]


@pytest.fixture(scope="session")
def pauses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The setting that shortens the functions' pauses."""
    return source_with(tmp_path_factory.mktemp("pauses"), _PAUSES)


@pytest.fixture(scope="class")
async def running(
    pubsub: PubSub,
    project_ids: Iterator[str],
    request: pytest.FixtureRequest,
    pauses: dict[str, str],
) -> AsyncIterator[DeliveryHarness]:
    """One consumer on one server, for all faults."""
    consumer: Consumer = request.cls.consumer
    async with delivery_harness(pubsub.host, next(project_ids), consumer, **pauses) as harness:
        yield harness
    # No secret and no personal data in anything that was printed.
    for canary in (VISITOR, COMMENT, CLIENT_SECRET, "Bearer"):
        assert canary not in harness.function.text


def gives_up(consumer: Consumer, pubsub: PubSub) -> bool:
    """Returns whether Google's emulator pushes the messages, which it does not after failures."""
    return consumer == "push" and pubsub.server is None


def reached(harness: DeliveryHarness, events: int) -> Callable[[], bool]:
    """Returns a condition: AEP has so many events."""
    return lambda: len(harness.aep.distinct_ids) >= events


class Outages:
    """The tests for one consumer; a class each, so that the two run in parallel."""

    consumer: Consumer

    @pytest.mark.parametrize("case", cases("faults"))
    async def test_every_event_is_settled(
        self, running: DeliveryHarness, case: Case, record_property: Record
    ) -> None:
        """Nothing is lost, and nothing dead-lettered that a later attempt would have delivered."""
        consumer, stand_in = self.consumer, running.aep
        ids = new_ids(case.get("events", FAULT_EVENTS))
        victims = set(victims_of(case, ids)) if "dead" in case else set()
        before, accepted_before = len(stand_in.requests), len(stand_in.accepted)
        stand_in.behaviour = replace(
            Behaviour(needs_token=True), shape=Shape(case.get("shape", "docs"))
        )
        stand_in.faults.clear()
        stand_in.faults.add(*faults_of(case, ids))
        if case.get("revoked"):
            stand_in.revoke_tokens()

        await running.publish(ids)
        if mended_after := case.get("mended_after"):
            await running.until(lambda: len(stand_in.requests) >= before + mended_after)
            assert not running.dead.keys() & set(ids)
            stand_in.faults.clear()
            stand_in.behaviour = Behaviour(needs_token=True)
        await running.until(lambda: running.settled(ids), SETTLED_SECONDS)

        dead = running.dead.keys() & set(ids)
        accepted = [message.id for message in stand_in.accepted[accepted_before:]]
        row = {
            "fault": case["case"],
            "way": consumer,
            "events": len(ids),
            "accepted": len(set(accepted)),
        }
        row |= {"again": len(accepted) - len(set(accepted)), "dead": len(dead)}
        record_property("faults of AEP", row | {"requests": len(stand_in.requests) - before})
        assert dead == victims
        assert {running.dead[i]["reason"] for i in dead} == ({case["dead"]} if victims else set())
        assert set(ids) - dead <= stand_in.distinct_ids

    async def test_killing_the_function_loses_nothing(
        self, pubsub: PubSub, project_ids: Iterator[str]
    ) -> None:
        """Killed three times while 1,500 events are under way, it still delivers every one."""
        consumer = self.consumer
        if gives_up(consumer, pubsub):
            pytest.skip(EMULATOR_GIVES_UP)
        ids = new_ids(KILLED_EVENTS)
        # What a killed drain held comes again after its ack deadline: let that be soon.
        settings = {"BATCH_MAX_MESSAGES": "50", "BATCH_MAX_IN_FLIGHT": "2", "DRAIN_SECONDS": "1"}
        async with delivery_harness(
            pubsub.host, next(project_ids), consumer, **settings
        ) as harness:
            await harness.publish(ids)
            for kill in range(1, KILLS + 1):
                # Each a bit later; what is in flight at that moment is cut off.
                await harness.until(reached(harness, kill * len(ids) // (KILLS + 1)), 120)
                await harness.kill()
            await harness.until(lambda: harness.settled(ids), 120)

            assert harness.aep.distinct_ids == set(ids)
            assert not harness.dead


class TestPush(Outages):
    """Messages that Pub/Sub pushes to `deliver`."""

    consumer = "push"


class TestDrain(Outages):
    """Messages that `drain` pulls."""

    consumer = "drain"


async def test_an_outage_loses_nothing(
    pubsub: PubSub,
    project_ids: Iterator[str],
    pytestconfig: pytest.Config,
    record_property: Record,
    pauses: dict[str, str],
) -> None:
    """1,000 events arrive in an outage: under 100 requests meanwhile, later all are delivered.

    Both consumers at once, each with a Pub/Sub project and an AEP of its own: the test waits for
    the outage once.
    """
    seconds = pytestconfig.getoption("--outage-seconds")
    ids = new_ids(OUTAGE_EVENTS)
    consumers: tuple[Consumer, ...] = get_args(Consumer)
    async with AsyncExitStack() as stack:
        harnesses = {
            consumer: await stack.enter_async_context(
                delivery_harness(pubsub.host, next(project_ids), consumer, **pauses)
            )
            for consumer in consumers
            if not gives_up(consumer, pubsub)
        }
        for harness in harnesses.values():
            harness.aep.faults.add(aep.answering(503))
        async with asyncio.TaskGroup() as arrivals:
            for harness in harnesses.values():
                arrivals.create_task(harness.publish(ids, over_seconds=seconds / 2))
            await asyncio.sleep(seconds)  # the outage itself
            during = {name: len(harness.aep.requests) for name, harness in harnesses.items()}
        for harness in harnesses.values():
            harness.aep.faults.clear()

        for consumer, harness in harnesses.items():
            await harness.until(lambda harness=harness: harness.settled(ids), 150)  # type: ignore[misc]

            row = {
                "way": consumer,
                "seconds": seconds,
                "events": OUTAGE_EVENTS,
                "requests": during[consumer],
                "later": len(harness.aep.requests),
            }
            record_property("AEP is down", row)
            assert harness.aep.distinct_ids == set(ids)
            assert not harness.dead
            assert 0 < during[consumer] < 100


def victims_of(case: Case, ids: list[str]) -> list[str]:
    """Returns the events that must become dead letters."""
    kinds = {kind for kind, _, _ in case.get("faults", [])}
    if "poison" in kinds:
        return [ids[len(ids) // 3]]
    return ids[17::50] if "one_in_fifty" in kinds else []


def faults_of(case: Case, ids: list[str]) -> list[Fault]:
    """Returns the faults of a case: those of `local.aep`, and some that need the events' IDs."""
    which = aep.has_id(*victims_of(case, ids))
    of_events: dict[str, Callable[..., Fault]] = {
        "wrong_setting": lambda: aep.answering(400, body=NO_HEADER),
        "poison": lambda status: aep.answering(status).when(which),
        "too_many": lambda: aep.answering(413).of_at_least(2),
        "one_in_fifty": lambda: aep.refusing(which),
    }
    faults = []
    for kind, arguments, times in case.get("faults", []):
        if kind in of_events:
            fault = of_events[kind](**arguments)
            faults.append(fault if times is None else fault.times(times))
        else:
            faults.append(make_fault(kind, arguments, times))
    return faults
