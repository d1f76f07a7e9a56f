"""The order of reading: an event that moves meanwhile is never called missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations_with_replacement
from typing import Any, Final, TypeAlias

import pytest

from pendo_aep import clock
from pendo_aep.lake.failed_records import FailedRecord
from pendo_aep.lake.reconcile import Replayed, reconcile, replay_missing
from pendo_aep.lake.topic import PublishedMessage
from pendo_aep.lake.verdicts import EventVerdict, Summary, Verdicts
from pendo_aep.pubsub import PublishFailed, PublishRejected
from tests.unit.lake.messages import dead, failed, published

Way: TypeAlias = tuple[Sequence[str], Sequence[int]]

LATE_AFTER: Final = timedelta(hours=3)
SPAN: Final = timedelta(hours=9)
SOURCES: Final = ("published", "waiting", "dead_letters", "failed", "stored")
# The ways of an event, place by place; "topic" is a new publication, after which it waits again.
WAYS: Final = (
    ("waiting", "stored"),
    ("waiting", "failed", "stored"),
    ("waiting", "dead_letters"),
    ("waiting", "dead_letters", "topic waiting", "stored"),
    ("dead_letters", "topic waiting", "failed"),
    ("dead_letters", "topic waiting", "nowhere", "stored"),
    ("nowhere", "topic waiting", "dead_letters"),
)


@dataclass(slots=True)
class Moving:
    """Old events, each of which is in another place after some of the readings.

    Attributes:
        events: by their ids: the places of each, and after how many readings it moves on, for each
            place but the last.
        delays: how long each source takes before it reads, in turns of the event loop.
    """

    events: Mapping[str, Way]
    delays: Mapping[str, int]
    readings: int = 0
    began: datetime = field(default_factory=clock.now)

    async def _read(self, source: str) -> dict[str, str]:
        """Returns where each event is by now, and counts a reading."""
        for _ in range(self.delays[source]):
            await asyncio.sleep(0)
        self.readings += 1
        return {
            key: way[sum(moved < self.readings for moved in moves)]
            for key, (way, moves) in self.events.items()
        }

    async def published(
        self, since: datetime, until: datetime
    ) -> AsyncGenerator[Sequence[PublishedMessage], None]:
        """What was published in the span."""
        page: list[PublishedMessage] = []
        for key, place in (await self._read("published")).items():
            way, _ = self.events[key]
            page.append(_at(published(key), clock.now() - 2 * LATE_AFTER))
            if any("topic" in one for one in way[: way.index(place) + 1]):
                page.append(_at(published(key), self.began))
        yield [one for one in page if since <= one.published_at < until]

    async def waiting(self) -> AsyncGenerator[Sequence[PublishedMessage], None]:
        """What waits."""
        places = await self._read("waiting")
        yield [published(key) for key, place in places.items() if "waiting" in place]

    async def dead_letters(self) -> AsyncGenerator[Sequence[PublishedMessage], None]:
        """Dead letters."""
        places = await self._read("dead_letters")
        yield [dead(key) for key, place in places.items() if place == "dead_letters"]

    async def failed(
        self, since: datetime, until: datetime
    ) -> AsyncGenerator[Sequence[FailedRecord], None]:
        """What failed."""
        del since, until
        places = await self._read("failed")
        yield [failed(key) for key, place in places.items() if place == "failed"]

    async def stored(
        self, since: datetime, until: datetime
    ) -> AsyncGenerator[Sequence[tuple[str, int]], None]:
        """What is stored."""
        del since, until
        places = await self._read("stored")
        yield [(key, 1) for key, place in places.items() if place == "stored"]


def _at(message: PublishedMessage, at: datetime) -> PublishedMessage:
    return PublishedMessage(
        message.id, message.type, at, at, message.message_id, message.data, message.attributes
    )


def every_move() -> dict[str, Way]:
    """Events on each of the ways, which move between any two readings."""
    moments = range(len(SOURCES) + 1)
    moving = [
        (way, moves)
        for way in WAYS
        for moves in combinations_with_replacement(moments, len(way) - 1)
    ]
    return {f"event-{number}": one for number, one in enumerate(moving)}


async def run(sources: Any, *, age: timedelta = timedelta(0)) -> tuple[Summary, list[EventVerdict]]:
    """Reconciles what was published until so long ago."""
    until = clock.now() - age
    with Verdicts() as verdicts:
        summary = await reconcile(sources, verdicts, until - SPAN, until, LATE_AFTER)
        return summary, list(verdicts.events(all_events=True))


@pytest.mark.parametrize("late", ["dead_letters", "failed"])
async def test_what_moves_is_never_missing(late: str) -> None:
    """Unless it really was nowhere while AEP was looked at, and nobody has replayed it."""
    events = every_move()
    delays = {source: 2 * (source == late) for source in SOURCES}

    _, found = await run(Moving(events, delays), age=LATE_AFTER)

    verdicts = {one.id: one.verdict for one in found}
    assert verdicts.keys() == events.keys()
    for key, (way, moves) in events.items():
        assert verdicts[key] != "missing" or "nowhere" in way, (way, moves)
        if moves[-1] == 0:  # it had arrived before the first reading
            last = way[-1]
            assert verdicts[key] == {"dead_letters": "dead_letter"}.get(last, last), (way, moves)


@dataclass(slots=True)
class Still:
    """Events that stay where they are.

    Attributes:
        messages: on the topic.
        asked: the spans for which the topic was read.
        fails: a source that fails.
    """

    messages: Sequence[PublishedMessage]
    asked: list[tuple[datetime, datetime]] = field(default_factory=list)
    fails: str = ""
    ended: list[str] = field(default_factory=list)

    async def published(
        self, since: datetime, until: datetime
    ) -> AsyncGenerator[Sequence[PublishedMessage], None]:
        """What was published in the span."""
        self.asked.append((since, until))
        yield [one for one in self.messages if since <= one.published_at < until]

    async def waiting(self) -> AsyncGenerator[Sequence[PublishedMessage], None]:
        """What waits."""
        yield []

    async def dead_letters(self) -> AsyncGenerator[Sequence[PublishedMessage], None]:
        """Dead letters."""
        try:
            yield []
            if self.fails:
                await asyncio.Event().wait()
        finally:
            self.ended.append("dead letters")

    async def failed(
        self, since: datetime, until: datetime
    ) -> AsyncGenerator[Sequence[FailedRecord], None]:
        """What failed."""
        del since, until
        if self.fails:
            raise RuntimeError(self.fails)
        yield []

    async def stored(
        self, since: datetime, until: datetime
    ) -> AsyncGenerator[Sequence[tuple[str, int]], None]:
        """What is stored."""
        del since, until
        yield []


async def test_a_replay_makes_an_event_late_again() -> None:
    """Also after the span; only so much is read of the time after it as may change a verdict."""
    now = clock.now()
    span_ends = now - timedelta(hours=24)
    messages = [
        _at(published("missing"), span_ends - timedelta(hours=1)),
        _at(published("replayed"), span_ends - timedelta(hours=1)),
        _at(published("replayed"), now - timedelta(minutes=5)),
        _at(published("newer"), now - timedelta(minutes=5)),
    ]
    sources = Still(messages)

    summary, found = await run(sources, age=timedelta(hours=24))

    assert {one.id: one.verdict for one in found} == {"missing": "missing", "replayed": "late"}
    assert summary == Summary(2, late=1, missing=1)
    (_, (since, until)) = sources.asked
    assert until - since - LATE_AFTER < timedelta(minutes=1)


async def test_when_one_reading_fails_the_others_end() -> None:
    """And its own error is what is raised."""
    sources = Still([], fails="AEP does not answer")

    with pytest.raises(RuntimeError, match="AEP does not answer"):
        await asyncio.wait_for(run(sources), 30)

    assert sources.ended == ["dead letters"]


class _Topic:
    """Takes what is published; refuses some."""

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, dict[str, str]]] = []

    async def publish(self, data: bytes, attributes: Mapping[str, str]) -> str:
        """Takes a message."""
        if attributes["eventId"] == "refused":
            raise PublishRejected
        if attributes["eventId"] == "unlucky":
            raise PublishFailed("timeout")
        self.messages.append((data, dict(attributes)))
        return "1"


async def test_what_is_missing_is_published_as_it_was() -> None:
    """Once each, with one more attribute; what fails is counted by its reason."""
    now = clock.now()
    keys = ["a", "a", "b", "refused", "unlucky"]
    old = [_at(published(key, traceparent="t"), now - 2 * LATE_AFTER) for key in keys]
    sources = Still([*old, _at(published("young"), now - timedelta(minutes=1))])
    topic, replayed = _Topic(), Replayed()
    with Verdicts() as verdicts:
        await reconcile(sources, verdicts, now - SPAN, now, LATE_AFTER)
        await replay_missing(sources, verdicts, topic, now - SPAN, now, replayed)

    assert (replayed.published, replayed.failed) == (2, {"refused": 1, "timeout": 1})
    assert [data for data, _ in topic.messages] == [old[0].data, old[2].data]
    for (_, attributes), original in zip(topic.messages, (old[0], old[2]), strict=True):
        assert datetime.fromisoformat(attributes.pop("replayed")) - now < timedelta(minutes=1)
        assert attributes == original.attributes
