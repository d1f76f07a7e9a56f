"""A topic with retention, a live subscription, and a reader, on either Pub/Sub server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1.types import PubsubMessage, Subscription, Topic

from local.pipeline import PubSubAdmin
from pendo_aep.lake.topic import Pages, Patience, PublishedMessage, TopicReader

# The in-process server answers at once. Google's emulator answers a second before the caller gives
# up waiting, and needs moments, more so on a busy machine.
QUICK = Patience(quiet_seconds=0.15, settle_seconds=0, pull_seconds=20)
FOR_THE_EMULATOR = Patience(quiet_seconds=1, settle_seconds=0, pull_seconds=3)
LONG_AGO = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class TopicHarness:
    """What a test reads, and with what."""

    project: str
    admin: PubSubAdmin
    reader: TopicReader
    channel: grpc.aio.Channel

    @property
    def topic(self) -> str:
        """The topic, with a retention of a day."""
        return f"projects/{self.project}/topics/events"

    @property
    def live(self) -> str:
        """A pull subscription to it, from its beginning."""
        return f"projects/{self.project}/subscriptions/live"

    async def publish(self, *ids: str, data: bytes = b"{}", **attributes: str) -> None:
        """Publishes a message for each event ID."""
        for first in range(0, len(ids), 1000):
            messages = [
                PubsubMessage(data=data, attributes={"eventId": one, **attributes})
                for one in ids[first : first + 1000]
            ]
            await self.admin.publisher.publish(topic=self.topic, messages=messages)

    async def take(self, count: int, *, acknowledge: bool) -> set[str]:
        """Pulls so many messages from the live subscription, and returns their event IDs."""
        taken: dict[str, str] = {}
        while len(taken) < count:
            pulled = await self.admin.subscriber.pull(
                subscription=self.live, max_messages=count - len(taken)
            )
            taken |= {
                one.message.attributes["eventId"]: one.ack_id for one in pulled.received_messages
            }
        if acknowledge:
            await self.admin.subscriber.acknowledge(
                subscription=self.live, ack_ids=list(taken.values())
            )
        return set(taken)

    def everything(self) -> Pages:
        """What was published from long ago to now."""
        now = datetime.now(UTC)
        return self.reader.published(self.topic, now - LONG_AGO, now + LONG_AGO)

    async def left(self) -> set[str]:
        """All subscriptions and snapshots of the project, but for the live one."""
        project = f"projects/{self.project}"
        subscriptions = await self.admin.subscriber.list_subscriptions(project=project)
        snapshots = await self.admin.subscriber.list_snapshots(project=project)
        names = {one.name async for one in subscriptions} | {one.name async for one in snapshots}
        return names - {self.live}


@asynccontextmanager
async def topic_harness(
    host: str, project: str, patience: Patience = QUICK
) -> AsyncIterator[TopicHarness]:
    """Makes the topic and the live subscription in a new project."""
    async with grpc.aio.insecure_channel(host) as channel:
        harness = TopicHarness(
            project, PubSubAdmin(channel), TopicReader(channel, project, patience), channel
        )
        await harness.admin.publisher.create_topic(
            Topic(name=harness.topic, message_retention_duration=Duration(seconds=86_400))
        )
        await harness.admin.subscriber.create_subscription(
            Subscription(name=harness.live, topic=harness.topic)
        )
        yield harness


async def read(pages: Pages) -> list[PublishedMessage]:
    """Reads to the end."""
    return [message async for page in pages for message in page]


def ids(messages: Sequence[PublishedMessage]) -> list[str]:
    """Returns the events' IDs, sorted."""
    return sorted(message.id for message in messages)
