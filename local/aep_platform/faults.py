"""What goes wrong on the way to the APIs, on demand.

A missing permission, wrong credentials and an unknown sandbox are no faults but states of the
world: `platform.permissions`, the client of the `AepServer`, `platform.sandboxes`.
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
    """Cut the connection without an answer, before or after the call has taken effect."""

    BEFORE = auto()
    AFTER = auto()


@dataclass(frozen=True, slots=True)
class Delay:
    """Answer that much later, in seconds; the effect comes at the end of the delay."""

    seconds: float


How: TypeAlias = Answering | Drop | Delay
Which: TypeAlias = Callable[[Call], bool]


@dataclass(slots=True)
class _Fault:
    how: How
    after: int | None
    matching: Which | None
    times: int | None


class Faults:
    """The faults in force; the first that fits a call strikes it."""

    def __init__(self) -> None:
        self._faults: list[_Fault] = []
        self._changes = 0

    def add(
        self, how: How, *, after: int | None, matching: Which | None, times: int | None
    ) -> None:
        """Put a fault in force.

        Args:
            how: what happens.
            after: so many changing calls go through from now on before one is struck.
            matching: strike only these calls.
            times: strike so many calls; None for no end.
        """
        until = None if after is None else self._changes + after
        self._faults.append(_Fault(how, until, matching, times))

    def clear(self) -> None:
        """End every fault."""
        self._faults.clear()

    def count(self) -> None:
        """Note that a call has changed something."""
        self._changes += 1

    def strike(self, call: Call, *, changes: bool) -> How | None:
        """What befalls this call; `changes` says whether it is of those that change something."""
        for fault in self._faults:
            if fault.times == 0 or (fault.matching is not None and not fault.matching(call)):
                continue
            if fault.after is not None and (not changes or self._changes < fault.after):
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault.how
        return None
