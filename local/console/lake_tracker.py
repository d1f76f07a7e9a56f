"""Updates the console's state with what becomes of the events that AEP has accepted."""

from __future__ import annotations

from typing import Final

from local.aep_platform.lake import RecordFailed, RecordStored
from local.console.state import EventRecord, Level, State, Status

_ACCEPTED: Final = (Status.ACCEPTED, Status.STORED, Status.FAILED_LATER)


class LakeTracker:
    """Tracks what becomes of accepted messages; an observer of AEP's ingestion."""

    def __init__(self, state: State) -> None:
        """Takes the state to update."""
        self._state = state

    def __call__(self, outcome: RecordStored | RecordFailed, /) -> None:
        """Handles an outcome."""
        state, counts = self._state, self._state.counts
        state.ingesting_ids.discard(outcome.id)
        counts.ingesting = len(state.ingesting_ids)
        record = state.events.get(outcome.id)
        if isinstance(outcome, RecordStored):
            self._stored(record, outcome)
        else:
            counts.failed_later += 1
            if record is not None:
                self._failed(record, outcome)
        state.changed()

    def _stored(self, record: EventRecord | None, outcome: RecordStored) -> None:
        state = self._state
        text = "Stored in the data lake"
        if outcome.id in state.lake_ids:
            state.counts.copies += 1
            text += " once more"
        else:
            state.lake_ids.add(outcome.id)
            state.counts.in_lake += 1
        if record is None:
            return
        if record.status in _ACCEPTED:
            record.status, record.reason = Status.STORED, ""
        detail = f"batch {outcome.batch}"
        state.step(record, text, detail=detail, at=outcome.at, level=Level.GOOD)

    def _failed(self, record: EventRecord, outcome: RecordFailed) -> None:
        if record.status in _ACCEPTED:
            record.status, record.reason = Status.FAILED_LATER, outcome.code
        text = f"Failed later, at {outcome.stage}: {outcome.code}"
        self._state.step(record, text, detail=outcome.message, at=outcome.at, level=Level.BAD)
