"""A topic, delivery by the product's code, an AEP that validates late, and a real data lake.

AEP's clock and that of the commands stand still until a test moves them, both together; Pub/Sub and
PostgreSQL are in real time.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

import aiohttp
import grpc.aio
import orjson
import pytest
from starlette.requests import Request

from local.aep import AepServer
from local.aep_platform import PlatformServer
from local.aep_platform.assumed import TABLE_TAG
from local.dataflow import Dataflow, make_dataflow, platform_env
from local.pipeline import DEAD, DEAD_KEPT, EVENTS, PUSH
from local.pubsub import PubSubServer
from local.query_service import PostgresLake
from local.simulated_time import ManualClock
from pendo_aep import clock, logs
from pendo_aep.aep.circuit_breaker import CircuitBreaker
from pendo_aep.aep.client import ENVELOPE_BYTES, StreamingClient
from pendo_aep.aep.format import event_format
from pendo_aep.aep.retry import BatchSender
from pendo_aep.group_commit import Limits
from pendo_aep.http import http_connection
from pendo_aep.lake.batches import Batch, read_batches
from pendo_aep.lake.query_service import QueryLimits, QueryService
from pendo_aep.lake.reconcile import Replayed, reconcile, replay_missing
from pendo_aep.lake.sources import PipelineSources, PubSubNames
from pendo_aep.lake.status import Status, read_status
from pendo_aep.lake.target import find_target
from pendo_aep.lake.topic import Patience, TopicReader
from pendo_aep.lake.verdicts import EventVerdict, Verdicts
from pendo_aep.pipeline.dead_letter_publisher import DeadLetterPublisher
from pendo_aep.pipeline.deliver import Delivery
from pendo_aep.pipeline.drain import Drain
from pendo_aep.provisioning.client import RetryPolicy
from pendo_aep.provisioning.connection import open_client
from pendo_aep.pubsub.client import pubsub_connection
from pendo_aep.pubsub.publisher import Publisher
from pendo_aep.pubsub.subscriber import Subscriber
from pendo_aep.settings import DeliverSettings, LakeSettings, load
from tests.webhooks import event

PROJECT: Final = "lake"
LATE_AFTER: Final = timedelta(hours=3)
INGEST_SECONDS: Final = 300.0
_numbers: Final = count(1)
_DAY_SECONDS: Final = 86_400.0
_TOPIC: Final = f"projects/{PROJECT}/topics/{EVENTS}"
_DEAD_TOPIC: Final = f"projects/{PROJECT}/topics/{DEAD}"
_LIVE: Final = f"projects/{PROJECT}/subscriptions/{PUSH}"
_KEPT: Final = f"projects/{PROJECT}/subscriptions/{DEAD_KEPT}"
QUICK: Final = Patience(quiet_seconds=0.3, settle_seconds=0, pull_seconds=2)


@dataclass(frozen=True, slots=True)
class Found:
    """What one `reconcile` has found."""

    events: dict[str, EventVerdict]
    replayed: int

    @property
    def verdicts(self) -> dict[str, tuple[str, int]]:
        """The verdict on each event, and how many times it is stored."""
        return {key: (one.verdict, one.times) for key, one in self.events.items()}


@dataclass(slots=True)
class World:
    """Everything, running.

    Attributes:
        began: when, in real time.
        query_rows: of a page of Query Service.
    """

    pubsub: PubSubServer
    aep: AepServer
    platform: PlatformServer
    lake: PostgresLake
    dataflow: Dataflow
    time: ManualClock
    began: datetime
    query_rows: int
    _channel: grpc.aio.Channel
    _drain: Drain

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the commands."""
        return {
            **platform_env(self.aep, self.platform),
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "PUBSUB_EMULATOR_HOST": self.pubsub.host,
        }

    @property
    def resources(self) -> set[str]:
        """The paths of all subscriptions and snapshots."""
        return {*self.pubsub.subscriptions(), *self.pubsub.snapshots()}

    def publish(self, events: Iterable[bytes]) -> None:
        """Publishes events, as `receive` does."""
        for data in events:
            found = orjson.loads(data)
            self.pubsub.publish(_TOPIC, data, eventId=found["id"], eventType=found["type"])

    async def deliver(self, messages: int) -> None:
        """Delivers so many messages, all that wait, as `drain` does."""
        while messages:
            with logs.silence():
                answer = await self._drain(Request({"type": "http"}))
            counts = orjson.loads(bytes(answer.body))
            assert counts["returned"] == 0, counts
            messages -= counts["pulled"]  # an empty pull ends a run early

    def advance(self, seconds: float) -> None:
        """Moves the time, and has AEP ingest what is due."""
        self.time.now += seconds
        self.platform.ingest_due()

    async def reconcile(self, *, replays: bool = False) -> Found:
        """Follows every event that was published from the beginning to now."""
        settings = load(LakeSettings, self.environ)
        since, until = self.began, clock.now()
        limits = QueryLimits(rows=self.query_rows)
        replayed = Replayed()
        async with open_client(settings, RetryPolicy(initial_seconds=0.01)) as client:
            target = await find_target(client, settings)
            async with QueryService(client, is_encrypted=False, limits=limits) as service:
                reader = TopicReader(self._channel, PROJECT, QUICK)
                names = PubSubNames.of(settings)
                sources = PipelineSources(reader, names, client, service, target)
                with Verdicts() as verdicts:
                    await reconcile(sources, verdicts, since, until, LATE_AFTER)
                    listed = list(verdicts.events(all_events=True))
                    if replays:
                        topic = Publisher(_TOPIC, pubsub_connection(lambda: self._channel))
                        await replay_missing(sources, verdicts, topic, since, until, replayed)
        events = {one.id: one for one in listed}
        assert len(events) == len(listed), "an event has two verdicts"
        return Found(events, replayed.published)

    async def counts(self) -> tuple[Status, list[Batch]]:
        """Returns what `status` shows, and the batches that it counts."""
        settings = load(LakeSettings, self.environ)
        async with open_client(settings, RetryPolicy(initial_seconds=0.01)) as client:
            target = await find_target(client, settings)
            since, until = self.began, clock.now()
            status = await read_status(client, target, since, until)
            batches = read_batches(client, target.dataset_id, since, until)
            return status, [batch async for batch in batches]


def fine(key: str, at: datetime) -> bytes:
    """Returns an event that AEP stores."""
    return event(key, occurredAt=clock.rfc3339(at), receivedAt=clock.rfc3339(at))


def unmappable(key: str) -> bytes:
    """Returns an event whose time cannot be mapped, without which there is no record."""
    return event(key, occurredAt="yesterday")


def invalid(key: str) -> bytes:
    """Returns an event that is mapped, and is of the future, which AEP does not store."""
    return event(key, occurredAt="2999-01-01T00:00:00.000Z")


@asynccontextmanager
async def run_world(
    lake: PostgresLake,
    patch: pytest.MonkeyPatch,
    *,
    query_rows: int = 40_000,
    ingest_seconds: float = INGEST_SECONDS,
) -> AsyncIterator[World]:
    """Runs everything.

    Args:
        lake: where the events of this world get a table of their own.
        patch: moves the clock of the commands.
        query_rows: of a page of Query Service.
        ingest_seconds: how long AEP takes until it validates; 0 while it accepts.
    """
    began = datetime.now(UTC)
    ours = ManualClock(began.timestamp())
    start = time.monotonic() - ours.now

    def now() -> datetime:
        # What the commands see of Pub/Sub is in real time; AEP is ahead of it by what was advanced.
        ahead = ours.now - began.timestamp()
        return datetime.fromtimestamp(time.monotonic() - start + ahead, UTC)

    patch.setattr(clock, "now", now)
    async with (
        PubSubServer(pull_wait=0.05) as pubsub,
        AepServer() as aep,
        PlatformServer(aep, clock=ours, ingest_after_seconds=ingest_seconds, lake=lake) as platform,
        grpc.aio.insecure_channel(pubsub.host) as channel,
        aiohttp.ClientSession() as session,
    ):
        pubsub.create_topic(_TOPIC, message_retention=_DAY_SECONDS)
        pubsub.create_topic(_DEAD_TOPIC, message_retention=_DAY_SECONDS)
        pubsub.create_subscription(_LIVE, _TOPIC)
        pubsub.create_subscription(_KEPT, _DEAD_TOPIC)
        dataflow = await make_dataflow(aep, platform)
        body = platform.state.datasets[dataflow.dataset_id].body
        body["enableErrorDiagnostics"] = True
        body["tags"][TABLE_TAG] = [f"world_{next(_numbers)}"]
        settings = load(DeliverSettings, {**dataflow.settings, "GOOGLE_CLOUD_PROJECT": PROJECT})
        connection = pubsub_connection(lambda: channel)
        dead = DeadLetterPublisher(lambda: Publisher(_DEAD_TOPIC, connection), "deliver")
        client = StreamingClient.of(settings, http_connection("AEP", lambda: session), None)
        drain = Drain(
            Subscriber(_LIVE, connection),
            Delivery(event_format(settings), dead),
            BatchSender(client, CircuitBreaker(), singles_at_once=0),
            Limits(settings.batch_max_messages, settings.batch_max_bytes - ENVELOPE_BYTES, 4),
            seconds=30,
        )
        yield World(pubsub, aep, platform, lake, dataflow, ours, began, query_rows, channel, drain)
