"""What was published, what waits, and dead letters: every message, nothing taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from math import inf

import grpc
import pytest
from google.pubsub_v1.types import PubsubMessage

from local.pipeline import in_background
from local.pubsub import PubSubServer, delayed, failing
from pendo_aep.lake.topic import NoRetention, NotAllowed, Patience, TooOld, TopicError, TopicReader
from pendo_aep.pubsub.client import CallFailed
from tests.cases import Case, rows, table
from tests.conftest import PubSub
from tests.unit.lake.topic_harness import (
    FOR_THE_EMULATOR,
    QUICK,
    TopicHarness,
    ids,
    read,
    topic_harness,
)

MANY = [f"e{number:04}" for number in range(250)]


@pytest.fixture
async def anywhere(pubsub: PubSub, project: str) -> AsyncIterator[TopicHarness]:
    """A topic on each server."""
    patience = QUICK if pubsub.server else FOR_THE_EMULATOR
    async with topic_harness(pubsub.host, project, patience) as harness:
        yield harness


async def test_every_message_of_the_span_is_read(anywhere: TopicHarness) -> None:
    """Also those that were delivered already, and none of before or after."""
    await anywhere.publish("before")
    await anywhere.take(1, acknowledge=True)
    since = datetime.now(UTC)
    await anywhere.publish(*MANY, eventType="guide.displayed")
    await anywhere.take(100, acknowledge=True)
    until = datetime.now(UTC)
    await anywhere.publish("after")

    found = await read(anywhere.reader.published(anywhere.topic, since, until))

    assert sorted({message.id for message in found}) == MANY
    assert {message.type for message in found} == {"guide.displayed"}
    assert all(since <= message.published_at < until for message in found)
    assert not await anywhere.left()


async def test_no_page_is_dropped(here: TopicHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than several pulls bring; each once."""
    monkeypatch.setattr("pendo_aep.lake.topic._MAX_PULL", 50)
    await here.publish(*MANY)
    assert ids(await read(here.everything())) == MANY


async def test_what_a_message_says(here: TopicHarness) -> None:
    """The event's ID is its attribute, else its own, else the message's."""
    rows = table("topic_messages")
    published = await here.admin.publisher.publish(
        topic=here.topic,
        messages=[
            PubsubMessage(data=row["data"].encode(), attributes=row["attributes"]) for row in rows
        ],
    )

    found = {message.message_id: message for message in await read(here.everything())}

    for key, row in zip(published.message_ids, rows, strict=True):
        one = found.pop(key)
        assert one.id == (row["id"] or f"message-{key}"), row
        assert one.type == row["type"], row
        assert (one.occurred_at and one.occurred_at.isoformat()) == row["occurred_at"], row
        assert (one.data.decode(), one.attributes) == (row["data"], row["attributes"])
    assert not found


async def test_what_waits_is_read_and_not_taken(anywhere: TopicHarness) -> None:
    """What was acknowledged is not in it, and the live subscription still has all the others."""
    names = [f"w{number}" for number in range(10)]
    await anywhere.publish(*names)
    acknowledged = await anywhere.take(6, acknowledge=True)
    expected = sorted(set(names) - acknowledged)

    assert ids(await read(anywhere.reader.waiting(anywhere.live))) == expected
    assert not await anywhere.left()
    assert await anywhere.take(4, acknowledge=True) == set(expected)


async def test_reading_is_no_delivery_attempt(server: PubSubServer, here: TopicHarness) -> None:
    """What is being delivered waits too; neither it nor what is ready counts an attempt more."""
    await here.publish("ready", "leased", "done")
    await here.take(1, acknowledge=True)
    await here.take(1, acknowledge=False)
    before = server.stats(here.live)

    assert len(await read(here.reader.waiting(here.live))) == 2

    assert server.stats(here.live) == before
    assert sorted(before.attempts.values()) == [0, 1, 1]


async def test_what_is_published_while_reading_does_not_wait(
    server: PubSubServer, here: TopicHarness
) -> None:
    """The snapshot keeps it too, but the question was what waited then."""
    await here.publish("waits")
    server.faults.add(delayed("Seek", 0.1).times(1))
    reading = asyncio.create_task(read(here.reader.waiting(here.live)))
    await server.wait_for(lambda: any(here.project in name for name in server.snapshots()))
    await here.publish("new")
    assert ids(await reading) == ["waits"]


async def test_dead_letters_are_read_and_not_taken(anywhere: TopicHarness) -> None:
    """With their reasons."""
    await anywhere.publish("d1", "d2", reason="rejected", stage="deliver", detail="no such field")

    found = await read(anywhere.reader.dead_letters(anywhere.live))

    assert ids(found) == ["d1", "d2"]
    assert all(letter.attributes["reason"] == "rejected" for letter in found)
    assert not await anywhere.left()
    assert await anywhere.take(2, acknowledge=True) == {"d1", "d2"}


async def test_dead_letters_too_old_for_a_snapshot(
    server: PubSubServer, here: TopicHarness
) -> None:
    """They come from the topic, which still has them."""
    await here.publish("d1")
    refusal = failing("CreateSnapshot", grpc.StatusCode.FAILED_PRECONDITION, reason="too old")
    server.faults.add(refusal)

    assert ids(await read(here.reader.dead_letters(here.live))) == ["d1"]

    with pytest.raises(TopicError, match=r"almost a week old.*too old"):
        await read(here.reader.waiting(here.live))
    assert not await here.left()


async def test_it_ends_on_a_topic_that_is_never_quiet(here: TopicHarness) -> None:
    """What is published after the beginning is not waited for, and not yielded."""
    await here.publish(*MANY[:10])

    async def go_on() -> None:
        while True:
            await here.publish("new")

    async with asyncio.timeout(10), in_background(go_on()):
        assert ids(await read(here.everything())) == MANY[:10]


async def test_an_empty_answer_proves_nothing(
    server: PubSubServer, here: TopicHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pulls without an answer come first; the reading goes on for its quiet time."""
    monkeypatch.setattr("pendo_aep.lake.topic.ACK_DEADLINE_SECONDS", 0.5)
    await here.publish(*MANY[:10])
    server.faults.add(failing("Pull", grpc.StatusCode.DEADLINE_EXCEEDED).times(5))
    assert ids(await read(here.everything())) == MANY[:10]


ENDS: list[Case] = [
    {"case": "nothing came", "heard": 0, "cut": -inf, "ends": 60},
    {"case": "the last message came late", "heard": 100, "cut": -inf, "ends": 110},
    {"case": "a pull was cut off before", "heard": 100, "cut": 95, "ends": 115},
    {"case": "one was cut off after it", "heard": 100, "cut": 105, "ends": 125},
    {"case": "all are cut off", "heard": 100, "cut": 128, "ends": 130},
    {"case": "all are, and nothing ever came", "heard": 0, "cut": 55, "ends": 60},
]


@pytest.mark.parametrize("case", rows(ENDS))
def test_when_a_reading_ends(case: Case) -> None:
    """After the quiet time, with time for what a lost answer holds, but not without end."""
    assert Patience().ends_at(60, case["heard"], case["cut"]) == case["ends"]


async def test_a_lost_answer_comes_again(project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pull that is cut off has leased messages, which come again after the ack deadline."""
    monkeypatch.setattr("pendo_aep.lake.topic.ACK_DEADLINE_SECONDS", 0.5)
    patience = Patience(quiet_seconds=0.2, settle_seconds=0, pull_seconds=0.3)
    async with (
        PubSubServer(pull_wait=0.05, ack_deadline=0.5) as server,
        topic_harness(server.host, project, patience) as harness,
    ):
        await harness.publish(*MANY[:10])
        server.faults.add(delayed("Pull", 5, after=True).times(1))
        assert ids(await read(harness.everything())) == MANY[:10]


async def test_a_repeated_delivery_has_the_same_message_id(
    server: PubSubServer, here: TopicHarness
) -> None:
    """If Pub/Sub forgets an acknowledgement, the reader cannot know; its caller can."""
    await here.publish(*MANY[:10])
    server.faults.add(failing("Acknowledge", grpc.StatusCode.UNAVAILABLE).times(2))
    found = await read(here.everything())
    assert len({message.message_id for message in found}) == 10


async def test_the_seek_has_time_to_take_effect(here: TopicHarness) -> None:
    """Of an empty topic nothing is read; however quiet it is, the reading does not end before."""
    reader = TopicReader(here.channel, here.project, Patience(0.1, 0.6, 1))
    loop = asyncio.get_running_loop()
    started = loop.time()
    now = datetime.now(UTC)
    assert await read(reader.published(here.topic, now, now)) == []
    assert loop.time() - started >= 0.6
    assert not await here.left()


async def test_a_topic_without_retention(here: TopicHarness) -> None:
    """The text says what to set."""
    topic = f"projects/{here.project}/topics/forgets"
    await here.admin.publisher.create_topic(name=topic)
    now = datetime.now(UTC)
    with pytest.raises(NoRetention, match="topics update forgets --message-retention-duration=7d"):
        await read(here.reader.published(topic, now, now))
    assert not await here.left()


async def test_a_span_that_is_too_old(here: TopicHarness) -> None:
    """The text has the earliest time that can still be seen."""
    now = datetime.now(UTC)
    with pytest.raises(TooOld, match="for 24 hours: the earliest that can still be seen is 20"):
        await read(here.reader.published(here.topic, now - timedelta(days=2), now))
    assert not await here.left()


RIGHTS = ["GetTopic", "CreateSubscription", "Seek", "GetSubscription", "CreateSnapshot", "Pull"]


@pytest.mark.parametrize("rpc", RIGHTS)
async def test_a_missing_right(server: PubSubServer, here: TopicHarness, rpc: str) -> None:
    """The text names the role, and nothing is left behind."""
    server.faults.add(failing(rpc, grpc.StatusCode.PERMISSION_DENIED, reason="not you"))
    is_of_a_subscription = rpc in ("GetSubscription", "CreateSnapshot")
    pages = here.reader.waiting(here.live) if is_of_a_subscription else here.everything()
    with pytest.raises(NotAllowed, match=r"not you.*roles/pubsub\.editor"):
        await read(pages)
    server.faults.clear()
    assert not await here.left()


@pytest.mark.parametrize("rpc", ["CreateSubscription", "Seek", "Pull", "Acknowledge"])
async def test_a_refusal_passes_through(server: PubSubServer, here: TopicHarness, rpc: str) -> None:
    """Other errors are Pub/Sub's own, and nothing is left behind."""
    await here.publish("a")
    server.faults.add(failing(rpc, grpc.StatusCode.INVALID_ARGUMENT, reason="no"))
    with pytest.raises(CallFailed, match="INVALID_ARGUMENT: no"):
        await read(here.everything())
    assert not await here.left()


async def test_the_topic_of_a_subscription_was_deleted(here: TopicHarness) -> None:
    """A clear sentence."""
    await here.admin.publisher.delete_topic(topic=here.topic)
    with pytest.raises(TopicError, match="was deleted"):
        await read(here.reader.waiting(here.live))
