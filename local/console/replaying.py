"""Replaying dead letters from the console: the very code of `python -m pendo_aep dead-letters`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import grpc.aio

from pendo_aep.cli.connection import subscriber
from pendo_aep.cli.letter_box import LetterBox, read_all
from pendo_aep.cli.letters import Filter, Letter
from pendo_aep.cli.replay import Replay, Summary
from pendo_aep.pubsub.client import pubsub_connection
from pendo_aep.pubsub.publisher import Publisher
from pendo_aep.settings import ReceiveSettings

_REDACT: Final = ReceiveSettings.model_fields["redact"].default
_HOLD: Final = 10_000
# The letters are on this machine: who says nothing for so long has none.
_WAIT_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Chosen(Filter):
    """Those that somebody pointed at, by their message ids."""

    ids: frozenset[str] = frozenset()

    def matches(self, letter: Letter) -> bool:
        return letter.message_id in self.ids


async def replay(host: str, topic: str, kept: str, ids: frozenset[str] | None) -> Summary:
    """Sends dead letters back through the front.

    Args:
        host: of the Pub/Sub server.
        topic: the path of the topic of events.
        kept: the path of the subscription that keeps the letters.
        ids: the message ids of those that are meant; None for all.

    Raises:
        GoogleAPIError: Pub/Sub refuses, or is out of reach.
    """
    summary = Summary()
    wanted = Filter() if ids is None else _Chosen(ids=ids)
    async with grpc.aio.insecure_channel(host) as channel:
        events = Publisher(topic, pubsub_connection(lambda: channel))
        async with LetterBox(subscriber(channel), kept, wait=_WAIT_SECONDS, hold=_HOLD) as box:
            await read_all(box, Replay(box, events, wanted, _REDACT, summary))
            summary.is_complete = not (box.is_full or box.is_stopped)
    return summary
