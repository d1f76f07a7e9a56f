"""The puller on a modelled subscription: chunks, limits, and what becomes of failures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import grpc.aio
import pytest

from local.simulated_time import SimulatedTimeLoop
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

TOPIC, SUBSCRIPTION = "projects/p/topics/t", "projects/p/subscriptions/s"


class Setup:
    """A puller, and the subscription that it pulls from; time leaps."""

    def __init__(self, waiting: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.pubsub = PubSubModel(TOPIC, self.loop.time, lambda _: None)
        self.pubsub.topics[TOPIC] += [
            Message(b"%d" % number, {"eventId": str(number)}) for number in range(waiting)
        ]
        self.puller = Subscriber(SUBSCRIPTION, pubsub_connection(ChannelsModel(self.pubsub).open))
        self.all_end("done")

    def all_end(self, how: CallEnd | None) -> None:
        """Sets how all calls end from now on."""
        self.pubsub.ends_at_once = dict.fromkeys((PULL, ACKNOWLEDGE, LEASE), how)

    async def pull(self, number: int) -> list[str]:
        """Pulls so many, in as many calls as that needs; the ack ids."""
        ack_ids: list[str] = []
        while len(ack_ids) < number:
            ack_ids += [one.ack_id for one in await self.puller.pull(number, 2.0)]
        return ack_ids

    def sizes(self, place: str) -> list[int]:
        """How many ack ids each call to a method had."""
        return [len(call.request.ack_ids) for call in self.pubsub.calls if call.place == place]


def run_with(waiting: int, test: Callable[[Setup], Awaitable[None]]) -> None:
    """Runs a test on a puller with so many messages waiting."""

    async def run() -> None:
        await test(Setup(waiting))

    with asyncio.Runner(loop_factory=SimulatedTimeLoop) as runner:
        runner.run(run())


def test_a_pull_brings_messages_as_they_are() -> None:
    """Data and attributes arrive unchanged, up to the limit."""

    async def test(bench: Setup) -> None:
        pulled = await bench.puller.pull(2, 2.0)
        assert [(one.data, one.attributes) for one in pulled] == [
            (b"0", {"eventId": "0"}),
            (b"1", {"eventId": "1"}),
        ]
        assert [call.request.max_messages for call in bench.pubsub.calls] == [2]

    run_with(3, test)


def test_a_request_names_its_subscription() -> None:
    """Each call is about the subscription of the settings."""

    async def test(bench: Setup) -> None:
        ack_ids = await bench.pull(1)
        await bench.puller.modify_ack_deadline(ack_ids, 30)
        await bench.puller.acknowledge(ack_ids)
        assert {call.request.subscription for call in bench.pubsub.calls} == {SUBSCRIPTION}

    run_with(1, test)


@pytest.mark.parametrize("number", [1, 1000, 1001, 2500])
def test_acknowledgements_go_in_chunks(number: int) -> None:
    """All are acknowledged, at most 1,000 in a request."""

    async def test(bench: Setup) -> None:
        ack_ids = await bench.pull(number)
        assert await bench.puller.acknowledge(ack_ids) == ack_ids
        assert len(bench.pubsub.subscription.acknowledged) == number
        assert max(bench.sizes(ACKNOWLEDGE)) <= 1000
        assert bench.sizes(LEASE) == []

    run_with(number, test)


def test_a_lease_keeps_messages_from_others() -> None:
    """A lease lasts as long as it says; 0 gives the messages back at once."""

    async def test(bench: Setup) -> None:
        ack_ids = await bench.pull(1500)
        await bench.puller.modify_ack_deadline(ack_ids, 60)
        assert bench.sizes(LEASE) == [1000, 500]
        await asyncio.sleep(50)
        bench.pubsub.subscription.pull(1)
        assert bench.pubsub.subscription.expired == []
        await bench.puller.modify_ack_deadline(ack_ids[:2], 0)
        assert len(bench.pubsub.subscription.pull(10)) == 2
        assert bench.sizes(ACKNOWLEDGE) == []

    run_with(1500, test)


def test_a_lease_is_ten_minutes_at_most() -> None:
    """What is longer would be refused by Pub/Sub."""

    async def test(bench: Setup) -> None:
        await bench.puller.modify_ack_deadline(await bench.pull(1), 3600)
        [call] = [call for call in bench.pubsub.calls if call.place == LEASE]
        assert call.request.ack_deadline_seconds == 600

    run_with(1, test)


def test_what_is_not_acknowledged_is_not_claimed_to_be() -> None:
    """A chunk that Pub/Sub refuses is left out of the answer; the other chunk is acknowledged."""

    async def test(bench: Setup) -> None:
        ack_ids = await bench.pull(1500)
        bench.all_end(None)
        answer = bench.loop.create_task(bench.puller.acknowledge(ack_ids))
        await asyncio.sleep(0.1)
        first, second = bench.pubsub.open
        bench.pubsub.end(first, "done")
        bench.pubsub.end(second, "denied")
        assert await answer == ack_ids[:1000]

    run_with(1500, test)


def test_a_lost_acknowledgement_is_repeated() -> None:
    """Whether Pub/Sub has acted on a call that broke is unknown; it is told again."""

    async def test(bench: Setup) -> None:
        ack_ids = await bench.pull(1)
        bench.all_end(None)
        answer = bench.loop.create_task(bench.puller.acknowledge(ack_ids))
        await asyncio.sleep(0.1)
        bench.pubsub.end(bench.pubsub.open[0], "answer lost")
        bench.all_end("done")
        assert await answer == ack_ids
        assert bench.sizes(ACKNOWLEDGE) == [1, 1]

    run_with(1, test)


def test_nothing_waits() -> None:
    """A pull that brings nothing in its time is no failure, and takes no longer than that."""

    async def test(bench: Setup) -> None:
        bench.all_end(None)
        started = bench.loop.time()
        assert await bench.puller.pull(1000, 2.0) == []
        assert bench.loop.time() - started == pytest.approx(2.0)

    run_with(1, test)


@pytest.mark.parametrize(("how", "told"), [("denied", "PERMISSION_DENIED"), ("unavailable", "UN")])
def test_a_pull_that_fails_says_why(how: CallEnd, told: str) -> None:
    """A missing right or an outage is not mistaken for an empty subscription."""

    async def test(bench: Setup) -> None:
        bench.all_end(how)
        with pytest.raises(PullFailed, match=f"Pull: {told}"):
            await bench.puller.pull(1000, 2.0)

    run_with(1, test)


def test_a_pull_without_credentials() -> None:
    """Without an identity nothing can be pulled, and that is said."""

    def nobody() -> grpc.aio.Channel:
        raise NoCredentials

    async def test(_: Setup) -> None:
        puller = Subscriber(SUBSCRIPTION, pubsub_connection(nobody))
        with pytest.raises(PullFailed, match="credentials"):
            await puller.pull(1000, 2.0)

    run_with(0, test)
