"""Ingests late: AEP answers first, and maps, validates and writes what it accepted afterwards.

A message that an inlet accepted waits until it is due. What is due at once, in one flow and
dataset, becomes a batch of what passes and a batch of what fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import count
from typing import Any

from local.aep.messages import id_of, raw_record, utc_now
from local.aep_platform import assumed, batches, failures, flow_runs
from local.aep_platform.faults import RecordFaults
from local.aep_platform.ingestion import (
    Checked,
    Checker,
    dataset_id_of,
    flow_of,
    is_xdm,
    maps,
    named_flow,
    reason_to_lose,
)
from local.aep_platform.lake import Lake, Observer, RecordFailed, RecordStored
from local.aep_platform.state import (
    Batch,
    Dataset,
    FailedRecord,
    Failure,
    Flow,
    FlowError,
    Json,
    LostMessage,
    PlatformState,
)

# A clock that a test moves says nothing of real time: look again, but not all the time.
_SHORTEST_PAUSE_SECONDS = 0.05
_PAUSE_AFTER_FAILURE_SECONDS = 1.0
_NO_DATASET = Failure("ingestion", assumed.MISDIRECTED_CODE, "there is no such dataset")


@dataclass(frozen=True, slots=True)
class _Queued:
    """An accepted message that is not ingested yet.

    Attributes:
        state: of its sandbox.
        flow: that takes it; None for XDM without one.
        message: as it was parsed.
        due: when it is to be ingested, in seconds since the epoch.
        is_late: whether no fault makes it later than it is.
        batch: that is to be written again; None for a new one.
    """

    state: PlatformState
    flow: Flow | None
    message: Any
    due: float
    is_late: bool = False
    batch: Batch | None = None

    @property
    def id(self) -> str:
        """The id of its event; empty if it has none."""
        return id_of(self.message) or ""


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
        """Takes the clock, how long messages wait, where they go, and who is told of each."""
        self.faults = RecordFaults()
        self._clock = clock
        self._after_seconds = after_seconds
        self._lake = lake
        self._observer = observer
        self._queue: list[tuple[float, int, _Queued]] = []
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
        self._put(_Queued(state, flow, message, now + self._after_seconds))
        self._start_timer()

    def ingest_due(self) -> int:
        """Ingests every message that is due by the clock; returns how many.

        Each is ingested as of the moment when it was due, however far the clock has jumped since.
        What a lake that is out of reach does not take stays in the queue.
        """
        done, now, least_pause = 0, self._clock(), _PAUSE_AFTER_FAILURE_SECONDS
        try:
            while self._queue and self._queue[0][0] <= now:
                done += self._ingest_groups(_group_by_batch(self._take_due(now)))
            least_pause = 0.0
        finally:
            self._start_timer(least_pause)
        return done

    def stop(self) -> None:
        """Ends what works in the background; what waits stays."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _put(self, queued: _Queued) -> None:
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

    def _take_due(self, now: float) -> Iterable[_Queued]:
        """Takes what is due off the queue, and applies the faults that keep it from its batch."""
        found: list[_Queued] = []
        while self._queue and self._queue[0][0] <= now:
            queued = heappop(self._queue)[2]
            if not queued.is_late and self.faults.late(queued.id):
                late = replace(queued, due=queued.due + self.faults.late_seconds, is_late=True)
                self._put(late)
            elif not self.faults.lost(queued.id):
                found.append(queued)
        return found

    def _ingest_groups(self, groups: Sequence[Sequence[_Queued]]) -> int:
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

    def _ingest(self, group: Sequence[_Queued]) -> None:
        first, at = group[0], group[-1].due
        state, flow = first.state, first.flow
        dataset = state.datasets.get(dataset_id_of(state, flow, first.message))
        if dataset is None or (flow is not None and flow.id not in state.flows):
            self._drop(group)
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
        checked = [(queued, checker.check(queued.message)) for queued in group]
        stored: list[tuple[str, Json]] = []  # the ids and rows, a repeat for each time
        failed: list[FailedRecord] = []
        for queued, found in checked:
            times = assumed.DUPLICATE_COUNTS if self.faults.duplicated(queued.id) else 1
            if found.failures:
                failed.append(_failed_record(queued, dataset, found.failures))
            else:
                stored += [(queued.id, found.row)] * times
        if self._lake is not None and stored:
            self._lake.write(dataset.table, checker.schema, [row for _, row in stored])
        made = self._make_batches(first, dataset, (stored, failed), at, has_diagnostics=keeps)
        dataset.rows += [row for _, row in stored]
        for queued, found in checked:
            _note_errors(queued, found)
        if flow is not None:
            run = flow_runs.run_of(state, flow.id, at)
            run.stored += len(stored)
            run.failed += len(failed)
            run.received += len(stored) + len(failed)
            run.warnings += sum(len(found.warnings) for _, found in checked if not found.failures)
            run.failures += failures.codes_of_batch(failed)
            run.batches += [batch.id for batch in made]

    def _make_batches(
        self,
        first: _Queued,
        dataset: Dataset,
        outcome: tuple[Sequence[tuple[str, Json]], list[FailedRecord]],
        at: float,
        *,
        has_diagnostics: bool,
    ) -> list[Batch]:
        """Makes a batch of what is stored and one of what fails; one that was started is first."""
        made: list[Batch] = []
        stored, failed = outcome
        for part in (len(stored), failed):
            if part:
                started = None if made else first.batch
                batch = started or batches.start_batch(
                    first.state, dataset, first.flow, at, has_diagnostics=has_diagnostics
                )
                batches.finish_batch(batch, part, at)
                made.append(batch)
        for event_id, _ in stored:
            self._tell(RecordStored(event_id, made[0].id, at))
        for record in failed:
            self._tell_failed(record, made[-1].id, at)
        return made

    def _drop(self, group: Iterable[_Queued]) -> None:
        """Notes messages whose flow or dataset is gone: nothing can have a batch."""
        for queued in group:
            _note_errors(queued, Checked({}, (_NO_DATASET,)))
            if queued.flow is not None:
                run = flow_runs.run_of(queued.state, queued.flow.id, queued.due)
                run.received += 1
                run.failed += 1
                run.failures[_NO_DATASET.code] += 1
            record = FailedRecord(queued.id, {}, queued.message, (_NO_DATASET,))
            self._tell_failed(record, "", queued.due)

    def _tell_failed(self, record: FailedRecord, batch: str, at: float) -> None:
        why = record.failures[0]
        self._tell(RecordFailed(record.id, why.stage, why.code, why.message, batch, at))

    def _tell(self, event: RecordStored | RecordFailed) -> None:
        if self._observer is not None:
            self._observer(event)


def _group_by_batch(due: Iterable[_Queued]) -> list[list[_Queued]]:
    """Returns what goes into one batch each, in the order in which it came."""
    found: dict[object, list[_Queued]] = {}
    for queued in due:
        key = (
            queued.state.sandbox,
            queued.flow.id if queued.flow is not None else None,
            dataset_id_of(queued.state, queued.flow, queued.message),
            queued.due // assumed.BATCH_WINDOW_SECONDS,
            queued.batch.id if queued.batch is not None else None,
        )
        found.setdefault(key, []).append(queued)
    return list(found.values())


def _note_errors(queued: _Queued, checked: Checked) -> None:
    """Adds to the errors of the flow what went wrong, and what was dropped for it."""
    reason = "; ".join(failure.message for failure in checked.failures)
    if queued.flow is None:
        if reason:
            queued.state.lost.append(LostMessage(reason, queued.message))
        return
    for warning in checked.warnings:
        text = f"{warning.mapping.destination}: {warning.reason}"
        queued.flow.errors.append(FlowError(text, dropped=False, message=queued.message))
    if reason:
        queued.flow.errors.append(FlowError(reason, dropped=True, message=queued.message))


def _failed_record(queued: _Queued, dataset: Dataset, found: tuple[Failure, ...]) -> FailedRecord:
    """Returns what a failed batch keeps of a message."""
    message = queued.message
    header = message["header"] if is_xdm(message) else {}
    if not maps(queued.flow):
        return FailedRecord(queued.id, header, message["body"], found)
    values = {
        "schemaRef": dataset.body["schemaRef"],
        "imsOrgId": queued.state.ims_org_id,
        "datasetId": dataset.id,
        "flowId": queued.flow.id if queued.flow is not None else "",
    }
    header = {name: values[name] for name in assumed.RAW_RECORD_HEADER} | header
    return FailedRecord(queued.id, header, raw_record(message), found)
