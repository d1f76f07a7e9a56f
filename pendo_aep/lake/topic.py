"""Reads what was published on a topic, what waits in a subscription, and the dead letters.

Nothing is taken from anyone: each reading has a temporary pull subscription of its own, sought to
a time or to a snapshot of the live one, and deleted afterwards.

What Google promises of a seek (Google: "Replay and purge messages with seek"): every message that
it marks as unacknowledged is delivered in the end; which ones are delivered may need a minute until
it agrees with the seek; and clocks of Pub/Sub's servers differ a little. So messages are chosen
here by their publish time, the seek goes back a bit further, and no reading ends within a minute.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import grpc.aio

from pendo_aep import clock
from pendo_aep.lake.published_message import PublishedMessage
from pendo_aep.lake.pubsub_calls import PubSubCalls
from pendo_aep.lake.reading import Pages, Patience, read_to_the_end
from pendo_aep.lake.temporary import TemporaryResources
from pendo_aep.lake.topic_errors import (
    BacklogTooOld,
    NoRetention,
    NotAllowed,
    TooOld,
    TopicError,
    permissions,
)
from pendo_aep.pubsub.client import CallFailed

__all__ = [
    "BacklogTooOld",
    "NoRetention",
    "NotAllowed",
    "Pages",
    "Patience",
    "PublishedMessage",
    "TooOld",
    "TopicError",
    "TopicReader",
]

# Assumed: the clocks of Pub/Sub's servers differ by less.
_SKEW: Final = timedelta(seconds=10)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Google: `Subscription.topic`, what it shows when the topic was deleted.
_DELETED_TOPIC: Final = "_deleted-topic_"


class TopicReader:
    """Reads topics and subscriptions of one project.

    Its generators delete what they made when they end: exhausted, failed, cancelled or closed. Use
    `contextlib.aclosing` if you may leave one early, because the channel must still be open then.
    They yield pages in no order, and may yield a message twice: tell by `message_id`.
    """

    def __init__(
        self, channel: grpc.aio.Channel, project: str, patience: Patience | None = None
    ) -> None:
        """Takes an open channel, the project's ID, and when a reading is complete."""
        self._calls = PubSubCalls(channel)
        self._resources = TemporaryResources(self._calls, project)
        self._patience = patience or Patience()

    @property
    def left_behind(self) -> Sequence[str]:
        """The subscriptions and snapshots that could not be deleted; the next run does it."""
        return sorted(self._resources.left_behind)

    async def retention(self, topic: str) -> timedelta:
        """Returns for how long the topic keeps its messages; zero if it does not.

        Raises:
            CallFailed: Pub/Sub does not say.
            NotAllowed: the caller may not see the topic.
        """
        with permissions():
            found = await self._calls("GetTopic", topic=topic)
        kept: timedelta = found.message_retention_duration.ToTimedelta()
        return kept

    async def published(self, topic: str, since: datetime, until: datetime) -> Pages:
        """Yields every message that was published from `since` to before `until`, or to now.

        Pub/Sub cannot stop at a time: what was published after `until` is read too, and left out.

        Args:
            topic: `projects/P/topics/T`.
            since: must be within the topic's retention.
            until: if later than now, now.

        Raises:
            NoRetention, TooOld, NotAllowed: the text says what to do.
            CallFailed: Pub/Sub refuses, or is out of reach.
        """
        began = clock.now()
        await self._check_retention(topic, since, began)
        async with aclosing(self._since(topic, since, min(until, began), began)) as pages:
            async for page in pages:
                yield page

    async def waiting(self, subscription: str) -> Pages:
        """Yields what is not acknowledged in a subscription now, without taking it.

        That is what waits, is being delivered, or waits to be delivered again. The subscription
        itself does not notice: its messages count no delivery attempt.

        Args:
            subscription: `projects/P/subscriptions/S`, pulled or pushed.

        Raises:
            BacklogTooOld: Pub/Sub makes no snapshot of it.
            NotAllowed: the text says what to do.
            CallFailed: Pub/Sub refuses, or is out of reach.
        """
        began = clock.now()
        topic = await self._topic_of(subscription)
        async with (
            self._snapshot(subscription) as snapshot,
            self._sought(topic, {"snapshot": snapshot}) as copy,
            aclosing(read_to_the_end(self._calls, copy, began, self._patience)) as pages,
        ):
            async for page in pages:
                # A snapshot also keeps what is published after it.
                if chosen := [one for one in page if one.published_at < began]:
                    yield chosen

    async def dead_letters(self, subscription: str) -> Pages:
        """Yields the dead letters of the subscription that keeps them, without taking them.

        Their attributes say `reason`, `detail` and `stage`. Pub/Sub makes no snapshot of a
        subscription whose oldest message is almost a week old, and dead letters are kept for
        longer. Then those that the topic still has are read instead; they include dead letters
        that were replayed or removed since.

        Args:
            subscription: `projects/P/subscriptions/S`.

        Raises:
            NoRetention: the subscription is too old for a snapshot, and its topic keeps nothing.
            NotAllowed: the text says what to do.
            CallFailed: Pub/Sub refuses, or is out of reach.
        """
        try:
            async with aclosing(self.waiting(subscription)) as pages:
                async for page in pages:
                    yield page
        except BacklogTooOld:
            has_snapshot = False
        else:
            has_snapshot = True
        if has_snapshot:
            return
        began = clock.now()
        topic = await self._topic_of(subscription)
        earliest = began - await self._known_retention(topic)
        async with aclosing(self._since(topic, earliest, began, began)) as pages:
            async for page in pages:
                yield page

    async def remove_leftovers(self) -> list[str]:
        """Deletes the temporary subscriptions and snapshots of runs that were killed.

        Those younger than an hour may be in use by another run, and stay.

        Returns:
            The paths of those that it deleted.

        Raises:
            NotAllowed: the caller may not list them.
            CallFailed: Pub/Sub refuses, or is out of reach.
        """
        with permissions():
            return await self._resources.remove_leftovers()

    async def _check_retention(self, topic: str, since: datetime, now: datetime) -> None:
        kept = await self._known_retention(topic)
        earliest = now - kept
        if since < earliest:
            raise TooOld(
                f"{topic} keeps its messages for {_days(kept)}: the earliest that can still be "
                f"seen is {clock.rfc3339(earliest)}",
                earliest,
            )

    async def _known_retention(self, topic: str) -> timedelta:
        if kept := await self.retention(topic):
            return kept
        name = topic.rpartition("/")[2]
        raise NoRetention(
            f"{topic} does not keep delivered messages, so nobody can say what was published; to "
            f"keep them from now on: gcloud pubsub topics update {name} "
            "--message-retention-duration=7d"
        )

    async def _topic_of(self, subscription: str) -> str:
        with permissions():
            found = await self._calls("GetSubscription", subscription=subscription)
        topic: str = found.topic
        if topic == _DELETED_TOPIC:
            raise TopicError(f"the topic of {subscription} was deleted, so it cannot be read")
        return topic

    async def _since(self, topic: str, since: datetime, end: datetime, began: datetime) -> Pages:
        target = {"time": _timestamp(since - _SKEW)}
        async with (
            self._sought(topic, target) as subscription,
            aclosing(read_to_the_end(self._calls, subscription, began, self._patience)) as pages,
        ):
            async for page in pages:
                if chosen := [one for one in page if since <= one.published_at < end]:
                    yield chosen

    @asynccontextmanager
    async def _snapshot(self, subscription: str) -> AsyncIterator[str]:
        async with AsyncExitStack() as stack:
            try:
                with permissions():
                    path = await stack.enter_async_context(self._resources.snapshot(subscription))
            except CallFailed as error:
                # Google: `CreateSnapshot`; it would expire within an hour.
                if error.code is not grpc.StatusCode.FAILED_PRECONDITION:
                    raise
                raise BacklogTooOld(
                    f"{subscription} has a message that is almost a week old, and Pub/Sub makes "
                    f"no snapshot of it then: {' '.join(error.said.split())}"
                ) from None
            yield path

    @asynccontextmanager
    async def _sought(self, topic: str, target: Mapping[str, Any]) -> AsyncIterator[str]:
        """Yields a temporary subscription that has been sought to a time or to a snapshot."""
        async with AsyncExitStack() as stack:
            with permissions():
                path = await stack.enter_async_context(self._resources.subscription(topic))
                await self._calls("Seek", subscription=path, **target)
            yield path


def _timestamp(moment: datetime) -> dict[str, int]:
    microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
    seconds, rest = divmod(microseconds, 1_000_000)
    return {"seconds": seconds, "nanos": rest * 1000}


def _days(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} hours"
