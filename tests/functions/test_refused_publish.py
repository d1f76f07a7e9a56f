"""`receive` while Pub/Sub refuses everything: a wrong setting, which must bury nothing."""

from __future__ import annotations

import asyncio
from collections import Counter

import aiohttp

from local.functions import Function
from local.pipeline import DEAD, EVENTS, receive_env
from local.pubsub import PubSubServer, delayed, rejecting
from tests.webhooks import send_signed, webhook

EVENTS_TOPIC, DEAD_TOPIC = f"projects/local/topics/{EVENTS}", f"projects/local/topics/{DEAD}"


async def test_a_group_that_is_refused_whole_is_answered_503(
    server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """Webhooks that arrive together and are all refused are not quarantined; later they are stored.

    One that comes alone is: Pub/Sub did not say that the topic is wrong.
    """
    for topic in (EVENTS_TOPIC, DEAD_TOPIC):
        server.create_topic(topic)
    server.faults.add(rejecting(lambda data, _attributes: data.startswith(b'{"id":')))  # events
    # While the first hangs, the others gather in one call.
    server.faults.add(delayed("Publish", 1.0).times(1))
    async with Function("receive", receive_env(server.host)) as receive:
        bodies = [webhook(number) for number in range(20)]
        answers = await asyncio.gather(*(send_signed(http, receive.url, body) for body in bodies))
        statuses = Counter(answer.status for answer in answers)
        assert statuses[202] <= 1
        assert statuses[503] == 20 - statuses[202]
        assert len(server.published(DEAD_TOPIC)) == statuses[202]
        assert not server.published(EVENTS_TOPIC)

        server.faults.clear()
        answers = await asyncio.gather(*(send_signed(http, receive.url, body) for body in bodies))
        assert {answer.status for answer in answers} == {200}
