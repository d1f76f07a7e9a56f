"""AEP is down for a while: nothing is lost, and it is not stormed meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from local.aep import answering
from tests.conftest import PubSub
from tests.delivery_harness import EMULATOR_GIVES_UP, Way, carriage
from tests.webhooks import unique_id

pytestmark = pytest.mark.slow
EVENTS = 2000


class Outage:
    """An outage, in one way; a class each, so that the two run side by side."""

    way: Way

    async def test_an_outage_is_waited_out(
        self,
        pubsub: PubSub,
        project_ids: Iterator[str],
        pytestconfig: pytest.Config,
        record_property: Callable[[str, object], None],
    ) -> None:
        """2,000 events arrive during an outage: under 100 requests in it, and all are delivered."""
        way = self.way
        seconds = pytestconfig.getoption("--outage-seconds")
        if way == "push" and pubsub.server is None:
            pytest.skip(EMULATOR_GIVES_UP)
        ids = [unique_id(number) for number in range(EVENTS)]
        async with carriage(pubsub.host, next(project_ids)) as running, running.running(way):
            running.aep.faults.add(answering(503))
            arrivals = asyncio.create_task(running.publish(way, ids, over_seconds=seconds / 2))
            try:
                await running.until(way, lambda: False, seconds)
            except TimeoutError:
                during = len(running.aep.requests)
            await arrivals
            running.aep.faults.clear()

            await running.until(way, lambda: running.ended(ids), 150)

            requests = len(running.aep.requests)
            record_property(
                "AEP is down",
                {
                    "way": way,
                    "seconds": seconds,
                    "events": EVENTS,
                    "requests": during,
                    "later": requests,
                },
            )
            assert running.aep.distinct_ids == set(ids)
            assert not running.dead
            assert 0 < during < 100


class TestPush(Outage):
    """Pushed to `deliver`."""

    way = "push"


class TestDrain(Outage):
    """ReceivedMessage by `drain`."""

    way = "drain"
