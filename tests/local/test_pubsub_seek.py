"""Seek and snapshots through Google's clients, on the in-process server and on Google's emulator.

The topics have a retention, because the emulator (0.8.20) forgets what a snapshot holds without.
Nor does it keep the labels of a snapshot.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api_core import exceptions
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1.types import PubsubMessage, Subscription, Topic

from local.pipeline import PubSubAdmin, administer
from local.pubsub import RetryPolicy, broker
from tests.conftest import PubSub
from tests.local.pubsub_harness import SUBSCRIPTION, TOPIC, pubsub_server


@dataclass(frozen=True, slots=True)
class Seeking:
    """A topic in a project of its own."""

    admin: PubSubAdmin
    project: str
    is_emulator: bool

    def name(self, kind: str, name: str) -> str:
        """Returns a full name."""
        return f"projects/{self.project}/{kind}/{name}"

    async def subscribe(self, name: str) -> str:
        """Creates a subscription and returns its path."""
        path = self.name("subscriptions", name)
        topic = self.name("topics", "events")
        await self.admin.subscriber.create_subscription(Subscription(name=path, topic=topic))
        return path

    async def publish(self, *names: str) -> None:
        """Publishes a message for each name."""
        await self.admin.publisher.publish(
            topic=self.name("topics", "events"),
            messages=[PubsubMessage(data=name.encode()) for name in names],
        )

    async def seek(self, subscription: str, **target: Any) -> None:
        """Seeks."""
        await self.admin.subscriber.seek(request={"subscription": subscription, **target})

    async def take(self, subscription: str, count: int) -> list[str]:
        """Pulls and acknowledges so many messages."""
        taken: list[str] = []
        while len(taken) < count:
            pulled = await self.admin.subscriber.pull(
                subscription=subscription, max_messages=count - len(taken)
            )
            if received := pulled.received_messages:
                taken += [one.message.data.decode() for one in received]
                await self.admin.subscriber.acknowledge(
                    subscription=subscription, ack_ids=[one.ack_id for one in received]
                )
        return sorted(taken)

    async def rest(self, subscription: str) -> list[str]:
        """Pulls until nothing comes for a second or two."""
        taken: list[str] = []
        while some := await self.admin.pull(subscription, 3 if self.is_emulator else 1):
            taken += [message.data.decode() for message in some]
        return sorted(taken)


@pytest.fixture
async def seeking(pubsub: PubSub, project: str) -> AsyncIterator[Seeking]:
    """A topic that keeps its messages for a day."""
    async with administer(pubsub.host) as admin:
        harness = Seeking(admin, project, pubsub.server is None)
        await admin.publisher.create_topic(
            Topic(
                name=harness.name("topics", "events"),
                message_retention_duration=Duration(seconds=86_400),
            )
        )
        yield harness


async def test_seek_to_a_time_replays_what_was_acknowledged(seeking: Seeking) -> None:
    """What was published before it is acknowledged, what came after it is not."""
    live = await seeking.subscribe("live")
    await seeking.publish("a")
    between = datetime.now(UTC)
    await seeking.publish("b", "c")
    assert await seeking.take(live, 3) == ["a", "b", "c"]

    await seeking.seek(live, time=between)

    assert await seeking.rest(live) == ["b", "c"]


async def test_a_new_subscription_may_seek_back(seeking: Seeking) -> None:
    """To what the topic keeps."""
    await seeking.publish("a", "b")
    late = await seeking.subscribe("late")
    await seeking.seek(late, time=datetime.now(UTC) - timedelta(hours=1))
    assert await seeking.rest(late) == ["a", "b"]


async def test_seek_to_the_future_purges(seeking: Seeking) -> None:
    """Everything that is there is acknowledged."""
    live = await seeking.subscribe("live")
    await seeking.publish("a", "b")
    await seeking.seek(live, time=datetime.now(UTC) + timedelta(minutes=1))
    assert await seeking.rest(live) == []


async def test_seek_to_a_snapshot(seeking: Seeking) -> None:
    """It has what was not acknowledged then, and what was published since."""
    live = await seeking.subscribe("live")
    await seeking.publish("a", "b", "c")
    (taken,) = await seeking.take(live, 1)
    snapshot = seeking.name("snapshots", "then")
    await seeking.admin.subscriber.create_snapshot(
        request={"name": snapshot, "subscription": live, "labels": {"made": "here"}}
    )
    await seeking.publish("d")
    await seeking.take(live, 3)
    copy = await seeking.subscribe("copy")

    for subscription in (copy, live):
        await seeking.seek(subscription, snapshot=snapshot)
        assert await seeking.rest(subscription) == sorted({"a", "b", "c", "d"} - {taken})

    listed = await seeking.admin.subscriber.list_snapshots(project=f"projects/{seeking.project}")
    (found,) = [one async for one in listed]
    assert (found.name, found.topic) == (snapshot, seeking.name("topics", "events"))
    assert seeking.is_emulator or dict(found.labels) == {"made": "here"}
    await seeking.admin.subscriber.delete_snapshot(snapshot=snapshot)
    with pytest.raises(exceptions.NotFound):
        await seeking.admin.subscriber.delete_snapshot(snapshot=snapshot)


async def test_without_retention_only_what_is_held_comes_again() -> None:
    """A topic that keeps nothing has nothing for a new subscription, nor what was acknowledged."""
    async with pubsub_server(pull_wait=0.05) as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC)
        await google.publish(b"a", b"b")
        (first,) = await google.pull(1)
        await google.subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[first.ack_id])
        await google.subscriber.seek(request={"subscription": SUBSCRIPTION, "time": _long_ago()})
        assert [one.message.data for one in await google.pull()] == [b"b"]


async def test_the_retention_and_the_history_bound_what_is_kept() -> None:
    """What is older than the one or over the other is gone."""
    topics = {"short": (0.0, 10), "few": (60.0, 2), "none": (None, 10)}
    for name, (retention, history) in topics.items():
        async with pubsub_server(pull_wait=0.05, history=history) as (server, google):
            topic = f"projects/p/topics/{name}"
            server.create_topic(topic, message_retention=retention)
            await google.publish(b"a", b"b", b"c", topic=topic)
            server.create_subscription(SUBSCRIPTION, topic)
            await google.subscriber.seek(
                request={"subscription": SUBSCRIPTION, "time": _long_ago()}
            )
            found = [one.message.data for one in await google.pull()]
            assert found == ([b"b", b"c"] if name == "few" else [])


async def test_what_is_leased_and_in_backoff_is_settled_by_a_seek() -> None:
    """A seek to now leaves nothing, and a late acknowledgement changes nothing."""
    async with pubsub_server(pull_wait=0.05) as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC, retry_policy=RetryPolicy(60, 60))
        await google.publish(b"leased", b"returned", b"ready")
        leased, returned = await google.pull(2)
        await google.subscriber.modify_ack_deadline(
            subscription=SUBSCRIPTION, ack_ids=[returned.ack_id], ack_deadline_seconds=0
        )
        await google.subscriber.seek(
            request={"subscription": SUBSCRIPTION, "time": datetime.now(UTC)}
        )
        stats = server.stats(SUBSCRIPTION)
        assert (stats.idle, stats.acked) == (True, 3)
        await google.subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[leased.ack_id])
        assert server.stats(SUBSCRIPTION) == stats


REFUSED: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "no target": ({}, exceptions.InvalidArgument),
    "no such snapshot": ({"snapshot": "projects/p/snapshots/none"}, exceptions.NotFound),
    "of another topic": ({"snapshot": "projects/p/snapshots/other"}, exceptions.InvalidArgument),
    "no such subscription": (
        {"subscription": "projects/p/subscriptions/none", "time": datetime.now(UTC)},
        exceptions.NotFound,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_wrong_seek_is_refused(case: str) -> None:
    """With the status that Google documents, or the nearest (assumed)."""
    target, error = REFUSED[case]
    async with pubsub_server() as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC)
        server.create_topic("projects/p/topics/other")
        server.create_subscription("projects/p/subscriptions/other", "projects/p/topics/other")
        await _snapshot(google.subscriber, "other", "projects/p/subscriptions/other")
        with pytest.raises(error):
            await google.subscriber.seek(request={"subscription": SUBSCRIPTION, **target})


async def test_a_wrong_snapshot_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A taken or invalid name, no subscription, a backlog that is almost a week old."""
    async with pubsub_server() as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC)
        await _snapshot(google.subscriber, "taken", SUBSCRIPTION)
        with pytest.raises(exceptions.AlreadyExists):
            await _snapshot(google.subscriber, "taken", SUBSCRIPTION)
        with pytest.raises(exceptions.InvalidArgument):
            await _snapshot(google.subscriber, "1", SUBSCRIPTION)
        with pytest.raises(exceptions.NotFound):
            await _snapshot(google.subscriber, "fine", "projects/p/subscriptions/none")
        await google.publish(b"x")
        await _snapshot(google.subscriber, "fine", SUBSCRIPTION)
        # A snapshot that would live for an hour minus the age of the message.
        monkeypatch.setattr(broker, "_SNAPSHOT_LIFETIME", timedelta(hours=1))
        with pytest.raises(exceptions.FailedPrecondition, match="too old"):
            await _snapshot(google.subscriber, "old", SUBSCRIPTION)


def _long_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


async def _snapshot(subscriber: Any, name: str, subscription: str) -> None:
    request = {"name": f"projects/p/snapshots/{name}", "subscription": subscription}
    await subscriber.create_snapshot(request=request)
