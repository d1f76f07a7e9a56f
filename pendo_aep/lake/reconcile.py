"""Gives every event that was published in a span of time one verdict, and replays what is missing.

An event moves while it is looked for: it waits in Pub/Sub, then AEP has accepted it or it is a dead
letter, then it is stored or has failed. So the order of reading is that of the way, and an event
that moves between two readings is met by the later one:

1. What was published, and what waits. The topic keeps the first whatever happens. An event that no
   longer waits in the snapshot was acknowledged before it, so AEP had accepted it by then, or its
   dead letter was stored.
2. Then dead letters and failures, and after those what is stored. Nothing leaves the lake; an event
   leaves the failures when AEP retries its batch, and then it is stored. One that is in none of the
   three was with AEP when they were read: it is late or, after long enough, missing.
3. At the end, what was published meanwhile, and since the span: a dead letter or a missing event
   that somebody has replayed is young again. Only as far back as an event counts as late.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeAlias, TypeVar

from pendo_aep import clock
from pendo_aep.lake.failed_records import FailedRecord
from pendo_aep.lake.query_service import Stored
from pendo_aep.lake.republish import in_parts, replay_mark
from pendo_aep.lake.topic import PublishedMessage
from pendo_aep.lake.verdicts import Summary, Verdicts
from pendo_aep.pubsub import PublishFailed, PublishRejected, Topic

T = TypeVar("T")
Pages: TypeAlias = AsyncGenerator[Sequence[T], None]
ShowProgress: TypeAlias = Callable[[str], None]


class Sources(Protocol):
    """Where events can be. All are read page by page, in no order."""

    def published(self, since: datetime, until: datetime) -> Pages[PublishedMessage]:
        """Yields what was published on the topic from `since` to before `until`."""
        ...

    def waiting(self) -> Pages[PublishedMessage]:
        """Yields what waits in Pub/Sub at the moment of the first page or before."""
        ...

    def dead_letters(self) -> Pages[PublishedMessage]:
        """Yields the dead letters."""
        ...

    def failed(self, since: datetime, until: datetime) -> Pages[FailedRecord]:
        """Yields what AEP accepted in the span, and could not store."""
        ...

    def stored(self, since: datetime, until: datetime) -> Pages[Stored]:
        """Yields what is stored of the events that occurred in the span."""
        ...


class _Counts:
    """Shows how much has been read of each source."""

    def __init__(self, show: ShowProgress) -> None:
        self._show = show
        self._counts: dict[str, int] = {}

    def begin(self, *names: str) -> None:
        """Shows these from now on, and no others."""
        self._counts = dict.fromkeys(names, 0)
        self.add(names[0], 0)

    def add(self, name: str, count: int) -> None:
        """Counts so many more of one."""
        self._counts[name] += count
        self._show(", ".join(f"{name}: {count:,}" for name, count in self._counts.items()))


async def reconcile(
    sources: Sources,
    verdicts: Verdicts,
    since: datetime,
    until: datetime,
    late_after: timedelta,
    show: ShowProgress = lambda _: None,
) -> Summary:
    """Works out the verdict on every event that was published in the span, and counts them.

    Args:
        sources: where events can be.
        verdicts: an open store, still empty.
        since: the first time of publication.
        until: the time of publication before which it ends.
        late_after: how old an event must be to count as missing.
        show: is told of the progress.

    Raises:
        PlatformError: AEP cannot be read; the text says what to do.
        TopicError: Pub/Sub cannot be read; the same.
        CallFailed: Pub/Sub refuses, or is out of reach.
    """
    counts = _Counts(show)

    async def add(name: str, pages: Pages[T], take: Callable[[Sequence[T]], None]) -> None:
        async with aclosing(pages):
            async for page in pages:
                take(page)
                counts.add(name, len(page))

    counts.begin("published", "waiting")
    await _together(
        add("published", sources.published(since, until), verdicts.add_published),
        add("waiting", sources.waiting(), verdicts.add_waiting),
    )
    counts.begin("dead letters", "failed")
    looked_at = clock.now()
    await _together(
        add("dead letters", sources.dead_letters(), verdicts.add_dead_letters),
        add("failed", sources.failed(since, looked_at), verdicts.add_failed),
    )
    counts.begin("stored")
    for start, end in verdicts.occurred():
        await add("stored", sources.stored(start, end), verdicts.add_stored)
    counts.begin("published since")
    after = sources.published(max(until, looked_at - late_after), clock.now())
    await add("published since", after, verdicts.add_republished)
    show("working out the verdicts")
    return await verdicts.conclude(looked_at, late_after)


async def _together(*readings: Coroutine[Any, Any, None]) -> None:
    """Waits for all; if one fails, the others are ended."""
    try:
        async with asyncio.TaskGroup() as group:
            for reading in readings:
                group.create_task(reading)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


@dataclass(slots=True)
class Replayed:
    """What a replay has done.

    Attributes:
        published: messages that are stored on the topic again.
        failed: those that are not, by reason.
    """

    published: int = 0
    failed: Counter[str] = field(default_factory=Counter)


async def replay_missing(
    sources: Sources,
    verdicts: Verdicts,
    topic: Topic,
    since: datetime,
    until: datetime,
    replayed: Replayed,
    show: ShowProgress = lambda _: None,
) -> None:
    """Publishes every missing event again as it was, with the attribute `replayed`.

    Sending an event again is safe: AEP's `_id` comes from the event's id alone.

    Args:
        sources: where its messages are.
        verdicts: what `reconcile` has worked out.
        topic: where to publish.
        since: that of `reconcile`.
        until: that of `reconcile`.
        replayed: where to count.
        show: is told of the progress.

    Raises:
        TopicError: Pub/Sub cannot be read; the text says what to do.
        CallFailed: Pub/Sub refuses, or is out of reach.
    """
    mark = replay_mark()

    async def publish(message: PublishedMessage) -> None:
        try:
            await topic.publish(message.data, {**message.attributes, **mark})
        except PublishFailed as error:
            replayed.failed[error.reason] += 1
        except PublishRejected:
            replayed.failed["refused"] += 1
        else:
            replayed.published += 1

    async with aclosing(sources.published(since, until)) as pages:
        async for page in pages:
            for part in in_parts(verdicts.missing(page), lambda message: len(message.data)):
                await asyncio.gather(*map(publish, part))
                show(f"replayed: {replayed.published:,}")
