"""The console's state: events, batches, dead letters, counts and series. No I/O."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import count
from typing import Final, Generic, TypeVar

from pendo_aep.cli.dead_letter import DeadLetter

Row = TypeVar("Row")

MAX_EVENTS: Final = 10_000
MAX_BATCHES: Final = 2_000
MAX_LETTERS: Final = 2_000
# An event that AEP throttles for an hour must not fill the memory.
MAX_STEPS: Final = 200
MAX_WEBHOOKS: Final = 5
KEPT_SECONDS: Final = 600
_MAX_SAMPLES: Final = 2000


class Status(StrEnum):
    """The state of an event."""

    WAITING = "waiting"
    """In the topic, not yet delivered."""
    DELIVERING = "in a batch"
    """`deliver` has it."""
    RETRYING = "retrying"
    """In the topic again: it was returned and will be redelivered."""
    ACCEPTED = "accepted"
    """AEP accepted it, and has not stored it yet."""
    STORED = "stored"
    """It lies in the data lake."""
    FAILED_LATER = "failed later"
    """AEP accepted it, and could not store it; with AEP's reason."""
    DEAD = "dead"
    """A dead letter, with its reason."""
    REJECTED = "rejected"
    """`receive` answered 4xx, for example because of the signature or the size."""
    UNSTORED = "not stored"
    """`receive` answered 5xx or not at all, so it promised nothing."""
    ANSWERED = "answered"
    """A ping, or a type that the settings exclude: answered 200 and not stored."""


class Level(StrEnum):
    """The severity of a step in the timeline."""

    INFO = "info"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to an event, in seconds since the epoch."""

    at: float
    text: str
    detail: str = ""
    level: Level = Level.INFO


@dataclass(frozen=True, slots=True)
class Webhook:
    """One request from Pendo and the answer of `receive`; `status` is 0 if there was none."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    started_at: float
    ended_at: float
    status: int
    answer: bytes


@dataclass(slots=True)
class EventRecord:
    """An event, or a webhook that did not become one.

    Attributes:
        key: the event ID, or a name made by the console if there is none.
        order: increases with each event that arrives, or arrives again.
        data: the normalised event on the topic.
        sent: the message sent to AEP, parsed.
        attempts: how often it was pushed to `deliver`.
    """

    key: str
    order: int
    received_at: float
    type: str = ""
    visitor: str = ""
    status: Status = Status.WAITING
    attempts: int = 0
    accepted_at: float | None = None
    reason: str = ""
    data: bytes | None = None
    sent: object = None
    webhooks: deque[Webhook] = field(default_factory=lambda: deque(maxlen=MAX_WEBHOOKS))
    steps: deque[Step] = field(default_factory=lambda: deque(maxlen=MAX_STEPS))

    @property
    def latency(self) -> float | None:
        """Returns the seconds from its receipt to its acceptance by AEP."""
        if self.accepted_at is None:
            return None
        return max(self.accepted_at - self.received_at, 0.0)

    def is_settled(self) -> bool:
        """Returns whether it has reached a final state."""
        return self.status not in {Status.WAITING, Status.DELIVERING, Status.RETRYING}


@dataclass(slots=True)
class BatchRecord:
    """One request to AEP; `status` is 0 until it ends, None if it got no complete answer."""

    number: int
    started_at: float
    ended_at: float | None = None
    ids: tuple[str, ...] = ()
    messages: int = 0
    size: int = 0
    accepted: int = 0
    refused: int = 0
    status: int | None = 0


@dataclass(frozen=True, slots=True)
class DeadLetterRecord:
    """A dead letter in the dead-letter topic, without its data, and when it came there."""

    letter: DeadLetter
    event_key: str
    at: float


@dataclass(slots=True, eq=False)
class Watch:
    """The changes that one follower has not taken yet.

    It never holds more than twice as many keys as the table has rows.

    Attributes:
        changed: keys of new and changed rows.
        gone: keys of rows that were taken and have been removed.
        seen: keys of rows that were taken and not reported as gone.
    """

    changed: set[str]
    gone: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)


class Table(Generic[Row]):
    """Rows by key, newest last; beyond the capacity, the oldest are removed."""

    def __init__(self, capacity: int, on_change: Callable[[], None]) -> None:
        """Takes the capacity and a callback for changes."""
        self._capacity = capacity
        self._on_change = on_change
        self._rows: dict[str, Row] = {}
        self._watches: list[Watch] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def get(self, key: str) -> Row | None:
        """Returns the row of a key, if it is still there."""
        return self._rows.get(key)

    def put(self, key: str, row: Row) -> None:
        """Adds or replaces a row as the newest."""
        self._rows.pop(key, None)
        self._rows[key] = row
        self.touch(key)
        while len(self._rows) > self._capacity:
            self.drop(next(iter(self._rows)))

    def touch(self, key: str) -> None:
        """Reports that a row has changed."""
        for watch in self._watches:
            watch.changed.add(key)
            watch.gone.discard(key)
        self._on_change()

    def drop(self, key: str) -> None:
        """Removes a row, if it exists."""
        if self._rows.pop(key, None) is None:
            return
        for watch in self._watches:
            watch.changed.discard(key)
            if key in watch.seen:  # a row that came and went in between is not reported
                watch.gone.add(key)
        self._on_change()

    def watch(self) -> Watch:
        """Follows the table from now on; every present row counts as new."""
        watch = Watch(set(self._rows))
        self._watches.append(watch)
        return watch

    def unwatch(self, watch: Watch) -> None:
        """Stops following."""
        self._watches.remove(watch)

    def take(self, watch: Watch) -> tuple[list[Row], list[str]]:
        """Returns the changed rows, unordered, and the keys of those that are gone."""
        changed = [self._rows[key] for key in watch.changed]
        gone = list(watch.gone)
        watch.seen |= watch.changed
        watch.seen -= watch.gone
        watch.changed.clear()
        watch.gone.clear()
        return changed, gone


@dataclass(slots=True)
class Second:
    """One second in which something happened.

    Attributes:
        at: in whole seconds since the epoch.
        version: the version of the series at the last change of this second.
        latencies: in seconds, of the first events acknowledged in it.
    """

    at: int
    version: int = 0
    received: int = 0
    accepted: int = 0
    batches: int = 0
    messages: int = 0
    latencies: list[float] = field(default_factory=list)


class Series:
    """The figures of the charts, by the second, as far back as they are kept.

    Attributes:
        version: the number of changes so far.
    """

    def __init__(self) -> None:
        self.version = 0
        self._seconds: dict[int, Second] = {}

    def received(self, at: float) -> None:
        """Counts a received webhook."""
        self._second(at).received += 1

    def accepted(self, at: float) -> None:
        """Counts a message that AEP accepted."""
        self._second(at).accepted += 1

    def batch(self, at: float, messages: int) -> None:
        """Counts a finished request to AEP, whatever the answer."""
        second = self._second(at)
        second.batches += 1
        second.messages += messages

    def latency(self, at: float, seconds: float) -> None:
        """Adds the latency of an event."""
        second = self._second(at)
        if len(second.latencies) < _MAX_SAMPLES:
            second.latencies.append(seconds)

    def since(self, version: int) -> list[Second]:
        """Returns the seconds changed since a version (0: all), oldest first."""
        found = [second for second in self._seconds.values() if second.version > version]
        return sorted(found, key=lambda second: second.at)

    def _second(self, at: float) -> Second:
        whole = int(at)
        self.version += 1
        second = self._seconds.get(whole)
        if second is None:
            second = self._seconds[whole] = Second(whole)
            newest = max(self._seconds)
            for old in [at for at in self._seconds if at <= newest - KEPT_SECONDS]:
                del self._seconds[old]
        second.version = self.version
        return second


def percentile(values: Sequence[float], share: float) -> float | None:
    """Returns the value below which this share of the values lies; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


@dataclass(slots=True)
class Counts:
    """The numbers of the stages; they include what is no longer in a table.

    Attributes:
        received: webhooks sent to `receive`, whatever it answered.
        rejected: webhooks answered 4xx.
        unstored: webhooks answered 5xx or not at all.
        quarantined: webhooks that became dead letters at once.
        answered: webhooks that are not stored: pings and excluded types.
        stored: messages stored on the topic of events, including replayed ones.
        waiting: messages in the topic, including those in backoff.
        delivering: messages that `deliver` has now.
        returned: how often `deliver` returned a message.
        requests: finished requests to AEP.
        in_flight: requests to AEP in progress.
        accepted: distinct events that AEP accepted.
        duplicates: messages that AEP accepted again.
        ingesting: distinct events that AEP accepted, and has neither stored nor failed yet.
        in_lake: distinct events in the data lake.
        copies: rows in the data lake beyond the first of each event.
        failed_later: messages that AEP accepted and could not store.
        letters: dead letters in the dead-letter topic now.
        tokens: tokens issued by Adobe's token endpoint.
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
    ingesting: int = 0
    in_lake: int = 0
    copies: int = 0
    failed_later: int = 0
    letters: int = 0
    tokens: int = 0


class State:
    """The tables, the counts and the figures of the charts.

    Attributes:
        on_change: callbacks, each called after every change.
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
        self.letters: Table[DeadLetterRecord] = Table(MAX_LETTERS, self.changed)
        self.accepted_ids: set[str] = set()
        self.lake_ids: set[str] = set()
        self.ingesting_ids: set[str] = set()
        self._orders = count(1)

    def changed(self) -> None:
        """Calls every callback."""
        for callback in self.on_change:
            callback()

    def arrive(self, key: str, at: float) -> EventRecord:
        """Returns the record of an arriving event, new or known, as the newest."""
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
        """Adds a step to the timeline of an event."""
        record.steps.append(Step(self.now() if at is None else at, text, detail, level))
        self.events.touch(record.key)

    def explain(self, record: EventRecord, text: str, detail: str) -> None:
        """Gives the latest step of this text its detail, which came later; none: does nothing."""
        for place in reversed(range(len(record.steps))):
            if record.steps[place].text == text:
                record.steps[place] = replace(record.steps[place], detail=detail)
                self.events.touch(record.key)
                return
