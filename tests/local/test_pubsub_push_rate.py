"""How many pushes are open at once."""

import asyncio
import itertools
from typing import Any

from local.pubsub import DeliveryStarted, Event, PushFlow
from tests.local.pubsub_kit import SUBSCRIPTION, TOPIC, endpoint, pubsub, run


def test_a_first_burst_goes_out_at_once() -> None:
    """64 messages that are published at once are all at the endpoint before it answers any."""

    async def test() -> None:
        release = asyncio.Event()

        async def answer(_body: dict[str, Any]) -> int:
            await release.wait()
            return 204

        async with pubsub() as (server, google), endpoint(answer) as pushed:
            server.create_subscription(SUBSCRIPTION, TOPIC, push_endpoint=pushed.url)
            await google.publish(*[b"x"] * 80)
            await pushed.until(lambda: pushed.open == 64)
            stats = server.stats(SUBSCRIPTION)
            assert (stats.outstanding, stats.waiting) == (64, 16)
            release.set()
            await server.idle()

    run(test())


def test_the_window_grows_to_its_maximum_and_no_further() -> None:
    """After enough acknowledged pushes as many requests are open at once, and never more."""

    async def test() -> None:
        holding = False
        release = asyncio.Event()

        async def answer(_body: dict[str, Any]) -> int:
            if holding:
                await release.wait()
            return 204

        async with pubsub() as (server, google), endpoint(answer) as pushed:
            server.create_subscription(SUBSCRIPTION, TOPIC, push_endpoint=pushed.url)
            await google.publish(*[b"x"] * 1000)
            await server.idle()
            assert server.push_window(SUBSCRIPTION) == 1000
            holding = True
            await google.publish(*[b"x"] * 1000)
            await google.publish(*[b"x"] * 50)
            await pushed.until(lambda: pushed.open == 1000)
            assert server.stats(SUBSCRIPTION).waiting == 50
            release.set()
            await server.idle()
            assert pushed.peak == 1000

    run(test())


def test_the_window_shrinks_under_failure_and_delivery_pauses() -> None:
    """An endpoint that only refuses gets one request at a time, then with pauses between."""

    async def test() -> None:
        starts: list[float] = []
        status = 503

        def note(event: Event) -> None:
            if isinstance(event, DeliveryStarted):
                starts.append(asyncio.get_running_loop().time())

        async def answer(_body: dict[str, Any]) -> int:
            return status

        flow = PushFlow(initial=8, maximum=8, minimum_backoff=0.1, maximum_backoff=0.2)
        async with pubsub(push_flow=flow) as (server, google), endpoint(answer) as pushed:
            server.create_subscription(SUBSCRIPTION, TOPIC, push_endpoint=pushed.url)
            server.observe(note)
            await google.publish(*[b"x"] * 8)
            await server.wait_for(lambda: server.push_window(SUBSCRIPTION) == 1)
            count = len(starts)
            await server.wait_for(lambda: len(starts) >= count + 4)
            pauses = [after - before for before, after in itertools.pairwise(starts)]
            assert pauses[-1] >= 0.2
            status = 204
            await server.idle()
            assert server.push_window(SUBSCRIPTION) > 1

    run(test())
