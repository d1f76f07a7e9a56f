"""Ingests late: AEP answers first, and maps, validates and writes what it accepted afterwards.

A message that an inlet accepted waits until it is due. What is due at once, in one flow and
dataset, becomes a batch of what passes and a batch of what fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
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


@dataclass(slots=True)
class _Outcome:
    """What became of the messages of one batch."""

    stored: list[tuple[str, Json]] = field(default_factory=list)
    failed: list[FailedRecord] = field(default_factory=list)
    warnings: int = 0


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
        """
        done, now = 0, self._clock()
        try:
            while self._queue and self._queue[0][0] <= now:
                due = self._take_due(now)
                for number, group in enumerate(groups := _groups(due)):
                    try:
                        self._ingest(group)
                    except BaseException:  # the lake is out of reach: nothing may get lost here
                        for rest in groups[number:]:
                            for queued in rest:
                                self._put(queued)
                        raise
                    done += len(group)
        finally:
            self._start_timer()
        return done

    def stop(self) -> None:
        """Ends what works in the background; what waits stays."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _put(self, queued: _Queued) -> None:
        heappush(self._queue, (queued.due, next(self._numbers), queued))

    def _start_timer(self) -> None:
        if self._timer is not None or not self._queue:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a test without a loop drives the queue itself
            return
        pause = self._queue[0][0] - self._clock()
        if pause <= 0:  # before the sender has its answer
            self._timer = loop.call_soon(self._ring)
        else:
            self._timer = loop.call_later(max(pause, _SHORTEST_PAUSE_SECONDS), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self.ingest_due()

    def _take_due(self, now: float) -> list[_Queued]:
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

    def _ingest(self, group: list[_Queued]) -> None:
        first, at = group[0], group[-1].due
        state, flow = first.state, first.flow
        dataset = state.datasets.get(dataset_id_of(state, flow, first.message))
        if dataset is None or (flow is not None and flow.id not in state.flows):
            self._drop(group)
            return
        if first.batch is None and self.faults.replayed_batches > 0:
            self.faults.replayed_batches -= 1
            batch = batches.start_batch(
                state, dataset, flow, at, has_diagnostics=self._diagnostics(dataset)
            )
            for queued in group:
                due = at + self.faults.replay_seconds
                self._put(replace(queued, due=due, is_late=True, batch=batch))  # all at once
            return
        latest = max(utc_now(), datetime.fromtimestamp(self._clock(), UTC))
        checker = Checker(state, flow, dataset, latest)
        outcome = self._check(group, checker, dataset)
        if self._lake is not None and outcome.stored:
            rows = [row for _, row in outcome.stored]
            self._lake.write(dataset.table, checker.schema, rows)
        self._record(group, dataset, outcome, at)

    def _diagnostics(self, dataset: Dataset) -> bool:
        return dataset.has_diagnostics and not self.faults.diagnostics_off

    def _check(self, group: Iterable[_Queued], checker: Checker, dataset: Dataset) -> _Outcome:
        outcome = _Outcome()
        for queued in group:
            checked = checker.check(queued.message)
            event_id = queued.id
            _note_errors(queued, checked)
            if checked.failures:
                record = _failed_record(queued, dataset, checked.failures)
                outcome.failed.append(record)
                continue
            outcome.warnings += len(checked.warnings)
            times = assumed.DUPLICATE_COUNTS if self.faults.duplicated(event_id) else 1
            outcome.stored += [(event_id, checked.row)] * times
        return outcome

    def _record(self, group: list[_Queued], dataset: Dataset, outcome: _Outcome, at: float) -> None:
        """Makes the batches and counts them in the run of the flow; tells the observer."""
        state, flow, started = group[0].state, group[0].flow, group[0].batch
        keeps = self._diagnostics(dataset)
        made: list[Batch] = []
        if outcome.stored:
            dataset.rows += [row for _, row in outcome.stored]
            batch = started or batches.start_batch(state, dataset, flow, at, has_diagnostics=keeps)
            started = None
            batches.finish_batch(dataset, batch, len(outcome.stored), at)
            made.append(batch)
            for event_id, _ in outcome.stored:
                self._tell(RecordStored(event_id, batch.id, at))
        if outcome.failed:
            batch = started or batches.start_batch(state, dataset, flow, at, has_diagnostics=keeps)
            batches.finish_batch(dataset, batch, outcome.failed, at)
            made.append(batch)
            self._tell_failed(outcome.failed, batch.id, at)
        if flow is not None:
            run = flow_runs.run_of(state, flow.id, at)
            run.stored += len(outcome.stored)
            run.failed += len(outcome.failed)
            run.received += len(outcome.stored) + len(outcome.failed)
            run.warnings += outcome.warnings
            run.failures += failures.codes_of_batch(outcome.failed)
            run.batches += [batch.id for batch in made]

    def _drop(self, group: list[_Queued]) -> None:
        """Notes messages whose dataset is gone: nothing can have a batch."""
        for queued in group:
            if queued.flow is None:
                queued.state.lost.append(LostMessage(_NO_DATASET.message, queued.message))
            else:
                error = FlowError(_NO_DATASET.message, dropped=True, message=queued.message)
                queued.flow.errors.append(error)
                run = flow_runs.run_of(queued.state, queued.flow.id, queued.due)
                run.received += 1
                run.failed += 1
                run.failures[_NO_DATASET.code] += 1
            record = FailedRecord(queued.id, {}, queued.message, (_NO_DATASET,))
            self._tell_failed([record], "", queued.due)

    def _tell_failed(self, failed: Iterable[FailedRecord], batch: str, at: float) -> None:
        for record in failed:
            why = record.failures[0]
            self._tell(RecordFailed(record.id, why.stage, why.code, why.message, batch, at))

    def _tell(self, event: RecordStored | RecordFailed) -> None:
        if self._observer is not None:
            self._observer(event)


def _groups(due: Iterable[_Queued]) -> list[list[_Queued]]:
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
    if queued.flow is None:
        if checked.failures:
            reason = "; ".join(failure.message for failure in checked.failures)
            queued.state.lost.append(LostMessage(reason, queued.message))
        return
    for warning in checked.warnings:
        reason = f"{warning.mapping.destination}: {warning.reason}"
        queued.flow.errors.append(FlowError(reason, dropped=False, message=queued.message))
    if checked.failures:
        reason = "; ".join(failure.message for failure in checked.failures)
        queued.flow.errors.append(FlowError(reason, dropped=True, message=queued.message))


def _failed_record(queued: _Queued, dataset: Dataset, found: tuple[Failure, ...]) -> FailedRecord:
    """Returns what a failed batch keeps of a message."""
    message = queued.message
    header = message["header"] if is_xdm(message) else {}
    if maps(queued.flow):
        values = {
            "schemaRef": dataset.body["schemaRef"],
            "imsOrgId": queued.state.ims_org_id,
            "datasetId": dataset.id,
            "flowId": queued.flow.id if queued.flow is not None else "",
        }
        header = {name: values[name] for name in assumed.RAW_RECORD_HEADER} | header
        return FailedRecord(queued.id, header, raw_record(message), found)
    return FailedRecord(queued.id, header, message["body"], found)
