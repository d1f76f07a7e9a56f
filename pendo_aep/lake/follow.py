"""Follows a few events until AEP has stored them, or has said that it could not.

Failed records name their events. Of stored ones only Query Service does; without it, the counts of
batches say that records were stored, not whose: see `End.LIKELY`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeAlias

from pendo_aep import clock
from pendo_aep.lake.batches import CLOCKS_DIFFER, Batch, read_batches
from pendo_aep.lake.failed_records import FailedRecord, read_failed_records
from pendo_aep.provisioning.client import Client

StoredIds: TypeAlias = Callable[[Collection[str]], Awaitable[set[str] | None]]
"""Returns those of the ids that Query Service shows as stored; None if it cannot be asked."""

_FIRST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 60.0


class End(StrEnum):
    """How far the events were followed."""

    STORED = "stored"
    """Query Service shows each of them."""
    FAILED = "failed"
    """AEP has said of one at least that it was not stored, and why."""
    LIKELY = "likely"
    """As many records as there are events were stored after them, and none of them has failed."""
    UNKNOWN = "unknown"
    """The time is over."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What became of the events.

    Attributes:
        end: of all of them together.
        stored: the ids of those that Query Service shows.
        failed: those that AEP could not store.
        records: how many records of any event AEP has stored in batches made since.
        batches: the ids of these batches.
    """

    end: End
    stored: frozenset[str] = frozenset()
    failed: tuple[FailedRecord, ...] = ()
    records: int = 0
    batches: tuple[str, ...] = ()


class Follower:
    """Looks at the batches of a dataset again and again."""

    def __init__(
        self,
        client: Client,
        dataset_id: str,
        event_ids: Sequence[str],
        sent_at: datetime,
        *,
        stored_ids: StoredIds | None = None,
        now: Callable[[], datetime] = clock.now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Takes the events, and when they were sent.

        Args:
            client: calls AEP's APIs.
            dataset_id: where the events should be stored.
            event_ids: of events that AEP has accepted.
            sent_at: before the first was sent.
            stored_ids: asks Query Service; None if it cannot be used.
            now: the time.
            sleep: waits so many seconds.
        """
        self._client = client
        self._dataset_id = dataset_id
        self._event_ids = tuple(event_ids)
        self._sent_at = sent_at
        self._stored_ids = stored_ids
        self._now = now
        self._sleep = sleep
        self._read: set[tuple[str, int]] = set()
        self._failed: dict[str, FailedRecord] = {}
        self._stored: set[str] = set()

    async def follow(self, limit: timedelta, show: Callable[[str], None]) -> Followed:
        """Returns what became of the events, at the latest when the limit has passed.

        Args:
            limit: how long to look; once in any case.
            show: is told of the progress.

        Raises:
            PlatformError: AEP does not answer, or does not let the credential look.
        """
        end = self._now() + limit
        pause = _FIRST_PAUSE
        while True:
            found = await self._look()
            left = (end - self._now()).total_seconds()
            if found.end is not End.UNKNOWN or left <= 0:
                return found
            done = len(found.stored) + len(found.failed)
            show(f"following {len(self._event_ids)} test events into the data lake, {done} arrived")
            await self._sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _look(self) -> Followed:
        since = self._sent_at - CLOCKS_DIFFER
        until = self._now() + CLOCKS_DIFFER
        batches = [one async for one in read_batches(self._client, self._dataset_id, since, until)]
        for batch in batches:
            if batch.is_failure and (batch.id, batch.failed) not in self._read:
                await self._find_failed(batch)
                self._read.add((batch.id, batch.failed))
        waiting = set(self._event_ids) - set(self._failed) - self._stored
        if waiting and self._stored_ids is not None:
            seen = await self._stored_ids(waiting)
            if seen is None:
                self._stored_ids = None
            else:
                self._stored |= waiting & seen
        after = [one for one in batches if one.stored and one.created >= self._sent_at]
        return self._result(after)

    async def _find_failed(self, batch: Batch) -> None:
        async with aclosing(read_failed_records(self._client, batch)) as records:
            async for record in records:
                if record.event_id in self._event_ids:
                    self._failed[record.event_id] = record

    def _result(self, after: Sequence[Batch]) -> Followed:
        records = sum(batch.stored for batch in after)
        waiting = len(set(self._event_ids) - set(self._failed) - self._stored)
        if not waiting:
            end = End.FAILED if self._failed else End.STORED
        elif self._stored_ids is None and records >= waiting:
            end = End.FAILED if self._failed else End.LIKELY
        else:
            end = End.UNKNOWN
        return Followed(
            end,
            frozenset(self._stored),
            tuple(self._failed.values()),
            records,
            tuple(batch.id for batch in after),
        )
