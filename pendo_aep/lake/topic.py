"""Reads what was published on a topic, what waits in a subscription, and the dead letters.

Nothing is taken from anyone: each reading has a temporary pull subscription of its own, sought to
a time or to a snapshot of the live one, and deleted afterwards.

What Google promises of a seek (Google: "Replay and purge messages with seek"): every message that
it marks as unacknowledged is delivered in the end; which ones are delivered may need a minute until
it agrees with the seek; and clocks of Pub/Sub's servers differ a little. So messages are chosen
here by their publish time, the seek goes back a bit further, and no reading ends within a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any, Final, TypeAlias

import grpc.aio
import orjson

from pendo_aep import clock
from pendo_aep.lake.pubsub_calls import PubSubCalls
from pendo_aep.lake.temporary import ACK_DEADLINE_SECONDS, TemporaryResources
from pendo_aep.pubsub.client import CallFailed

# Assumed: the clocks of Pub/Sub's servers differ by less.
_SKEW: Final = timedelta(seconds=10)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Google: `Subscription.topic`, what it shows when the topic was deleted.
_DELETED_TOPIC: Final = "_deleted-topic_"
# With several under way Pub/Sub is asked for thousands a second; each may bring 10 MB.
_PULLERS: Final = 4
_MAX_PULL: Final = 1000
# How long a reading goes on without an answer from Pub/Sub.
_OUTAGE_SECONDS: Final = 60.0
# The longer nothing came, the longer the pause before the next pull.
_PAUSE_SHARE: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class PublishedMessage:
    """A message as it was published.

    Attributes:
        id: the event's: the attribute `eventId`, else the `id` of the event, else
            `message-{message_id}`.
        type: the event's type; empty if it has none.
        occurred_at: when it happened, if the event says so.
        published_at: when Pub/Sub stored it.
        message_id: Pub/Sub's; the same for each delivery of the message.
    """

    id: str
    type: str
    occurred_at: datetime | None
    published_at: datetime
    message_id: str
    data: bytes
    attributes: Mapping[str, str]


Pages: TypeAlias = AsyncGenerator[Sequence[PublishedMessage], None]


class TopicError(Exception):
    """The topic or the subscription cannot be read; the text says why and what to do."""


class NoRetention(TopicError):
    """The topic forgets its messages once they are delivered."""


class TooOld(TopicError):
    """The span begins before what the topic still has."""


class BacklogTooOld(TopicError):
    """Pub/Sub makes no snapshot of a subscription whose oldest message is almost a week old."""


class NotAllowed(TopicError):
    """The caller may not do it; the text names the role that suffices."""


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
        kept = await self._retention(topic)
        if since < began - kept:
            raise TooOld(
                f"{topic} keeps its messages for {_days(kept)}: the earliest that can still be "
                f"seen is {clock.rfc3339(began - kept)}"
            )
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
            aclosing(_read_to_the_end(self._calls, copy, began, self._patience)) as pages,
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
            pass
        else:
            return
        began = clock.now()
        topic = await self._topic_of(subscription)
        earliest = began - await self._retention(topic)
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
        with _permissions():
            return await self._resources.remove_leftovers()

    async def _retention(self, topic: str) -> timedelta:
        """Returns for how long a topic keeps its messages."""
        with _permissions():
            found = await self._calls("GetTopic", topic=topic)
        kept: timedelta = found.message_retention_duration.ToTimedelta()
        if kept:
            return kept
        name = topic.rpartition("/")[2]
        raise NoRetention(
            f"{topic} does not keep delivered messages, so nobody can say what was published; to "
            f"keep them from now on: gcloud pubsub topics update {name} "
            "--message-retention-duration=7d"
        )

    async def _topic_of(self, subscription: str) -> str:
        with _permissions():
            found = await self._calls("GetSubscription", subscription=subscription)
        topic: str = found.topic
        if topic == _DELETED_TOPIC:
            raise TopicError(f"the topic of {subscription} was deleted, so it cannot be read")
        return topic

    async def _since(self, topic: str, since: datetime, end: datetime, began: datetime) -> Pages:
        target = {"time": _timestamp(since - _SKEW)}
        async with (
            self._sought(topic, target) as subscription,
            aclosing(_read_to_the_end(self._calls, subscription, began, self._patience)) as pages,
        ):
            async for page in pages:
                if chosen := [one for one in page if since <= one.published_at < end]:
                    yield chosen

    @asynccontextmanager
    async def _snapshot(self, subscription: str) -> AsyncIterator[str]:
        async with AsyncExitStack() as stack:
            try:
                with _permissions():
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
            with _permissions():
                path = await stack.enter_async_context(self._resources.subscription(topic))
                await self._calls("Seek", subscription=path, **target)
            yield path


async def _read_to_the_end(
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
        with _permissions():
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
    return [_parse_message(one.message) for one in received]


@contextmanager
def _permissions() -> Iterator[None]:
    """Says which role is missing, where Pub/Sub only says that something is not allowed."""
    try:
        yield
    except CallFailed as error:
        if error.code is not grpc.StatusCode.PERMISSION_DENIED:
            raise
        raise NotAllowed(
            f"no permission: {' '.join(error.said.split())} (roles/pubsub.editor on the project "
            "suffices: it may see the topic, and make, seek, pull and delete temporary "
            "subscriptions and snapshots)"
        ) from None


def _parse_message(pb: Any) -> PublishedMessage:
    """Returns the message that a `PubsubMessage` holds, whatever its data is."""
    attributes = dict(pb.attributes)
    event = _event(pb.data)
    return PublishedMessage(
        id=attributes.get("eventId") or _text(event.get("id")) or f"message-{pb.message_id}",
        type=attributes.get("eventType") or _text(event.get("type")),
        occurred_at=_time(event.get("occurredAt")),
        published_at=pb.publish_time.ToDatetime(UTC),
        message_id=pb.message_id,
        data=pb.data,
        attributes=attributes,
    )


def _event(data: bytes) -> dict[str, Any]:
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}  # a dead letter may carry anything
    return event if isinstance(event, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _time(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _timestamp(moment: datetime) -> dict[str, int]:
    microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
    seconds, rest = divmod(microseconds, 1_000_000)
    return {"seconds": seconds, "nanos": rest * 1000}


def _days(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} hours"
