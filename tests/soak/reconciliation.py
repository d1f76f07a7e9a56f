"""The ledger: what Pendo was told, beside what AEP holds and what lies in the dead letters.

It knows none of the code that it judges: it is told ids and fingerprints, and compares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

# Marks of one event, as bits: there are a million events, and a set for each mark would be large.
_SENT: Final = 1
_TOLD: Final = 2
_HELD: Final = 4
_DEAD: Final = 8


@dataclass(frozen=True, slots=True)
class ReconciliationReport:
    """What the ledger says at one moment.

    Attributes:
        sent: webhooks, each counted once however often it was sent.
        told: those of them that Pendo was told are accepted.
        unanswered: those of them that Pendo was never told of.
        held: distinct events that AEP has.
        dead: distinct events that lie in the dead letters.
        copies: what AEP has been given beyond the first of each event, with the same id.
        dead_copies: the same of the dead letters.
        lost: told, and neither held nor dead.
        causeless: dead, though nothing was wrong with it, or for another reason than it should.
        strangers: told, held or dead, and never sent under this id.
        altered: held or dead, with anything else in it than was sent under this id.
    """

    sent: int
    told: int
    unanswered: int
    held: int
    dead: int
    copies: int
    dead_copies: int
    lost: tuple[str, ...]
    causeless: Mapping[str, str]
    strangers: tuple[str, ...]
    altered: tuple[str, ...]


@dataclass(slots=True)
class Reconciliation:
    """Is told what happens, in whatever order, and finds what does not add up."""

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
        """A webhook is on its way.

        Args:
            event_id: under which it must be found again.
            fingerprint: of what AEP must hold of it, or of its dead letter if it has a cause.
            cause: the reason for which it must end as a dead letter.
        """
        self._mark(event_id, _SENT)
        self._expected[event_id] = fingerprint
        if cause:
            self._causes[event_id] = cause

    def told(self, event_id: str) -> None:
        """Pendo was answered 2xx: from now on the event is ours to bring to its end."""
        self._mark(event_id, _TOLD)

    def held(self, event_id: str, fingerprint: bytes) -> None:
        """AEP has taken an event."""
        self._copies += not self._mark(event_id, _HELD)
        self._compare(event_id, fingerprint)

    def buried(self, event_id: str, fingerprint: bytes, reason: str) -> None:
        """An event lies in the dead letters."""
        self._dead_copies += not self._mark(event_id, _DEAD)
        if self._reasons.get(event_id) in (None, self._causes.get(event_id)):
            self._reasons[event_id] = reason  # of two reasons, the one that is wrong is kept
        if event_id in self._causes:  # without a cause, it is wrong whatever it holds
            self._compare(event_id, fingerprint)

    @property
    def open(self) -> int:
        """How many events Pendo was told of that have not come to their end yet."""
        return self._open

    @property
    def progress(self) -> tuple[int, int, int, int]:
        """Distinct events sent, told, held and dead."""
        totals = self._totals
        return totals[_SENT], totals[_TOLD], totals[_HELD], totals[_DEAD]

    @property
    def copies(self) -> int:
        """What came to its end once more."""
        return self._copies + self._dead_copies

    def account(self) -> ReconciliationReport:
        """The whole comparison."""
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
        """Whether it had not been marked so before."""
        before = self._marks.get(event_id, 0)
        if before & mark:
            return False
        self._marks[event_id] = after = before | mark
        self._totals[mark] += 1
        self._open += _is_open(after) - _is_open(before)
        return True


def _is_open(marks: int) -> bool:
    return bool(marks & _TOLD) and not marks & (_HELD | _DEAD)
