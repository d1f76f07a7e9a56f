"""Pub/Sub: publishing in groups, pulling, and the push envelope."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator

import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.pubsub import PubSubServer, rejecting
from local.tcp_proxy import TcpProxy
from pendo_aep.pubsub import PublishFailed, PublishRejected
from pendo_aep.pubsub.client import NoCredentials, connect, pubsub_connection
from pendo_aep.pubsub.publisher import Publisher
from pendo_aep.pubsub.push_envelope import InvalidPushRequest, PushedMessage, parse_push
from pendo_aep.pubsub.subscriber import PullFailed, Subscriber
from tests.cases import JSON_VALUES, Case, cases, randomly
from tests.model.stores import (
    ACKNOWLEDGE,
    LEASE,
    PULL,
    CallEnd,
    ChannelsModel,
    Message,
    PubSubModel,
)
from tests.simulated_time import simulated

EVENTS = "projects/p/topics/events"
# Google's words (googleapis/google-cloud-go#8179; snowplow/enrich#485).
SCHEMA = "Invalid data in message: Message failed schema validation."
TOO_LONG = (
    'The attribute "app_id" in the request has a value that is too long. The length is 1043 '
    "characters, but the maximum allowed is 1024. Refer to https://cloud.google.com/pubsub/quotas "
    "for more information."
)


@pytest.fixture
async def pubsub() -> AsyncIterator[PubSubServer]:
    """A Pub/Sub server that only this test uses, with one topic."""
    async with PubSubServer() as running:
        running.create_topic(EVENTS)
        yield running


async def publish(
    pubsub: PubSubServer, *messages: bytes, topic: str = EVENTS
) -> list[str | BaseException]:
    """Publishes these messages in one group, and returns the result of each."""
    async with grpc.aio.insecure_channel(pubsub.host) as channel:
        publisher = Publisher(topic, pubsub_connection(lambda: channel))
        return await asyncio.gather(
            *(publisher.publish(message, {}) for message in messages), return_exceptions=True
        )


def kinds(results: list[str | BaseException]) -> list[type]:
    """Returns the types of the results."""
    return [type(result) for result in results]


@pytest.mark.parametrize("count", [1, 3])
async def test_a_wrong_topic_name_fails_every_message(pubsub: PubSubServer, count: int) -> None:
    """A wrong topic name is no fault of a message, not even of a single one."""
    results = await publish(pubsub, *[b"event"] * count, topic="projects/p/topics/my events!")
    assert kinds(results) == [PublishFailed] * count
    assert {str(result) for result in results} == {"INVALID_ARGUMENT"}


async def test_a_single_rejected_message_is_quarantined(pubsub: PubSubServer) -> None:
    """A message that Pub/Sub rejects alone is quarantined, with Pub/Sub's words."""
    pubsub.faults.add(rejecting(lambda data, _attributes: data == b"bad", TOO_LONG))
    (result,) = await publish(pubsub, b"bad")
    assert isinstance(result, PublishRejected)
    assert str(result) == TOO_LONG


async def test_a_single_message_that_violates_the_topics_schema_fails(
    pubsub: PubSubServer,
) -> None:
    """A schema on the topic is a wrong setting: `deploy` sets none, and no event would match it."""
    pubsub.faults.add(rejecting(lambda _data, _attributes: True, SCHEMA))
    assert kinds(await publish(pubsub, b"event")) == [PublishFailed]


@pytest.mark.parametrize("count", [2, 3, 10, 17])
async def test_a_group_that_is_rejected_whole_fails(pubsub: PubSubServer, count: int) -> None:
    """If each of several messages is rejected, none of them is quarantined."""
    pubsub.faults.add(rejecting(lambda _data, _attributes: True))
    assert kinds(await publish(pubsub, *[b"event"] * count)) == [PublishFailed] * count


async def test_rejected_messages_among_good_ones_are_quarantined(pubsub: PubSubServer) -> None:
    """Exactly the rejected messages are quarantined, even if they are most of the group."""
    pubsub.faults.add(rejecting(lambda data, _attributes: data == b"bad", SCHEMA))
    results = await publish(pubsub, b"bad", b"bad", b"bad", b"good", b"bad", b"bad")
    assert kinds(results) == [PublishRejected] * 3 + [str] + [PublishRejected] * 2
    assert [message.data for message in pubsub.published(EVENTS)] == [b"good"]


async def test_a_large_group_that_is_rejected_whole_costs_few_calls(pubsub: PubSubServer) -> None:
    """It costs some thirty calls, not two for each of a thousand messages."""
    calls = 0

    def refuse(_data: bytes, _attributes: object) -> bool:
        nonlocal calls
        calls += 1
        return True

    pubsub.faults.add(rejecting(refuse))
    assert kinds(await publish(pubsub, *[b"event"] * 1000)) == [PublishFailed] * 1000
    assert calls < 50


async def test_a_replaced_channel_is_closed(
    pubsub: PubSubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The channel that went silent is shut down."""
    opened: list[grpc.aio.Channel] = []

    def open_channel() -> grpc.aio.Channel:
        opened.append(connect())
        return opened[-1]

    async with TcpProxy(pubsub.host) as proxy:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", proxy.host)
        publisher = Publisher(EVENTS, pubsub_connection(open_channel))
        await publisher.publish(b"1", {})
        proxy.silence()
        await publisher.publish(b"2", {})
        states = [channel.get_state() for channel in opened]
        await opened[-1].close()
    assert states == [grpc.ChannelConnectivity.SHUTDOWN, grpc.ChannelConnectivity.READY]


TOPIC, SUBSCRIPTION = "projects/p/topics/t", "projects/p/subscriptions/s"


class Setup:
    """A subscriber, and the subscription that it pulls from."""

    def __init__(self, waiting: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.pubsub = PubSubModel(TOPIC, self.loop.time, lambda _: None)
        self.pubsub.topics[TOPIC] += [
            Message(b"%d" % number, {"eventId": str(number)}) for number in range(waiting)
        ]
        self.subscriber = Subscriber(
            SUBSCRIPTION, pubsub_connection(ChannelsModel(self.pubsub).open)
        )
        self.all_end("done")

    def all_end(self, how: CallEnd | None) -> None:
        """Sets how all calls end from now on."""
        self.pubsub.ends_at_once = dict.fromkeys((PULL, ACKNOWLEDGE, LEASE), how)

    async def pull(self, number: int) -> list[str]:
        """Pulls so many messages, in as many calls as that needs, and returns their ack IDs."""
        ack_ids: list[str] = []
        while len(ack_ids) < number:
            ack_ids += [one.ack_id for one in await self.subscriber.pull(number, 2.0)]
        return ack_ids

    def sizes(self, place: str) -> list[int]:
        """Returns the number of ack IDs in each call of a method."""
        return [len(call.request.ack_ids) for call in self.pubsub.calls if call.place == place]


@simulated
async def test_a_pull_returns_messages_unchanged() -> None:
    """Data and attributes arrive unchanged, for at most so many messages."""
    setup = Setup(3)
    pulled = await setup.subscriber.pull(2, 2.0)
    assert [(one.data, one.attributes) for one in pulled] == [
        (b"0", {"eventId": "0"}),
        (b"1", {"eventId": "1"}),
    ]
    assert [call.request.max_messages for call in setup.pubsub.calls] == [2]


@simulated
async def test_requests_name_the_subscription() -> None:
    """Each call names the subscription of the settings."""
    setup = Setup(1)
    ack_ids = await setup.pull(1)
    await setup.subscriber.modify_ack_deadline(ack_ids, 30)
    await setup.subscriber.acknowledge(ack_ids)
    assert {call.request.subscription for call in setup.pubsub.calls} == {SUBSCRIPTION}


@pytest.mark.parametrize("number", [1, 1000, 1001, 2500])
@simulated
async def test_acknowledgements_are_sent_in_chunks(number: int) -> None:
    """All are acknowledged, at most 1,000 in a request."""
    setup = Setup(number)
    ack_ids = await setup.pull(number)
    assert await setup.subscriber.acknowledge(ack_ids) == ack_ids
    assert len(setup.pubsub.subscription.acknowledged) == number
    assert max(setup.sizes(ACKNOWLEDGE)) <= 1000
    assert setup.sizes(LEASE) == []


@simulated
async def test_an_ack_deadline_holds_messages() -> None:
    """Messages are not delivered again before their ack deadline; 0 returns them at once."""
    setup = Setup(1500)
    ack_ids = await setup.pull(1500)
    await setup.subscriber.modify_ack_deadline(ack_ids, 60)
    assert setup.sizes(LEASE) == [1000, 500]
    await asyncio.sleep(50)
    setup.pubsub.subscription.pull(1)
    assert setup.pubsub.subscription.expired == []
    await setup.subscriber.modify_ack_deadline(ack_ids[:2], 0)
    assert len(setup.pubsub.subscription.pull(10)) == 2
    assert setup.sizes(ACKNOWLEDGE) == []


@simulated
async def test_an_ack_deadline_is_at_most_ten_minutes() -> None:
    """Pub/Sub would reject a longer one."""
    setup = Setup(1)
    await setup.subscriber.modify_ack_deadline(await setup.pull(1), 3600)
    [call] = [call for call in setup.pubsub.calls if call.place == LEASE]
    assert call.request.ack_deadline_seconds == 600


@simulated
async def test_only_acknowledged_messages_are_returned() -> None:
    """A chunk that Pub/Sub rejects is left out of the result; the other chunk is acknowledged."""
    setup = Setup(1500)
    ack_ids = await setup.pull(1500)
    setup.all_end(None)
    answer = setup.loop.create_task(setup.subscriber.acknowledge(ack_ids))
    await asyncio.sleep(0.1)
    first, second = setup.pubsub.open
    setup.pubsub.end(first, "done")
    setup.pubsub.end(second, "denied")
    assert await answer == ack_ids[:1000]


@simulated
async def test_a_lost_acknowledgement_is_repeated() -> None:
    """An acknowledgement whose answer is lost is sent again: it may not have taken effect."""
    setup = Setup(1)
    ack_ids = await setup.pull(1)
    setup.all_end(None)
    answer = setup.loop.create_task(setup.subscriber.acknowledge(ack_ids))
    await asyncio.sleep(0.1)
    setup.pubsub.end(setup.pubsub.open[0], "answer lost")
    setup.all_end("done")
    assert await answer == ack_ids
    assert setup.sizes(ACKNOWLEDGE) == [1, 1]


@simulated
async def test_an_empty_pull_is_no_failure() -> None:
    """A pull without messages returns none when its time is up."""
    setup = Setup(1)
    setup.all_end(None)
    started = setup.loop.time()
    assert await setup.subscriber.pull(1000, 2.0) == []
    assert setup.loop.time() - started == pytest.approx(2.0)


@pytest.mark.parametrize(("how", "told"), [("denied", "PERMISSION_DENIED"), ("unavailable", "UN")])
@simulated
async def test_a_failed_pull_names_the_reason(how: CallEnd, told: str) -> None:
    """A missing permission or an outage is not taken for an empty subscription."""
    setup = Setup(1)
    setup.all_end(how)
    with pytest.raises(PullFailed, match=f"Pull: {told}"):
        await setup.subscriber.pull(1000, 2.0)


@simulated
async def test_a_pull_without_credentials() -> None:
    """Without credentials a pull fails, and says so."""

    def no_channel() -> grpc.aio.Channel:
        raise NoCredentials

    subscriber = Subscriber(SUBSCRIPTION, pubsub_connection(no_channel))
    with pytest.raises(PullFailed, match="credentials"):
        await subscriber.pull(1000, 2.0)


@pytest.mark.parametrize("case", cases("pushes"))
def test_a_push_is_parsed(case: Case) -> None:
    """A message in Google's envelope is parsed, whatever else the envelope holds."""
    assert parse_push(json.dumps(case["push"]).encode()) == PushedMessage(
        case["data"].encode(), case["attributes"]
    )


@pytest.mark.parametrize("case", cases("not_pushes"))
def test_other_bodies_are_rejected(case: Case) -> None:
    """A body that is no push delivery is rejected, with what is missing."""
    with pytest.raises(InvalidPushRequest, match=r"."):
        parse_push(case["body"].encode())


@randomly
@given(
    data=st.binary(min_size=1, max_size=60),
    attributes=st.dictionaries(st.text(max_size=5), st.text(max_size=5)),
)
def test_any_pushed_message(data: bytes, attributes: dict[str, str]) -> None:
    """The data and attributes of any message are returned unchanged."""
    message = {"data": base64.b64encode(data).decode(), "attributes": attributes}
    read = parse_push(json.dumps({"message": message}).encode())
    assert (read.data, read.attributes) == (data, attributes)


@randomly
@given(
    message=JSON_VALUES | st.fixed_dictionaries({"data": JSON_VALUES, "attributes": JSON_VALUES})
)
def test_any_json_in_a_push(message: object) -> None:
    """Any JSON in place of the message is parsed or rejected; no other error is raised."""
    try:
        read = parse_push(json.dumps({"message": message}).encode())
    except InvalidPushRequest:
        return
    assert read.data or read.attributes


def test_deeply_nested_bodies_are_rejected() -> None:
    """A deeply nested body is rejected, and does not exhaust the stack."""
    with pytest.raises(InvalidPushRequest):
        parse_push(b'{"message":' + b"[" * 100_000)
