"""Faults that tests inject on the way to the APIs, and on the way of a record to the data lake.

A missing permission, wrong credentials and an unknown sandbox need no fault: change
`platform.permissions`, the client of the `AepServer`, or the sandbox that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from local.aep_platform.call import Call


@dataclass(frozen=True, slots=True)
class Answering:
    """Answer so, and let the call have no effect."""

    status: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Drop(Enum):
    """Drop the connection without an answer, before or after the call has taken effect."""

    BEFORE = auto()
    AFTER = auto()


@dataclass(frozen=True, slots=True)
class Delay:
    """Answer that much later, in seconds; the effect comes at the end of the delay."""

    seconds: float


Fault: TypeAlias = Answering | Drop | Delay
Which: TypeAlias = Callable[[Call], bool]


@dataclass(slots=True)
class _Rule:
    fault: Fault
    after: int | None
    matching: Which | None
    times: int | None


class Faults:
    """The faults in force; a call gets the first that fits it."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []
        self._changes = 0

    def fail(
        self,
        fault: Fault,
        *,
        after: int | None = None,
        matching: Which | None = None,
        times: int | None = 1,
    ) -> None:
        """Makes calls fail that have passed the gateway.

        Args:
            fault: `Answering`, `Drop` or `Delay`.
            after: let so many calls go through that change something, then fail the next that
                would; None fails any call.
            matching: fail only these calls.
            times: fail so many; None for no end.
        """
        until = None if after is None else self._changes + after
        self._rules.append(_Rule(fault, until, matching, times))

    def clear(self) -> None:
        """Ends every fault."""
        self._rules.clear()

    def count_change(self) -> None:
        """Notes that a call has changed something."""
        self._changes += 1

    def next_for(self, call: Call, *, changes: bool) -> Fault | None:
        """Returns the fault of this call; `changes` if it is of those that change something."""
        for rule in self._rules:
            if rule.times == 0 or (rule.matching is not None and not rule.matching(call)):
                continue
            if rule.after is not None and (not changes or self._changes < rule.after):
                continue
            if rule.times is not None:
                rule.times -= 1
            return rule.fault
        return None


WhichRecord: TypeAlias = Callable[[str], bool]
"""Whether a fault is for the event of this id; it is empty for a message without one."""


def _nothing(_: str) -> bool:
    return False


@dataclass(slots=True)
class RecordFaults:
    """What goes wrong between the inlet's answer and the data lake; change it at any time.

    Attributes:
        lost: records that vanish: stored nowhere, counted nowhere.
        duplicated: records that are written twice, and counted so.
        late: records that are written `late_seconds` later than the others.
        late_seconds: how much later.
        diagnostics_off: batches keep no reasons, whatever their dataset asks for.
        replayed_batches: so many of the next batches come to be written `replay_seconds` later,
            and show as `retrying` until then.
        replay_seconds: how much later.
    """

    lost: WhichRecord = _nothing
    duplicated: WhichRecord = _nothing
    late: WhichRecord = _nothing
    late_seconds: float = 4 * 3600.0
    diagnostics_off: bool = False
    replayed_batches: int = 0
    replay_seconds: float = 3 * 3600.0

    def clear(self) -> None:
        """Ends every fault; what is late already stays so."""
        self.lost = self.duplicated = self.late = _nothing
        self.diagnostics_off, self.replayed_batches = False, 0
