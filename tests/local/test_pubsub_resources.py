"""Topics, Publish and subscriptions, through Google's clients."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.pubsub_v1.types import Subscription

from tests.local.pubsub_harness import (
    DEAD,
    DEAD_SUBSCRIPTION,
    SUBSCRIPTION,
    TOPIC,
    pubsub_server,
)

CASES = json.loads(Path(__file__).with_name("pubsub_cases.json").read_text("utf-8"))


def _message(spec: dict[str, Any]) -> dict[str, Any]:
    letter = spec.get("letter", "x")
    attributes = dict(spec.get("attributes", {}))
    attributes |= {f"k{n}": "v" for n in range(spec.get("attribute_count", 0))}
    if "key_length" in spec:
        attributes["k" * spec["key_length"]] = "v"
    if "value_length" in spec:
        attributes["k"] = letter * spec["value_length"]
    return {"data": b"x" * spec["data"], "attributes": attributes}


@pytest.mark.parametrize("case", CASES["limits"], ids=lambda case: case["case"])
async def test_limits(case: dict[str, Any]) -> None:
    """A request above a limit is refused as a whole; one at the limit is stored."""
    async with pubsub_server() as (server, google):
        messages = [_message(spec) for spec in case["messages"]] * case.get("repeat", 1)
        request = google.publisher.publish(
            request={"topic": TOPIC, "messages": messages}, retry=None, timeout=10
        )
        if case["refused"]:
            with pytest.raises(exceptions.InvalidArgument):
                await request
            assert not server.published(TOPIC)
        else:
            assert len((await request).message_ids) == len(messages)
            assert len(server.published(TOPIC)) == len(messages)


async def test_published_messages_are_kept_as_they_were() -> None:
    """A message is stored with its data, attributes, time, and the ID returned to the publisher."""
    async with pubsub_server() as (server, google):
        response = await google.publisher.publish(
            request={
                "topic": TOPIC,
                "messages": [
                    {"data": b"\x00\xff", "attributes": {"a": "é"}},
                    {"data": b"2"},
                ],
            }
        )
        first, second = server.published(TOPIC)
        assert [first.id, second.id] == list(response.message_ids)
        assert first.id != second.id
        assert (first.data, first.attributes) == (b"\x00\xff", {"a": "é"})
        assert (second.data, second.attributes) == (b"2", {})
        assert first.publish_time.tzinfo is not None


async def test_topics_can_be_managed() -> None:
    """Topics are created, found, listed in pages and deleted."""
    async with pubsub_server() as (_, google):
        other = "projects/other/topics/events"
        created = await google.publisher.create_topic(request={"name": other, "labels": {"a": "b"}})
        assert (created.name, created.labels) == (other, {"a": "b"})
        with pytest.raises(exceptions.AlreadyExists):
            await google.publisher.create_topic(name=other)
        assert (await google.publisher.get_topic(topic=other)).labels == {"a": "b"}
        pages = await google.publisher.list_topics(
            request={"project": "projects/p", "page_size": 1}
        )
        assert [topic.name async for topic in pages] == [TOPIC, DEAD]
        await google.publisher.delete_topic(topic=other)
        with pytest.raises(exceptions.NotFound):
            await google.publisher.get_topic(topic=other)
        with pytest.raises(exceptions.NotFound):
            await google.publish(b"x", topic=other)


async def test_a_topic_says_where_its_messages_may_be_stored() -> None:
    """The storage policy is returned; one that allows no region is refused."""
    async with pubsub_server() as (_, google):
        policy = {"allowed_persistence_regions": ["europe-west1", "us-east1"]}
        name = f"{TOPIC}-2"
        await google.publisher.create_topic(
            request={"name": name, "message_storage_policy": policy}
        )
        shown = await google.publisher.get_topic(topic=name)
        assert list(shown.message_storage_policy.allowed_persistence_regions) == [
            "europe-west1",
            "us-east1",
        ]
        assert "message_storage_policy" not in await google.publisher.get_topic(topic=TOPIC)
        with pytest.raises(exceptions.InvalidArgument):
            await google.publisher.create_topic(
                request={"name": f"{TOPIC}-3", "message_storage_policy": {}}
            )


@pytest.mark.parametrize(
    "name",
    ["events", "projects/p/topics/ab", "projects/p/topics/googly", "projects/p/subscriptions/abc"],
)
async def test_names_follow_the_rules(name: str) -> None:
    """A topic needs a full name with an ID that Google allows."""
    async with pubsub_server() as (_, google):
        with pytest.raises(exceptions.InvalidArgument):
            await google.publisher.create_topic(name=name)


async def test_unsupported_features_are_refused() -> None:
    """An ordering key, a schema and an unsupported method answer UNIMPLEMENTED."""
    async with pubsub_server() as (_, google):
        with pytest.raises(exceptions.MethodNotImplemented):
            await google.publisher.publish(
                request={"topic": TOPIC, "messages": [{"data": b"x", "ordering_key": "k"}]}
            )
        with pytest.raises(exceptions.MethodNotImplemented):
            await google.publisher.create_topic(
                request={"name": f"{TOPIC}-2", "schema_settings": {"schema": "s"}}
            )
        with pytest.raises(exceptions.MethodNotImplemented):
            await google.publisher.detach_subscription(
                request={"subscription": SUBSCRIPTION}, retry=None
            )


async def test_a_subscription_is_returned_as_it_was_made() -> None:
    """Every setting of a subscription is returned; unset ones have Google's defaults."""
    async with pubsub_server() as (_, google):
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


@pytest.mark.parametrize("case", CASES["invalid_subscriptions"], ids=lambda case: case["case"])
async def test_an_invalid_subscription_is_refused(case: dict[str, Any]) -> None:
    """Invalid and unsupported settings are refused, not ignored."""
    async with pubsub_server() as (server, google):
        wanted = {"name": SUBSCRIPTION, "topic": TOPIC} | case["change"]
        with pytest.raises(getattr(exceptions, case["error"])):
            await google.subscriber.create_subscription(
                request=Subscription.from_json(json.dumps(wanted))
            )
        server.create_subscription(SUBSCRIPTION, TOPIC)  # the name is still free


async def test_deleting_a_subscription_ends_a_waiting_pull() -> None:
    """A waiting pull fails with NOT_FOUND when its subscription is deleted."""
    async with pubsub_server(pull_wait=10) as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC)
        pulling = asyncio.create_task(google.pull())
        assert not (await asyncio.wait([pulling], timeout=0.05))[0]
        await google.subscriber.delete_subscription(subscription=SUBSCRIPTION)
        with pytest.raises(exceptions.NotFound):
            await pulling


async def test_a_subscription_outlives_its_topic() -> None:
    """A subscription keeps its messages when its topic is deleted."""
    async with pubsub_server() as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC)
        await google.publish(b"x")
        await google.publisher.delete_topic(topic=TOPIC)
        found = await google.subscriber.get_subscription(subscription=SUBSCRIPTION)
        assert found.topic == "_deleted-topic_"
        assert [one.message.data for one in await google.pull()] == [b"x"]
        await google.subscriber.delete_subscription(subscription=SUBSCRIPTION)


async def test_a_push_subscription_cannot_be_pulled() -> None:
    """Pull on a push subscription is refused."""
    async with pubsub_server() as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC, push_endpoint="http://127.0.0.1:9/")
        with pytest.raises(exceptions.FailedPrecondition):
            await google.pull()


async def test_a_topic_lists_its_own_subscriptions() -> None:
    """ListTopicSubscriptions returns pages of names; NOT_FOUND for an unknown topic."""
    async with pubsub_server() as (server, google):
        more = [f"{SUBSCRIPTION}-{number}" for number in range(3)]
        for name in more:
            server.create_subscription(name, TOPIC)
        server.create_subscription(DEAD_SUBSCRIPTION, DEAD)

        request = {"topic": TOPIC, "page_size": 2}
        listed = await google.publisher.list_topic_subscriptions(request=request)
        assert [name async for name in listed] == more
        with pytest.raises(exceptions.NotFound):
            await google.publisher.list_topic_subscriptions(topic=f"{TOPIC}-none")
