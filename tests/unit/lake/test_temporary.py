"""Temporary subscriptions and snapshots are deleted whatever happens, and leftovers are found."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.pubsub_v1.types import Subscription

from local.pubsub import PubSubServer, delayed, failing, hanging
from pendo_aep import clock
from pendo_aep.lake import pubsub_calls
from pendo_aep.lake import temporary as temporary_resources
from pendo_aep.lake.temporary import TemporaryResources
from pendo_aep.lake.topic import Patience, TopicReader
from tests.cases import Case, rows
from tests.conftest import PubSub
from tests.unit.lake.topic_harness import QUICK, TopicHarness, read, topic_harness

FOR_EVER = Patience(quiet_seconds=3600, settle_seconds=0, pull_seconds=1)
OURS = {"managed-by": "pendo-to-aep"}


async def left_by(server: PubSubServer, harness: TopicHarness) -> set[str]:
    """Returns what is left of a reading, and makes sure that no call is on its way any more."""
    server.faults.clear()
    return await harness.left()


def temporary(server: PubSubServer, harness: TopicHarness) -> list[str]:
    """Returns the temporary resources that exist now."""
    names = (*server.subscriptions(), *server.snapshots())
    return [name for name in names if f"/{harness.project}/" in name and name != harness.live]


async def test_a_reading_that_is_left_early(server: PubSubServer, here: TopicHarness) -> None:
    """What it made goes when the generator is closed; so if its caller fails."""

    async def handle() -> None:
        async with aclosing(here.reader.waiting(here.live)) as pages:
            async for _ in pages:
                assert len(temporary(server, here)) == 2  # the subscription and the snapshot
                raise ZeroDivisionError

    await here.publish("a")
    async with aclosing(here.everything()) as pages:
        async for _ in pages:
            assert len(temporary(server, here)) == 1
            break
    assert not await here.left()
    with pytest.raises(ZeroDivisionError):
        await handle()
    assert not await here.left()


CANCELLED: list[Case] = [
    {"case": "while it pulls"},
    {"case": "while the subscription is made", "fault": delayed("CreateSubscription", 0.3)},
    {"case": "made, not confirmed", "fault": delayed("CreateSubscription", 0.3, after=True)},
    {"case": "while the snapshot is made", "fault": delayed("CreateSnapshot", 0.3)},
    {"case": "during the seek", "fault": delayed("Seek", 5)},
    {"case": "while it acknowledges", "fault": delayed("Acknowledge", 5)},
    {"case": "while it is deleted", "fault": delayed("DeleteSubscription", 0.3)},
]


@pytest.mark.parametrize("case", rows(CANCELLED))
async def test_a_reading_that_is_cancelled(
    server: PubSubServer, here: TopicHarness, case: Case
) -> None:
    """Wherever it is, everything is deleted; impatience does not change that."""
    await here.publish("a")
    if fault := case.get("fault"):
        server.faults.add(fault)
    is_deleted = "deleted" in case["case"]
    patience = QUICK if is_deleted else FOR_EVER
    reader = TopicReader(here.channel, here.project, patience)
    reading = asyncio.create_task(read(reader.waiting(here.live)))
    await asyncio.sleep(0.5 if is_deleted else 0.15)
    for _ in range(3):
        reading.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not await left_by(server, here)
    assert not reader.left_behind


async def test_a_deletion_that_is_refused(server: PubSubServer, here: TopicHarness) -> None:
    """The reading ends all the same, and the reader says what is left behind."""
    await here.publish("a")
    server.faults.add(failing("DeleteSubscription", grpc.StatusCode.PERMISSION_DENIED))
    assert len(await read(here.everything())) == 1
    assert list(here.reader.left_behind) == temporary(server, here)


async def test_a_deletion_takes_limited_time(
    server: PubSubServer, here: TopicHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Pub/Sub does not answer, the reading ends, with something left behind."""
    await here.publish("a")
    monkeypatch.setattr(pubsub_calls, "_CALL_SECONDS", 0.5)
    server.faults.add(hanging("DeleteSubscription"), hanging("DeleteSnapshot"))
    async with asyncio.timeout(10):
        assert len(await read(here.reader.waiting(here.live))) == 1
    assert sorted(here.reader.left_behind) == sorted(temporary(server, here))
    assert len(here.reader.left_behind) == 2


async def test_a_creation_whose_answer_is_lost(server: PubSubServer, here: TopicHarness) -> None:
    """The repeated call finds the subscription, and goes on."""
    await here.publish("a")
    unavailable = failing("CreateSubscription", grpc.StatusCode.UNAVAILABLE, after=True)
    server.faults.add(unavailable.times(1))
    assert len(await read(here.everything())) == 1
    assert not await left_by(server, here)


async def test_a_creation_that_takes_effect_late() -> None:
    """A call that is cut off may still be carried out, after the deletion: so it is not cut off."""
    existing: set[str] = set()
    effects: list[asyncio.Task[None]] = []
    begun = asyncio.Event()

    async def call(method: str, **fields: Any) -> None:
        async def take_effect() -> None:
            if method == "CreateSubscription":
                await asyncio.sleep(0.05)
                existing.add(fields["name"])
            else:
                existing.discard(fields["subscription"])

        effects.append(asyncio.create_task(take_effect()))
        begun.set()
        await asyncio.shield(effects[-1])

    calls: Any = call

    async def use() -> None:
        async with TemporaryResources(calls, "p").subscription("projects/p/topics/events"):
            pytest.fail("it was cancelled")

    using = asyncio.create_task(use())
    await begun.wait()
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    await asyncio.gather(*effects)
    assert not existing


async def test_leftovers_are_removed(
    pubsub: PubSub, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours, by name, label and age, on all pages; of subscriptions and snapshots."""
    monkeypatch.setattr(temporary_resources, "_PAGE_SIZE", 2)
    old = (clock.now() - timedelta(minutes=61)).strftime("%Y%m%dt%H%M%Sz")
    young = (clock.now() - timedelta(minutes=59)).strftime("%Y%m%dt%H%M%Sz")
    async with topic_harness(pubsub.host, project) as harness:
        subscriber = harness.admin.subscriber
        for name, labels in {
            f"pendo-reconcile-{old}-0a1b": OURS,
            f"pendo-reconcile-{young}-0a1b": OURS,
            f"pendo-reconcile-{old}-ffff": {"managed-by": "someone-else"},
            f"pendo-reconcile-{old}-eeee": {},
            "pendo-reconcile-99999999t999999z-0a1b": OURS,
            "pendo-reconcile-events": OURS,
            f"mine-{old}-0a1b": OURS,
        }.items():
            await subscriber.create_subscription(
                Subscription(
                    name=f"projects/{project}/subscriptions/{name}",
                    topic=harness.topic,
                    labels=labels,
                )
            )
        for moment in (old, young):
            await subscriber.create_snapshot(
                request={
                    "name": f"projects/{project}/snapshots/pendo-reconcile-{moment}-0a1b",
                    "subscription": harness.live,
                    "labels": OURS,
                }
            )
        before = await harness.left()

        removed = await harness.reader.remove_leftovers()

        expected = {f"projects/{project}/subscriptions/pendo-reconcile-{old}-0a1b"}
        if pubsub.server:  # Google's emulator (0.8.20) keeps no labels of snapshots
            expected.add(f"projects/{project}/snapshots/pendo-reconcile-{old}-0a1b")
        assert set(removed) == expected
        assert await harness.left() == before - set(removed)


async def test_what_a_reading_makes_is_recognised(
    server: PubSubServer, here: TopicHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has left behind is found an hour later, and not before."""
    await here.publish("a")
    server.faults.add(failing("DeleteSubscription", grpc.StatusCode.PERMISSION_DENIED).times(1))
    await read(here.everything())
    (left,) = here.reader.left_behind
    assert await here.reader.remove_leftovers() == []  # too young

    later = clock.now() + timedelta(minutes=61)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert await here.reader.remove_leftovers() == [left]
    assert not here.reader.left_behind
    assert not await here.left()
