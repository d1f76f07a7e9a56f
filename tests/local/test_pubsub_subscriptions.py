"""Making, finding and deleting subscriptions, through Google's client."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.pubsub_v1.types import Subscription

from tests.local.pubsub_kit import DEAD, DEAD_SUBSCRIPTION, SUBSCRIPTION, TOPIC, pubsub, run

REFUSED = json.loads(Path(__file__).with_name("test_pubsub_subscriptions.json").read_text("utf-8"))


def test_a_subscription_is_returned_as_it_was_made() -> None:
    """Every setting of a subscription is stored; what was left open shows Google's defaults."""

    async def test() -> None:
        async with pubsub() as (_, google):
            wanted: dict[str, Any] = {
                "name": SUBSCRIPTION,
                "topic": TOPIC,
                "ack_deadline_seconds": 30,
                "push_config": {"push_endpoint": "http://127.0.0.1:9/push"},
                "retry_policy": {
                    "minimum_backoff": timedelta(seconds=1.5),
                    "maximum_backoff": timedelta(seconds=60),
                },
                "dead_letter_policy": {"dead_letter_topic": DEAD, "max_delivery_attempts": 7},
                "expiration_policy": {},
                "message_retention_duration": timedelta(days=31),
                "labels": {"a": "b"},
            }
            await google.subscriber.create_subscription(request=wanted)
            found = await google.subscriber.get_subscription(subscription=SUBSCRIPTION)
            assert found == Subscription(**wanted, state=1)

            plain = {"name": DEAD_SUBSCRIPTION, "topic": DEAD}
            made = await google.subscriber.create_subscription(request=plain)
            assert made.ack_deadline_seconds == 10
            assert made.message_retention_duration == timedelta(days=7)
            assert made.expiration_policy.ttl == timedelta(days=31)
            assert not made.push_config.push_endpoint
            listed = await google.subscriber.list_subscriptions(project="projects/p")
            assert [one.name async for one in listed] == [DEAD_SUBSCRIPTION, SUBSCRIPTION]

    run(test())


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["case"])
def test_a_subscription_that_cannot_be_is_refused(case: dict[str, Any]) -> None:
    """What Google refuses, or this server cannot do, is refused and not quietly ignored."""

    async def test() -> None:
        async with pubsub() as (server, google):
            wanted = {"name": SUBSCRIPTION, "topic": TOPIC} | case["change"]
            with pytest.raises(getattr(exceptions, case["error"])):
                await google.subscriber.create_subscription(
                    request=Subscription.from_json(json.dumps(wanted))
                )
            server.create_subscription(SUBSCRIPTION, TOPIC)  # the name is still free

    run(test())


def test_a_deleted_subscription_answers_who_waits_for_it() -> None:
    """A pull that waits when its subscription is deleted fails with NOT_FOUND."""

    async def test() -> None:
        async with pubsub(pull_wait=10) as (server, google):
            server.create_subscription(SUBSCRIPTION, TOPIC)
            pulling = asyncio.create_task(google.pull())
            assert not (await asyncio.wait([pulling], timeout=0.05))[0]
            await google.subscriber.delete_subscription(subscription=SUBSCRIPTION)
            with pytest.raises(exceptions.NotFound):
                await pulling

    run(test())


def test_a_subscription_outlives_its_topic() -> None:
    """Deleting a topic leaves its subscription with what it holds."""

    async def test() -> None:
        async with pubsub() as (server, google):
            server.create_subscription(SUBSCRIPTION, TOPIC)
            await google.publish(b"x")
            await google.publisher.delete_topic(topic=TOPIC)
            found = await google.subscriber.get_subscription(subscription=SUBSCRIPTION)
            assert found.topic == "_deleted-topic_"
            assert [one.message.data for one in await google.pull()] == [b"x"]
            await google.subscriber.delete_subscription(subscription=SUBSCRIPTION)

    run(test())


def test_a_push_subscription_cannot_be_pulled() -> None:
    """Pull on a push subscription is refused, so that nobody waits for what is pushed elsewhere."""

    async def test() -> None:
        async with pubsub() as (server, google):
            server.create_subscription(SUBSCRIPTION, TOPIC, push_endpoint="http://127.0.0.1:9/")
            with pytest.raises(exceptions.FailedPrecondition):
                await google.pull()

    run(test())


def test_a_topic_lists_its_own_subscriptions() -> None:
    """ListTopicSubscriptions has their names, page by page; of a topic that is none, NOT_FOUND."""

    async def test() -> None:
        async with pubsub() as (server, google):
            more = [f"{SUBSCRIPTION}-{number}" for number in range(3)]
            for name in more:
                server.create_subscription(name, TOPIC)
            server.create_subscription(DEAD_SUBSCRIPTION, DEAD)

            request = {"topic": TOPIC, "page_size": 2}
            listed = await google.publisher.list_topic_subscriptions(request=request)
            assert [name async for name in listed] == more
            with pytest.raises(exceptions.NotFound):
                await google.publisher.list_topic_subscriptions(topic=f"{TOPIC}-none")

    run(test())
