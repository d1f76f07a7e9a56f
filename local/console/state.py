"""What the console knows. Pure: it is told everything, asks nobody, and draws nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

from local.console.records import BatchRecord, EventRecord, LetterRecord, Level, Step
from local.console.series import Series
from local.console.table import Table

MAX_EVENTS: Final = 10_000
MAX_BATCHES: Final = 2_000
MAX_LETTERS: Final = 2_000


@dataclass(slots=True)
class Counts:
    """The numbers on the stages; they count all, also what is no longer in a table.

    Attributes:
        received: webhooks that came to `receive`, whatever it answered.
        rejected: those answered 4xx.
        unstored: those answered 5xx, or not at all.
        quarantined: those that were dead letters at once.
        answered: those that go nowhere: pings, types that are not wanted.
        stored: messages stored on the topic of events, replayed ones too.
        waiting: messages in the topic, resting ones too.
        delivering: messages that `deliver` has now.
        returned: how often it handed one back.
        requests: requests to AEP that are over.
        in_flight: those that are not.
        accepted: distinct events that AEP has taken.
        duplicates: messages that it has taken once more.
        letters: dead letters that lie there now.
        tokens: tokens that Adobe's token endpoint gave out.
    """

    received: int = 0
    rejected: int = 0
    unstored: int = 0
    quarantined: int = 0
    answered: int = 0
    stored: int = 0
    waiting: int = 0
    delivering: int = 0
    returned: int = 0
    requests: int = 0
    in_flight: int = 0
    accepted: int = 0
    duplicates: int = 0
    letters: int = 0
    tokens: int = 0


class State:
    """The tables, the counts and the plots' figures.

    Attributes:
        on_change: each is called after every change, however small.
        now: the clock, in seconds since the epoch.
    """

    def __init__(
        self, *, now: Callable[[], float] = time.time, max_events: int = MAX_EVENTS
    ) -> None:
        self.now = now
        self.on_change: list[Callable[[], None]] = []
        self.counts = Counts()
        self.series = Series()
        self.events: Table[EventRecord] = Table(max_events, self.changed)
        self.batches: Table[BatchRecord] = Table(MAX_BATCHES, self.changed)
        self.letters: Table[LetterRecord] = Table(MAX_LETTERS, self.changed)
        self.accepted_ids: set[str] = set()
        self._orders = count(1)

    def changed(self) -> None:
        """Tells everyone who follows."""
        for told in self.on_change:
            told()

    def arrive(self, key: str, at: float) -> EventRecord:
        """The record of an event that comes now: a new one, or the one it had, as the newest."""
        record = self.events.get(key)
        if record is None:
            record = EventRecord(key, next(self._orders), at)
        else:
            record.order = next(self._orders)
        self.events.put(key, record)
        return record

    def step(
        self,
        record: EventRecord,
        text: str,
        *,
        detail: str = "",
        level: Level = Level.INFO,
        at: float | None = None,
    ) -> None:
        """Adds to the timeline of an event."""
        record.steps.append(Step(self.now() if at is None else at, text, detail, level))
        self.events.touch(record.key)
