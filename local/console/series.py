"""What the plots show: counts, batch sizes and latencies, by the second."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

KEPT_SECONDS: Final = 600
_MAX_SAMPLES: Final = 2000


@dataclass(slots=True)
class Second:
    """One second that something happened in; `at` in whole seconds since the epoch."""

    at: int
    received: int = 0
    accepted: int = 0
    batches: int = 0
    messages: int = 0
    latencies: list[float] = field(default_factory=list)


class Series:
    """The seconds in which something happened, as far back as they are kept."""

    def __init__(self) -> None:
        self._seconds: deque[Second] = deque()

    def received(self, at: float) -> None:
        """A webhook came."""
        self._second(at).received += 1

    def accepted(self, at: float) -> None:
        """AEP took a message."""
        self._second(at).accepted += 1

    def batch(self, at: float, messages: int) -> None:
        """A request to AEP is over, whatever it was answered."""
        second = self._second(at)
        second.batches += 1
        second.messages += messages

    def latency(self, at: float, seconds: float) -> None:
        """An event was so long on its way."""
        second = self._second(at)
        if len(second.latencies) < _MAX_SAMPLES:
            second.latencies.append(seconds)

    def since(self, at: int) -> list[Second]:
        """The seconds from that one on, oldest first."""
        found = [second for second in self._seconds if second.at >= at]
        return sorted(found, key=lambda second: second.at)

    def _second(self, at: float) -> Second:
        whole = int(at)
        # What is told late belongs to one of the last few.
        for second in reversed(self._seconds):
            if second.at == whole:
                return second
            if second.at < whole - 60:
                break
        second = Second(whole)
        self._seconds.append(second)
        while self._seconds[0].at < whole - KEPT_SECONDS:
            self._seconds.popleft()
        return second


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value below which that share of the values lies; None of no values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
