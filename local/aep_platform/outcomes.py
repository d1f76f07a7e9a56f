"""What became of accepted messages: rows or failed batches, the run of the flow, who is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.aep.messages import id_of, raw_record
from local.aep_platform import assumed, batches, failures, flow_runs
from local.aep_platform.ingestion import Checked, dataset_id_of, is_xdm, maps
from local.aep_platform.lake import Observer, RecordFailed, RecordStored
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

_NO_DATASET = Failure("ingestion", assumed.MISDIRECTED_CODE, "there is no such dataset")


@dataclass(frozen=True, slots=True)
class QueuedMessage:
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
class Outcome:
    """What the check made of the messages of one batch.

    Attributes:
        stored: the ids and rows of those that are written, a repeat for each time.
        failed: those that are not.
        checked: each message, with what the check found.
    """

    stored: list[tuple[str, Json]] = field(default_factory=list)
    failed: list[FailedRecord] = field(default_factory=list)
    checked: list[tuple[QueuedMessage, Checked]] = field(default_factory=list)

    def add(self, queued: QueuedMessage, dataset: Dataset, checked: Checked, *, times: int) -> None:
        """Adds a message, whose row is written so many times if it can be."""
        self.checked.append((queued, checked))
        if checked.failures:
            self.failed.append(_failed_record(queued, dataset, checked.failures))
        else:
            self.stored += [(queued.id, checked.row)] * times


def group_by_batch(due: Iterable[QueuedMessage]) -> list[list[QueuedMessage]]:
    """Returns what goes into one batch each, in the order in which it came."""
    found: dict[object, list[QueuedMessage]] = {}
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


class OutcomeRecorder:
    """Writes outcomes into the state of the sandbox, and tells the observer."""

    def __init__(self, observer: Observer | None) -> None:
        """Takes who is told of every record; None for nobody."""
        self._observer = observer

    def record(
        self,
        group: Sequence[QueuedMessage],
        dataset: Dataset,
        outcome: Outcome,
        *,
        has_diagnostics: bool,
    ) -> None:
        """Makes the batches of a group, and counts them in the run of its flow."""
        state, flow, started, at = group[0].state, group[0].flow, group[0].batch, group[-1].due
        made: list[Batch] = []
        for part in (outcome.stored, outcome.failed):
            if part:
                batch, started = started, None
                batch = batch or batches.start_batch(
                    state, dataset, flow, at, has_diagnostics=has_diagnostics
                )
                made.append(batch)
        if outcome.stored:
            dataset.rows += [row for _, row in outcome.stored]
            batches.finish_batch(dataset, made[0], len(outcome.stored), at)
            for event_id, _ in outcome.stored:
                self._tell(RecordStored(event_id, made[0].id, at))
        if outcome.failed:
            batches.finish_batch(dataset, made[-1], outcome.failed, at)
            self._tell_failed(outcome.failed, made[-1].id, at)
        for queued, checked in outcome.checked:
            _note_errors(queued, checked)
        if flow is not None:
            run = flow_runs.run_of(state, flow.id, at)
            run.stored += len(outcome.stored)
            run.failed += len(outcome.failed)
            run.received += len(outcome.stored) + len(outcome.failed)
            run.warnings += sum(len(c.warnings) for _, c in outcome.checked if not c.failures)
            run.failures += failures.codes_of_batch(outcome.failed)
            run.batches += [batch.id for batch in made]

    def drop(self, group: Iterable[QueuedMessage]) -> None:
        """Notes messages whose flow or dataset is gone: nothing can have a batch."""
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


def _note_errors(queued: QueuedMessage, checked: Checked) -> None:
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


def _failed_record(
    queued: QueuedMessage, dataset: Dataset, found: tuple[Failure, ...]
) -> FailedRecord:
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
