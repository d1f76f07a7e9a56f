"""Ingests late: AEP answers first, and maps, validates and writes what it accepted afterwards.

A message that an inlet accepted waits until it is due. What is due at once, in one flow and
dataset, becomes a batch of what passes and a batch of what fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import count

from local.aep.messages import utc_now
from local.aep_platform import assumed, batches
from local.aep_platform.faults import RecordFaults
from local.aep_platform.ingestion import (
    Checker,
    dataset_id_of,
    flow_of,
    is_xdm,
    maps,
    named_flow,
    reason_to_lose,
)
from local.aep_platform.lake import Lake, Observer
from local.aep_platform.outcomes import Outcome, OutcomeRecorder, QueuedMessage, group_by_batch
from local.aep_platform.state import Dataset, LostMessage, PlatformState

# A clock that a test moves says nothing of real time: look again, but not all the time.
_SHORTEST_PAUSE_SECONDS = 0.05
_PAUSE_AFTER_FAILURE_SECONDS = 1.0


class LateIngestion:
    """The queue between the inlets and the data lake.

    Attributes:
        faults: in force.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        after_seconds: float,
        lake: Lake | None,
        observer: Observer | None,
    ) -> None:
        """Takes the clock, how long messages wait, and where they go."""
        self.faults = RecordFaults()
        self._clock = clock
        self._after_seconds = after_seconds
        self._lake = lake
        self._recorder = OutcomeRecorder(observer)
        self._queue: list[tuple[float, int, QueuedMessage]] = []
        self._numbers = count()
        self._timer: asyncio.Handle | None = None

    @property
    def waiting(self) -> int:
        """How many accepted messages are not ingested yet."""
        return len(self._queue)

    def receive(
        self, state: PlatformState, inlet: str, flow_id: str | None, message: object
    ) -> None:
        """Takes one message that an inlet accepted; never refuses it, the sender has its answer.

        Args:
            state: of the inlet's sandbox.
            inlet: where it came in.
            flow_id: of the request; None where it had none.
            message: as it was parsed.
        """
        now, named = self._clock(), named_flow(flow_id, message)
        flow = flow_of(state, inlet, named)
        reason = reason_to_lose(flow, now) if named is not None else None
        if reason is None and not maps(flow) and not is_xdm(message):
            reason = assumed.UNKNOWN_FLOW
        if reason is not None:
            state.lost.append(LostMessage(reason, message))
            return
        self._put(QueuedMessage(state, flow, message, now + self._after_seconds))
        self._start_timer()

    def ingest_due(self) -> int:
        """Ingests every message that is due by the clock; returns how many.

        Each is ingested as of the moment when it was due, however far the clock has jumped since.
        What a lake that is out of reach does not take stays in the queue.
        """
        done, now, least_pause = 0, self._clock(), _PAUSE_AFTER_FAILURE_SECONDS
        try:
            while self._queue and self._queue[0][0] <= now:
                done += self._ingest_groups(group_by_batch(self._take_due(now)))
            least_pause = 0.0
        finally:
            self._start_timer(least_pause)
        return done

    def stop(self) -> None:
        """Ends what works in the background; what waits stays."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _put(self, queued: QueuedMessage) -> None:
        heappush(self._queue, (queued.due, next(self._numbers), queued))

    def _start_timer(self, least_pause: float = 0.0) -> None:
        if self._timer is not None or not self._queue:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a test without a loop drives the queue itself
            return
        pause = max(self._queue[0][0] - self._clock(), least_pause)
        if pause <= 0:  # before the sender has its answer
            self._timer = loop.call_soon(self._ring)
        else:
            self._timer = loop.call_later(max(pause, _SHORTEST_PAUSE_SECONDS), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self.ingest_due()

    def _take_due(self, now: float) -> Iterable[QueuedMessage]:
        """Takes what is due off the queue, and applies the faults that keep it from its batch."""
        found: list[QueuedMessage] = []
        while self._queue and self._queue[0][0] <= now:
            queued = heappop(self._queue)[2]
            if not queued.is_late and self.faults.late(queued.id):
                late = replace(queued, due=queued.due + self.faults.late_seconds, is_late=True)
                self._put(late)
            elif not self.faults.lost(queued.id):
                found.append(queued)
        return found

    def _ingest_groups(self, groups: Sequence[Sequence[QueuedMessage]]) -> int:
        """Ingests a batch of each group; returns of how many messages."""
        done, left = 0, list(groups)
        try:
            while left:
                self._ingest(left[0])
                done += len(left.pop(0))
        finally:
            for group in left:
                for queued in group:
                    self._put(queued)
        return done

    def _ingest(self, group: Sequence[QueuedMessage]) -> None:
        first, at = group[0], group[-1].due
        state, flow = first.state, first.flow
        dataset = state.datasets.get(dataset_id_of(state, flow, first.message))
        if dataset is None or (flow is not None and flow.id not in state.flows):
            self._recorder.drop(group)
            return
        keeps = dataset.has_diagnostics and not self.faults.diagnostics_off
        if first.batch is None and self.faults.replayed_batches > 0:
            self.faults.replayed_batches -= 1
            batch = batches.start_batch(state, dataset, flow, at, has_diagnostics=keeps)
            due = at + self.faults.replay_seconds
            for queued in group:
                self._put(replace(queued, due=due, is_late=True, batch=batch))  # all at once
            return
        latest = max(utc_now(), datetime.fromtimestamp(self._clock(), UTC))
        checker = Checker(state, flow, dataset, latest)
        outcome = self._check(group, checker, dataset)
        if self._lake is not None and outcome.stored:
            rows = [row for _, row in outcome.stored]
            self._lake.write(dataset.table, checker.schema, rows)
        self._recorder.record(group, dataset, outcome, has_diagnostics=keeps)

    def _check(self, group: Iterable[QueuedMessage], checker: Checker, dataset: Dataset) -> Outcome:
        outcome = Outcome()
        for queued in group:
            times = assumed.DUPLICATE_COUNTS if self.faults.duplicated(queued.id) else 1
            outcome.add(queued, dataset, checker.check(queued.message), times=times)
        return outcome
