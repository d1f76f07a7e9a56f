"""What became of each published event, worked out by SQLite in a temporary file.

A month may have millions of events, so they are not held in memory: what is read is only appended
to tables, and sorted and joined once at the end. The file has no name: whatever ends the process,
nothing is left of it (SQLite: "Temporary Files Used By SQLite").
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self

import orjson

from pendo_aep.aep.misconfiguration import without_values
from pendo_aep.dead_letters import Reason
from pendo_aep.lake.failed_records import FailedRecord
from pendo_aep.lake.topic import PublishedMessage


class Verdict(StrEnum):
    """What became of one event. The first that holds counts."""

    STORED = "stored"
    """In the data lake, once or several times."""
    WAITING = "waiting"
    """In Pub/Sub: not delivered yet, or to be delivered again."""
    DEAD_LETTER = "dead_letter"
    """Never accepted by AEP; it is kept with its reason."""
    FAILED = "failed"
    """Accepted by AEP, and then not stored, with AEP's reason."""
    LATE = "late"
    """Accepted, and not stored yet; AEP may still be at work."""
    MISSING = "missing"
    """Accepted so long ago that it should be stored."""


@dataclass(frozen=True, slots=True)
class EventVerdict:
    """The verdict on one event; what is not known is None.

    Attributes:
        id: the event's.
        type: the event's.
        verdict: what became of it.
        times: how many times it is stored.
        published_at: when it was published last.
        stage: where it failed: of AEP, or `receive` or `deliver` for a dead letter.
        code: AEP's code, or the reason of a dead letter.
        message: AEP's words, without values of the event.
        batch: the failed batch.
    """

    id: str
    type: str
    verdict: Verdict
    times: int
    published_at: datetime
    stage: str | None
    code: str | None
    message: str | None
    batch: str | None


@dataclass(frozen=True, slots=True)
class Summary:
    """How many events have each verdict; `duplicates` are stored more than once."""

    events: int = 0
    stored: int = 0
    duplicates: int = 0
    failed: int = 0
    late: int = 0
    missing: int = 0
    dead_letter: int = 0
    waiting: int = 0

    def as_dict(self) -> dict[str, int]:
        """Returns the counts by their names."""
        return asdict(self)

    @property
    def is_success(self) -> bool:
        """Whether nothing failed, is missing, or is a dead letter."""
        return not (self.failed or self.missing or self.dead_letter)


# Without indexes: to append is quick, and `_CONCLUDE` sorts each table once.
_TABLES: Final = """
CREATE TABLE published (key TEXT, shown TEXT, type TEXT, hour INTEGER, published INTEGER);
CREATE TABLE republished (key TEXT, published INTEGER);
CREATE TABLE waiting (key TEXT);
CREATE TABLE dead_letters (key TEXT, stage TEXT, code TEXT, message TEXT);
CREATE TABLE failed (key TEXT, stage TEXT, code TEXT, message TEXT, batch TEXT);
CREATE TABLE stored (key TEXT, times INTEGER);
"""
# SQLite: "SELECT", bare columns beside max() are those of the row that has the maximum.
_CONCLUDE: Final = (
    """CREATE TABLE each_published (
        key TEXT PRIMARY KEY, shown TEXT, type TEXT, published INTEGER) WITHOUT ROWID""",
    """INSERT INTO each_published
        SELECT key, shown, type, max(published) FROM published GROUP BY key""",
    """CREATE TABLE each_republished (key TEXT PRIMARY KEY, published INTEGER) WITHOUT ROWID""",
    """INSERT INTO each_republished SELECT key, max(published) FROM republished GROUP BY key""",
    """CREATE TABLE each_waiting (key TEXT PRIMARY KEY) WITHOUT ROWID""",
    """INSERT INTO each_waiting SELECT DISTINCT key FROM waiting ORDER BY key""",
    """CREATE TABLE each_dead_letter (
        key TEXT PRIMARY KEY, stage TEXT, code TEXT, message TEXT) WITHOUT ROWID""",
    """INSERT INTO each_dead_letter SELECT key, stage, code, message FROM (
        SELECT key, stage, code, message, max(rowid) FROM dead_letters GROUP BY key)""",
    """CREATE TABLE each_failed (
        key TEXT PRIMARY KEY, stage TEXT, code TEXT, message TEXT, batch TEXT) WITHOUT ROWID""",
    """INSERT INTO each_failed SELECT key, stage, code, message, batch FROM (
        SELECT key, stage, code, message, batch, max(rowid) FROM failed GROUP BY key)""",
    """CREATE TABLE each_stored (key TEXT PRIMARY KEY, times INTEGER) WITHOUT ROWID""",
    """INSERT INTO each_stored SELECT key, sum(times) FROM stored GROUP BY key""",
    """CREATE TABLE verdicts (
        key TEXT PRIMARY KEY, shown TEXT, type TEXT, verdict TEXT, times INTEGER,
        published INTEGER) WITHOUT ROWID""",
    """INSERT INTO verdicts
        SELECT e.key, e.shown, e.type,
            CASE WHEN s.times > 0 THEN 'stored'
                WHEN w.key IS NOT NULL THEN 'waiting'
                WHEN d.key IS NOT NULL THEN 'dead_letter'
                WHEN f.key IS NOT NULL THEN 'failed'
                WHEN max(e.published, coalesce(r.published, 0)) > :late_from THEN 'late'
                ELSE 'missing' END,
            coalesce(s.times, 0),
            max(e.published, coalesce(r.published, 0))
        FROM each_published AS e
        LEFT JOIN each_republished AS r ON r.key = e.key
        LEFT JOIN each_stored AS s ON s.key = e.key
        LEFT JOIN each_waiting AS w ON w.key = e.key
        LEFT JOIN each_dead_letter AS d ON d.key = e.key
        LEFT JOIN each_failed AS f ON f.key = e.key
        ORDER BY e.key""",
)
_COUNT: Final = """SELECT verdict, count(*), count(*) FILTER (WHERE times > 1)
    FROM verdicts GROUP BY verdict"""
_READ: Final = """SELECT coalesce(v.shown, v.key), v.type, v.verdict, v.times, v.published,
        CASE v.verdict WHEN 'failed' THEN f.stage WHEN 'dead_letter' THEN d.stage END,
        CASE v.verdict WHEN 'failed' THEN f.code WHEN 'dead_letter' THEN d.code END,
        CASE v.verdict WHEN 'failed' THEN f.message WHEN 'dead_letter' THEN d.message END,
        CASE v.verdict WHEN 'failed' THEN f.batch END
    FROM verdicts AS v
    LEFT JOIN each_failed AS f ON f.key = v.key
    LEFT JOIN each_dead_letter AS d ON d.key = v.key
    WHERE :all OR v.verdict <> 'stored'
    ORDER BY v.published, v.key"""
_HOURS: Final = "SELECT DISTINCT hour FROM published WHERE hour IS NOT NULL ORDER BY hour"
_KIBIBYTES: Final = -64 * 1024  # negative: a size, not a number of pages
_STEPS: Final = 100_000  # of SQLite's virtual machine: some milliseconds
_HOUR: Final = timedelta(hours=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNIDENTIFIED: Final = "message-"


class Verdicts:
    """`with Verdicts() as verdicts`: collects what was read, in any order, and then concludes.

    Attributes:
        unattributed: failed records of which AEP does not say which event they are.
    """

    def __init__(self) -> None:
        self.unattributed = 0
        self._is_stopped = False
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)

    def __enter__(self) -> Self:
        db = self._db
        db.execute("PRAGMA journal_mode = OFF")  # it need not survive anything
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA temp_store = FILE")
        db.execute(f"PRAGMA cache_size = {_KIBIBYTES}")
        db.executescript(_TABLES)
        db.execute("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add_published(self, messages: Iterable[PublishedMessage]) -> None:
        """Adds messages of the span: each of their events gets a verdict."""
        self._db.executemany(
            "INSERT INTO published VALUES (?, ?, ?, ?, ?)", map(_published, messages)
        )

    def add_republished(self, messages: Iterable[PublishedMessage]) -> None:
        """Adds messages from after the span. Of an event of the span, the last one counts."""
        self._db.executemany(
            "INSERT INTO republished VALUES (?, ?)",
            ((_key(one), _microseconds(one.published_at)) for one in messages),
        )

    def add_waiting(self, messages: Iterable[PublishedMessage]) -> None:
        """Adds messages that wait in Pub/Sub."""
        self._db.executemany("INSERT INTO waiting VALUES (?)", ((_key(one),) for one in messages))

    def add_dead_letters(self, messages: Iterable[PublishedMessage]) -> None:
        """Adds dead letters."""
        self._db.executemany("INSERT INTO dead_letters VALUES (?, ?, ?, ?)", map(_dead, messages))

    def add_failed(self, records: Iterable[FailedRecord]) -> None:
        """Adds records that AEP accepted, and could not store."""
        rows = [
            (one.event_id, one.stage, one.code, one.message, one.batch)
            for one in records
            if one.event_id or self._count_unattributed()
        ]
        self._db.executemany("INSERT INTO failed VALUES (?, ?, ?, ?, ?)", rows)

    def _count_unattributed(self) -> bool:
        self.unattributed += 1
        return False

    def add_stored(self, rows: Iterable[tuple[str, int]]) -> None:
        """Adds events that are stored, with how many times; what comes again is added up."""
        self._db.executemany("INSERT INTO stored VALUES (?, ?)", rows)

    def occurred(self) -> list[tuple[datetime, datetime]]:
        """Returns when the published events occurred: spans of whole hours, in their order.

        The lake is read by these, since it knows when an event occurred, and not when it was
        published.
        """
        spans: list[tuple[datetime, datetime]] = []
        for (hour,) in self._db.execute(_HOURS):
            start, end = _EPOCH + hour * _HOUR, _EPOCH + (hour + 1) * _HOUR
            if spans and spans[-1][1] == start:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((start, end))
        return spans

    async def conclude(self, as_of: datetime, late_after: timedelta) -> Summary:
        """Works out the verdicts, once everything has been added, and counts them.

        Args:
            as_of: when the data lake was looked at.
            late_after: an event whose last publication is as old as this should be stored.
        """
        late_from = {"late_from": _microseconds(as_of - late_after)}

        def work() -> Summary:
            for statement in _CONCLUDE:
                self._db.execute(statement, late_from if ":late_from" in statement else {})
            counts = self._db.execute(_COUNT).fetchall()
            return Summary(
                events=sum(count for _, count, _ in counts),
                duplicates=sum(duplicates for _, _, duplicates in counts),
                **{verdict: count for verdict, count, _ in counts},
            )

        # In a thread, which ends at once if the command is interrupted: `interrupt` would miss a
        # statement that is just about to begin.
        self._db.set_progress_handler(lambda: self._is_stopped, _STEPS)
        running = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self._is_stopped = True
            await asyncio.wait([running])
            running.exception()  # looked at: the interruption goes before it
            raise
        finally:
            # Elsewhere it would swallow Ctrl-C, which Python raises within it.
            self._db.set_progress_handler(None, _STEPS)

    def events(self, *, all_events: bool = False) -> Iterator[EventVerdict]:
        """Yields the verdicts on those that are not stored, or on all, in order of publication."""
        with closing(self._db.execute(_READ, {"all": all_events})) as rows:
            for shown, kind, verdict, times, published, *reasons in rows:
                moment = _EPOCH + published * _MICROSECOND
                yield EventVerdict(shown, kind, Verdict(verdict), times, moment, *reasons)

    def missing(self, messages: Sequence[PublishedMessage]) -> list[PublishedMessage]:
        """Returns those of the messages whose events are missing, each event once in all calls."""
        found: list[PublishedMessage] = []
        for one in messages:
            changed = self._db.execute(
                "UPDATE verdicts SET verdict = 'replayed' WHERE key = ? AND verdict = 'missing'",
                (_key(one),),
            )
            if changed.rowcount:
                found.append(one)
        return found


def _key(message: PublishedMessage) -> str:
    """Returns what tells an event from others: its id; without one, its very bytes.

    Pub/Sub gives a message another id when it becomes a dead letter, with the same data.
    """
    if message.id == f"{_UNIDENTIFIED}{message.message_id}":
        return f"{_UNIDENTIFIED}{hashlib.sha256(message.data).hexdigest()}"
    return message.id


def _published(message: PublishedMessage) -> tuple[Any, ...]:
    key = _key(message)
    occurred = message.occurred_at
    return (
        key,
        None if key == message.id else message.id,
        message.type,
        None if occurred is None else (occurred - _EPOCH) // _HOUR,
        _microseconds(message.published_at),
    )


def _dead(message: PublishedMessage) -> tuple[str, str, str, str]:
    attributes = message.attributes
    said = attributes.get("detail", "")
    with suppress(orjson.JSONDecodeError):  # else AEP never saw it, and the words are our own
        said = without_values(said, message.data)
    # Only Pub/Sub's own dead-letter policy gives no reason.
    reason = attributes.get("reason") or Reason.EXHAUSTED
    return _key(message), attributes.get("stage", ""), reason, said


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
