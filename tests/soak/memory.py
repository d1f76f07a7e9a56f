"""The memory of the functions over time, whether it grows, and whether a worker was replaced."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import psutil

# Of one process, a second apart: a younger one still fills what is filled once, such as the buffers
# of events of 500 kB, of which one comes every few seconds.
_FEWEST_SAMPLES: Final = 120
# The first part of a life is starting, and filling what is filled once.
_WARM: Final = 0.25


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a function took.

    Attributes:
        peak: the most that any of its processes took, in MB.
        first: the median of the first third of the longest life, once it was warm.
        last: the same of the last third.
        samples: how many the longest life has, a second apart.
        growth: the last third by the first; None where the life was too short to tell.
    """

    peak: float
    first: float
    last: float
    samples: int
    growth: float | None


@dataclass(slots=True)
class Memory:
    """Samples in MB: by function, and by process, for a killed one comes again as another."""

    _samples: dict[str, dict[int, list[float]]] = field(default_factory=dict)
    # By the process of its server. The soak kills a server together with its worker.
    _workers: dict[int, set[int]] = field(default_factory=dict)

    def weigh(self, functions: Collection[str]) -> None:
        """Takes one sample of each function that is a child of this process."""
        for child in psutil.Process().children():
            try:
                name = _target(child.cmdline())
                if name in functions:
                    workers = child.children()
                    self.note(name, child.pid, _megabytes(child, *workers))
                    self.note_workers(child.pid, [worker.pid for worker in workers])
            except psutil.NoSuchProcess:  # killed a moment ago
                continue

    def note(self, name: str, process: int, megabytes: float) -> None:
        """Notes one sample."""
        self._samples.setdefault(name, {}).setdefault(process, []).append(megabytes)

    def note_workers(self, server: int, workers: Collection[int]) -> None:
        """Notes the workers that a server has now."""
        self._workers.setdefault(server, set()).update(workers)

    @property
    def replaced(self) -> int:
        """How many workers had to be replaced by their servers, each of which has one."""
        return sum(max(len(workers) - 1, 0) for workers in self._workers.values())

    def footprints(self) -> Mapping[str, Footprint]:
        """What each function took."""
        return {name: _footprint(list(lives.values())) for name, lives in self._samples.items()}


def _footprint(lives: Sequence[Sequence[float]]) -> Footprint:
    longest = max(lives, key=len)
    warm = longest[int(len(longest) * _WARM) :]
    third = max(len(warm) // 3, 1)
    first, last = median(warm[:third]), median(warm[-third:])
    return Footprint(
        peak=max(max(life) for life in lives),
        first=first,
        last=last,
        samples=len(longest),
        growth=last / first if len(longest) >= _FEWEST_SAMPLES else None,
    )


def _target(command: Sequence[str]) -> str:
    targets = [part.removeprefix("--target=") for part in command if part.startswith("--target=")]
    return targets[0] if targets else ""


def _megabytes(*processes: psutil.Process) -> float:
    """Of a server and its workers; on Linux, what they share is counted once."""
    total = 0
    for one in processes:
        memory = one.memory_full_info()
        total += memory.pss if psutil.LINUX else memory.rss
    return total / 1e6
