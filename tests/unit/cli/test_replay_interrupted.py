"""A replay that is stopped in the middle, and run again: no event is lost."""

from __future__ import annotations

import asyncio
import signal
from functools import partial

import pytest
from google.pubsub_v1.types import Subscription

from local.pubsub import PubSubServer, delayed
from local.pubsub.model import Event, Nacked, Published
from tests.conftest import PubSub
from tests.unit.cli.desk import Desk, ids, refused

MANY = 10_000
# More than two pulls of Google's emulator, which answers 100 at most.
SOME = 300
# Google: an ack deadline is at least ten seconds.
LEAST_LEASE = 10


async def test_interrupted_twice_it_loses_nothing(quick: PubSubServer, quick_desk: Desk) -> None:
    """10,000 letters, SIGINT, SIGKILL, a third run: every event is there, and no letter is left."""
    desk = quick_desk
    await desk.put(*map(refused, range(MANY)))
    quick.faults.add(delayed("Publish", 0.1))  # so that the middle lasts a while

    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        more_than = partial(_has_more_than, quick, desk, len(quick.published(desk.events_topic)))
        async with desk.start("replay") as replay:
            await quick.wait_for(more_than, 20)
            replay.send_signal(number)
            assert await asyncio.wait_for(replay.wait(), 20) == code
        left = quick.stats(desk.kept)
        assert left.waiting + left.outstanding > 0
        if number == signal.SIGINT:
            assert left.outstanding == 0  # given back at once, not when the leases end

    await quick.wait_for(lambda: quick.stats(desk.kept).outstanding == 0)
    quick.faults.clear()
    third = await desk.run("replay", "--wait", "2")

    assert (third.code, third.err) == (0, "")
    assert {m.attributes["eventId"] for m in quick.published(desk.events_topic)} == ids(range(MANY))
    assert quick.stats(desk.kept).idle


def _has_more_than(server: PubSubServer, desk: Desk, count: int) -> bool:
    return len(server.published(desk.events_topic)) > count


async def test_what_a_killed_run_held_comes_back(pubsub: PubSub, desk: Desk) -> None:
    """After SIGKILL a run that waits for longer than a lease replays all that was left."""
    if pubsub.server is not None:
        pytest.skip("the test above does it on our server, in less time")
    await desk.admin.subscriber.delete_subscription(subscription=desk.kept)
    await desk.admin.subscriber.create_subscription(
        Subscription(name=desk.kept, topic=desk.dead_topic, ack_deadline_seconds=LEAST_LEASE)
    )
    await desk.put(*map(refused, range(SOME)))

    seen: list[str] = []
    async with desk.start("replay") as replay:
        while not seen:
            assert replay.returncode is None
            seen = [message.attributes["eventId"] for message in await desk.some_events()]
        replay.kill()
        await replay.wait()
    last = await desk.run("replay", "--wait", str(LEAST_LEASE + 2))

    assert last.code == 0, last.err
    assert {*seen, *await desk.event_ids()} == ids(range(SOME))
    assert await desk.letters() == set()


async def test_a_list_that_is_interrupted_gives_everything_back(
    quick: PubSubServer, quick_desk: Desk
) -> None:
    """After SIGTERM, too, what was held lies there at once; nothing is printed."""
    await quick_desk.put(*map(refused, range(SOME)))
    kept = quick_desk.kept

    async with quick_desk.start("list", "--wait", "60") as listing:
        await quick.wait_for(lambda: quick.stats(kept).outstanding == SOME)
        returned: list[str] = []

        def note(event: Event) -> None:
            if isinstance(event, Nacked):
                returned.append(event.reason)

        quick.observe(note)
        listing.send_signal(signal.SIGTERM)
        out, err = await asyncio.wait_for(listing.communicate(), 20)

    assert (listing.returncode, out) == (130, b"")
    assert err == b"python -m pendo_aep dead-letters list: interrupted\n"
    assert returned == ["refused"] * SOME


async def test_a_replay_does_not_chase_its_own_letters(
    quick: PubSubServer, quick_desk: Desk
) -> None:
    """What fails again while it runs stays for another run; else it would never end."""
    desk = quick_desk

    def fail_again(event: Event) -> None:
        if isinstance(event, Published) and event.topic == desk.events_topic:
            again = refused(0).attributes
            quick.publish(desk.dead_topic, event.message.data, **again)

    await desk.put(*map(refused, range(SOME)))
    quick.observe(fail_again)
    replayed = await desk.run("replay", "--json")

    assert replayed.code == 0, replayed.err
    assert replayed.lines[0]["replayed"] == SOME
    assert len(quick.published(desk.events_topic)) == SOME
    assert quick.stats(desk.kept).waiting == SOME
