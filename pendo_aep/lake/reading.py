"""Pulls everything from a temporary subscription, and decides when that was everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Final, TypeAlias

import grpc

from pendo_aep.lake.published_message import PublishedMessage, parse_message
from pendo_aep.lake.pubsub_calls import PubSubCalls
from pendo_aep.lake.temporary import ACK_DEADLINE_SECONDS
from pendo_aep.lake.topic_errors import permissions
from pendo_aep.pubsub.client import CallFailed

# With several under way Pub/Sub is asked for thousands a second; each may bring 10 MB.
_PULLERS: Final = 4
_MAX_PULL: Final = 1000
# How long a reading goes on without an answer from Pub/Sub.
_OUTAGE_SECONDS: Final = 60.0
# The longer nothing came, the longer the pause before the next pull.
_PAUSE_SHARE: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Patience:
    """When a reading has seen everything. Pub/Sub never says so: an empty answer proves nothing.

    Assumed: everything was delivered, if it is a minute since the seek, no message has come for
    `quiet_seconds`, and the pulls still under way bring none either. A pull without any answer may
    have taken messages, which come again after the ack deadline of 10 s; so that time is waited for
    too. If Pub/Sub never answers a pull that has nothing to bring, the quiet time counts from one
    pull and one ack deadline after the last message.

    Attributes:
        quiet_seconds: for how long no message came that was published before the reading began.
        settle_seconds: how long after the seek at least.
        pull_seconds: for how long one pull may be without an answer: more than Pub/Sub needs to
            answer if it has messages.
    """

    quiet_seconds: float = 10.0
    settle_seconds: float = 60.0
    pull_seconds: float = 10.0

    def ends_at(self, settled_at: float, heard_at: float, cut_off_at: float) -> float:
        """Returns when a reading may end.

        Args:
            settled_at: when the seek has taken effect.
            heard_at: when the last message came, or the reading began.
            cut_off_at: when the last pull ended without an answer.
        """
        lost = min(cut_off_at, heard_at + self.pull_seconds) + ACK_DEADLINE_SECONDS
        return max(settled_at, max(heard_at, lost) + self.quiet_seconds)


Pages: TypeAlias = AsyncGenerator[Sequence[PublishedMessage], None]


async def read_to_the_end(
    calls: PubSubCalls, subscription: str, began: datetime, patience: Patience
) -> Pages:
    """Yields the pages of several pulls at a time, until nothing older than `began` comes.

    Raises:
        NotAllowed: the caller may not pull.
        CallFailed: Pub/Sub refuses, or is out of reach.
    """
    loop = asyncio.get_running_loop()
    heard_at = loop.time()
    settled_at = heard_at + patience.settle_seconds
    cut_off_at = -inf
    pulls: set[asyncio.Task[list[PublishedMessage] | None]] = set()
    done: set[asyncio.Task[list[PublishedMessage] | None]] = set()
    try:
        while True:
            now = loop.time()
            if now < patience.ends_at(settled_at, heard_at, cut_off_at):
                # An empty answer may come early, and the next one too.
                pause = min((now - heard_at) * _PAUSE_SHARE, _LONGEST_PAUSE_SECONDS)
                while len(pulls) < _PULLERS:
                    pulls.add(
                        asyncio.create_task(
                            _pull(calls, subscription, patience.pull_seconds, pause)
                        )
                    )
            elif not pulls:
                return
            done, pulls = await asyncio.wait(pulls, return_when=asyncio.FIRST_COMPLETED)
            for pull in done:
                page = pull.result()
                if page is None:
                    cut_off_at = loop.time()
                    continue
                if any(one.published_at < began for one in page):
                    heard_at = loop.time()
                if page:
                    yield page
    finally:
        for pull in pulls:
            pull.cancel()
        await asyncio.gather(*pulls, *done, return_exceptions=True)


async def _pull(
    calls: PubSubCalls, subscription: str, pull_seconds: float, pause: float
) -> list[PublishedMessage] | None:
    """Returns what one pull brings, or None if there is no answer in time.

    It is acknowledged at once: no one else reads this subscription, and a reading that fails
    begins anew with another.
    """
    await asyncio.sleep(pause)
    try:
        with permissions():
            answer = await calls(
                "Pull",
                subscription=subscription,
                max_messages=_MAX_PULL,
                attempt_seconds=pull_seconds,
                seconds=_OUTAGE_SECONDS,
            )
    except CallFailed as error:
        if error.code is not grpc.StatusCode.DEADLINE_EXCEEDED:
            raise
        return None
    received = answer.received_messages
    if received:
        await calls(
            "Acknowledge",
            subscription=subscription,
            ack_ids=[one.ack_id for one in received],
            seconds=_OUTAGE_SECONDS,
        )
    return [parse_message(one.message) for one in received]
