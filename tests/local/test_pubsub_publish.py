"""Topics and Publish, through Google's client."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions

from tests.local.pubsub_kit import DEAD, SUBSCRIPTION, TOPIC, pubsub, run

LIMITS = json.loads(Path(__file__).with_name("test_pubsub_limits.json").read_text("utf-8"))


def _message(spec: dict[str, Any]) -> dict[str, Any]:
    letter = spec.get("letter", "x")
    attributes = dict(spec.get("attributes", {}))
    attributes |= {f"k{n}": "v" for n in range(spec.get("attribute_count", 0))}
    if "key_length" in spec:
        attributes["k" * spec["key_length"]] = "v"
    if "value_length" in spec:
        attributes["k"] = letter * spec["value_length"]
    return {"data": b"x" * spec["data"], "attributes": attributes}


@pytest.mark.parametrize("case", LIMITS, ids=lambda case: case["case"])
def test_limits(case: dict[str, Any]) -> None:
    """What Google refuses to publish is refused as a whole, and what is just within is stored."""

    async def test() -> None:
        async with pubsub() as (server, google):
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

    run(test())


def test_published_messages_are_kept_as_they_were() -> None:
    """Every message is stored with its data, attributes, time and the id that its publisher got."""

    async def test() -> None:
        async with pubsub() as (server, google):
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

    run(test())


def test_history_bounds_what_is_kept() -> None:
    """With a history of two, the last two published messages are kept and all are delivered."""

    async def test() -> None:
        async with pubsub(history=2) as (server, google):
            server.create_subscription(SUBSCRIPTION, TOPIC)
            await google.publish(b"1", b"2", b"3")
            assert [message.data for message in server.published(TOPIC)] == [b"2", b"3"]
            pulled = await google.pull()
            assert len(pulled) == 3
            await google.subscriber.acknowledge(
                subscription=SUBSCRIPTION, ack_ids=[one.ack_id for one in pulled]
            )
            stats = server.stats(SUBSCRIPTION)
            assert stats.acked == 3
            assert list(stats.attempts) == ["2", "3"]

    run(test())


def test_topics_can_be_managed() -> None:
    """Topics are created once, found, listed in pages, and gone once deleted."""

    async def test() -> None:
        async with pubsub() as (_, google):
            other = "projects/other/topics/events"
            created = await google.publisher.create_topic(
                request={"name": other, "labels": {"a": "b"}}
            )
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

    run(test())


def test_a_topic_says_where_its_messages_may_be_stored() -> None:
    """The policy is stored and shown; one that allows no region is refused."""

    async def test() -> None:
        async with pubsub() as (_, google):
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

    run(test())


@pytest.mark.parametrize(
    "name",
    ["events", "projects/p/topics/ab", "projects/p/topics/googly", "projects/p/subscriptions/abc"],
)
def test_names_follow_the_rules(name: str) -> None:
    """A topic's name is a full one, and its id is one that Google allows."""

    async def test() -> None:
        async with pubsub() as (_, google):
            with pytest.raises(exceptions.InvalidArgument):
                await google.publisher.create_topic(name=name)

    run(test())


def test_what_is_not_supported_is_refused() -> None:
    """An ordering key, a schema and a method that is missing answer UNIMPLEMENTED."""

    async def test() -> None:
        async with pubsub() as (_, google):
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

    run(test())
