"""The function is killed again and again: Pub/Sub has what AEP has not, and sends it once more."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.conftest import PubSub
from tests.delivery_harness import EMULATOR_GIVES_UP, Carriage, Way, carriage
from tests.webhooks import unique_id

pytestmark = pytest.mark.slow
KILLS = 5


def reached(running: Carriage, events: int) -> Callable[[], bool]:
    """Has AEP so many events?"""
    return lambda: len(running.aep.distinct_ids) >= events


class Kills:
    """Kills, in one way; a class each, so that the two run side by side."""

    way: Way

    async def test_killing_the_function_loses_nothing(
        self, pubsub: PubSub, project_ids: Iterator[str]
    ) -> None:
        """Killed five times while 5,000 events are under way, it still delivers every one."""
        way = self.way
        if way == "push" and pubsub.server is None:
            pytest.skip(EMULATOR_GIVES_UP)
        events = 5000 if pubsub.server else 1000
        ids = [unique_id(number) for number in range(events)]
        # What a killed drain held comes again when its lease has ended: let that be soon.
        settings = {"BATCH_MAX_MESSAGES": "50", "BATCH_MAX_IN_FLIGHT": "2", "DRAIN_SECONDS": "1"}
        async with (
            carriage(pubsub.host, next(project_ids)) as running,
            running.running(way, **settings),
        ):
            await running.publish(way, ids)
            for kill in range(1, KILLS + 1):
                # Each a bit further on the way; what is in flight at that moment is cut off.
                await running.until(way, reached(running, kill * events // (KILLS + 1)), 120)
                await running.kill(way)
            await running.until(way, lambda: running.ended(ids), 120)

            assert running.aep.distinct_ids == set(ids)
            assert not running.dead


class TestPush(Kills):
    """Pushed to `deliver`."""

    way = "push"


class TestDrain(Kills):
    """ReceivedMessage by `drain`."""

    way = "drain"
