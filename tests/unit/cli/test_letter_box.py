"""How letters are held, for as long as a command needs them."""

from __future__ import annotations

import grpc.aio
import pytest

from local.pipeline import DEAD
from local.pubsub import PubSubServer
from pendo_aep.cli import letter_box
from pendo_aep.cli.connection import subscriber
from pendo_aep.cli.letter_box import LetterBox

TOPIC = f"projects/p/topics/{DEAD}"
KEPT = "projects/p/subscriptions/dead-kept"


async def test_leases_are_renewed_while_letters_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """A letter stays held beyond its ack deadline, and is given back when the box is closed."""
    monkeypatch.setattr(letter_box, "_RENEW_SECONDS", 0.1)
    async with PubSubServer(ack_deadline=0.5) as server:
        server.create_topic(TOPIC)
        server.create_subscription(KEPT, TOPIC)
        server.publish(TOPIC, b"{}")
        async with grpc.aio.insecure_channel(server.host) as channel:
            async with LetterBox(subscriber(channel), KEPT, wait=5, hold=10) as box:
                (letter,) = await box.pull()

                with pytest.raises(TimeoutError):
                    await server.wait_for(lambda: server.stats(KEPT).outstanding == 0, 1.0)
            assert server.stats(KEPT).waiting == 1

            async with LetterBox(subscriber(channel), KEPT, wait=5, hold=10) as box:
                assert [again.message_id for again in await box.pull()] == [letter.message_id]
                await box.acknowledge([letter])
            assert server.stats(KEPT).idle
