"""Event ids as `receive` answers and publishes them: one for each event, the same each time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from local.functions import Function
from local.pipeline import DEAD, EVENTS, SECRET
from local.pubsub import PubSubServer
from tests.webhooks import send_signed

# Two visitors' events each, with the spelling of their ids in JSON.
PAIRS = {
    "beyond 64 bits": ("123456789012345678901234567890", "123456789012345678901234567891"),
    "fractions": ("1.0000000000000000001", "1.0000000000000000002"),
    "rounded by the sender": ("9007199254740992", "9007199254740992"),
    "blank": ('" "', '" "'),
}


@pytest.fixture(scope="module")
async def receive(server: PubSubServer) -> AsyncIterator[Function]:
    """The function and its topics."""
    for topic in (EVENTS, DEAD):
        server.create_topic(f"projects/local/topics/{topic}")
    settings = {"PUBSUB_EMULATOR_HOST": server.host, "PENDO_WEBHOOK_SECRETS": SECRET}
    async with Function("receive", settings) as function:
        yield function


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
async def test_two_events_have_two_ids(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession, pair: tuple[str, str]
) -> None:
    """Ids that rounding makes equal, and blank ones, do not make one event of two webhooks."""
    bodies = [
        f'{{"event":"x","visitorId":{number},"uniqueId":{unique_id}}}'.encode()
        for number, unique_id in enumerate(pair)
    ]

    answers = [await send_signed(http, receive.url, body) for body in [*bodies, *bodies]]

    first, second, first_again, second_again = [answer.json()["id"] for answer in answers]
    assert first != second
    assert (first_again, second_again) == (first, second)
    published = server.published(f"projects/local/topics/{EVENTS}")
    assert {first, second} <= {message.attributes["eventId"] for message in published}
