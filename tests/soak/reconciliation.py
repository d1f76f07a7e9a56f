"""The reconciliation: compares what Pendo was told with what AEP and the dead letters hold.

It shares no code with what it checks: it only compares ids and fingerprints.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

# Marks of an event, as bits: for a million events, a set for each mark would be large.
_SENT: Final = 1
_TOLD: Final = 2
_HELD: Final = 4
_DEAD: Final = 8


@dataclass(frozen=True, slots=True)
class ReconciliationReport:
    """What the comparison shows at one moment. The names are keys of `results.json`.

    Attributes:
        sent: webhooks, each counted once however often it was sent.
        told: webhooks that Pendo was told are accepted.
        unanswered: webhooks that never got a 2xx.
        held: distinct events that AEP has.
        dead: distinct events that are dead letters.
        copies: events that AEP got again, with the same id.
        dead_copies: dead letters that came again.
        lost: told, but neither held nor dead.
        causeless: dead without a cause, or for another reason than the right one.
        strangers: told, held or dead, but never sent under this id.
        altered: held or dead, with other content than was sent under this id.
    """

    sent: int = 0
    told: int = 0
    unanswered: int = 0
    held: int = 0
    dead: int = 0
    copies: int = 0
    dead_copies: int = 0
    lost: tuple[str, ...] = ()
    causeless: Mapping[str, str] = field(default_factory=dict)
    strangers: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()


@dataclass(slots=True)
class Reconciliation:
    """Records what happens, in any order, and finds discrepancies."""

    _marks: dict[str, int] = field(default_factory=dict)
    _totals: Counter[int] = field(default_factory=Counter)
    _causes: dict[str, str] = field(default_factory=dict)
    _reasons: dict[str, str] = field(default_factory=dict)
    _expected: dict[str, bytes] = field(default_factory=dict)
    _altered: set[str] = field(default_factory=set)
    _open: int = 0
    _copies: int = 0
    _dead_copies: int = 0

    def sent(self, event_id: str, fingerprint: bytes, cause: str = "") -> None:
        """Records that a webhook is sent.

        Args:
            event_id: under which it must be found again.
            fingerprint: of what AEP must hold of it, or of its dead letter if it has a cause.
            cause: the reason for which it must become a dead letter.
        """
        self._mark(event_id, _SENT)
        self._expected[event_id] = fingerprint
        if cause:
            self._causes[event_id] = cause

    def told(self, event_id: str) -> None:
        """Records that Pendo was answered 2xx: from now on the event must not be lost."""
        self._mark(event_id, _TOLD)

    def delivered(self, event_id: str, fingerprint: bytes) -> None:
        """Records that AEP has accepted an event."""
        self._copies += not self._mark(event_id, _HELD)
        self._compare(event_id, fingerprint)

    def dead_lettered(self, event_id: str, fingerprint: bytes, reason: str) -> None:
        """Records a dead letter."""
        self._dead_copies += not self._mark(event_id, _DEAD)
        if self._reasons.get(event_id) in (None, self._causes.get(event_id)):
            self._reasons[event_id] = reason  # of two reasons, keep the wrong one
        if event_id in self._causes:  # without a cause it is wrong, whatever its content
            self._compare(event_id, fingerprint)

    @property
    def open(self) -> int:
        """How many events are told accepted, but neither in AEP nor a dead letter yet."""
        return self._open

    @property
    def progress(self) -> tuple[int, int, int, int]:
        """Distinct events sent, told, held and dead."""
        totals = self._totals
        return totals[_SENT], totals[_TOLD], totals[_HELD], totals[_DEAD]

    @property
    def copies(self) -> int:
        """How many events or dead letters came again."""
        return self._copies + self._dead_copies

    def report(self) -> ReconciliationReport:
        """Returns the whole comparison."""
        marks = self._marks
        sent, told, held, dead = self.progress
        return ReconciliationReport(
            sent=sent,
            told=told,
            unanswered=sum(have & (_SENT | _TOLD) == _SENT for have in marks.values()),
            held=held,
            dead=dead,
            copies=self._copies,
            dead_copies=self._dead_copies,
            lost=tuple(event_id for event_id, have in marks.items() if _is_open(have)),
            causeless={
                event_id: reason
                for event_id, reason in self._reasons.items()
                if marks[event_id] & _SENT and self._causes.get(event_id) != reason
            },
            strangers=tuple(event_id for event_id, have in marks.items() if not have & _SENT),
            altered=tuple(sorted(self._altered)),
        )

    def _compare(self, event_id: str, fingerprint: bytes) -> None:
        if self._expected.get(event_id, fingerprint) != fingerprint:
            self._altered.add(event_id)

    def _mark(self, event_id: str, mark: int) -> bool:
        """Marks an event; returns whether the mark is new."""
        before = self._marks.get(event_id, 0)
        if before & mark:
            return False
        self._marks[event_id] = after = before | mark
        self._totals[mark] += 1
        self._open += _is_open(after) - _is_open(before)
        return True


def _is_open(marks: int) -> bool:
    return bool(marks & _TOLD) and not marks & (_HELD | _DEAD)
