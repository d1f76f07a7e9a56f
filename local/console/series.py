"""What the plots show: counts, batch sizes and latencies, by the second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

KEPT_SECONDS: Final = 600
_MAX_SAMPLES: Final = 2000


@dataclass(slots=True)
class Second:
    """One second that something happened in.

    Attributes:
        at: in whole seconds since the epoch.
        version: rises with each change of the series; this is that of the last change here.
        latencies: in seconds, of the first events that were acknowledged then.
    """

    at: int
    version: int = 0
    received: int = 0
    accepted: int = 0
    batches: int = 0
    messages: int = 0
    latencies: list[float] = field(default_factory=list)


class Series:
    """The seconds in which something happened, as far back as they are kept.

    Attributes:
        version: how many changes there have been.
    """

    def __init__(self) -> None:
        self.version = 0
        self._seconds: dict[int, Second] = {}

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

    def since(self, version: int) -> list[Second]:
        """The seconds that have changed since that version, oldest first; since 0: all."""
        found = [second for second in self._seconds.values() if second.version > version]
        return sorted(found, key=lambda second: second.at)

    def _second(self, at: float) -> Second:
        whole = int(at)
        self.version += 1
        second = self._seconds.get(whole)
        if second is None:
            second = self._seconds[whole] = Second(whole)
            newest = max(self._seconds)
            for old in [at for at in self._seconds if at <= newest - KEPT_SECONDS]:
                del self._seconds[old]
        second.version = self.version
        return second


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value below which that share of the values lies; None of no values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
