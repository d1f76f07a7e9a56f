"""The subscriber on a modelled subscription: chunks, limits and failures."""

from __future__ import annotations

import asyncio

import grpc.aio
import pytest

from pendo_aep.pubsub.client import NoCredentials, pubsub_connection
from pendo_aep.pubsub.subscriber import PullFailed, Subscriber
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
