"""Replays dead letters from the console, with the code of `pendo-aep dead-letters replay`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import grpc.aio

from pendo_aep.cli.dead_letter import DeadLetter, DeadLetterFilter
from pendo_aep.cli.dead_letter_reader import DeadLetterReader, read_all
from pendo_aep.cli.dead_letter_replay import Replay, Summary
from pendo_aep.pubsub.client import pubsub_connection
from pendo_aep.pubsub.publisher import Publisher
from pendo_aep.settings import ReceiveSettings

_REDACT: Final = ReceiveSettings.model_fields["redact"].default
_HOLD: Final = 10_000
# The dead letters are on this machine: if none comes for so long, there are none.
_WAIT_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Chosen(DeadLetterFilter):
    """Those that somebody chose, by their message ids."""

    ids: frozenset[str] = frozenset()

    def matches(self, letter: DeadLetter) -> bool:
        return letter.message_id in self.ids


async def replay(host: str, topic: str, kept: str, ids: frozenset[str] | None) -> Summary:
    """Sends dead letters through the pipeline again.

    Args:
        host: of the Pub/Sub server.
        topic: the path of the topic of events.
        kept: the path of the subscription that keeps the dead letters.
        ids: the message ids of those that are wanted; None for all.

    Raises:
        CallFailed: Pub/Sub refuses, or is out of reach.
    """
    summary = Summary()
    wanted = DeadLetterFilter() if ids is None else _Chosen(ids=ids)
    async with grpc.aio.insecure_channel(host) as channel:
        events = Publisher(topic, pubsub_connection(lambda: channel))
        async with DeadLetterReader(channel, kept, wait=_WAIT_SECONDS, hold=_HOLD) as reader:
            await read_all(reader, Replay(reader, events, wanted, _REDACT, summary))
            summary.is_complete = not (reader.is_full or reader.is_stopped)
    return summary
