"""What the functions print: every line is read, and looked through for what must not be in it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import orjson
import psutil

from tests.soak.environment import Environment
from tests.soak.webhooks import has_leak

_ENOUGH: Final = 10


@dataclass(slots=True)
class LogScanner:
    """What was found.

    Attributes:
        messages: how often each message was logged, with its reason where it has one.
        leaks: lines that hold a secret or personal data; the first of them.
        tracebacks: those with a traceback, which nothing should ever end in; the first of them.
    """

    messages: Counter[str] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)

    def read(self, printed: Iterable[str]) -> None:
        """Looks through some lines."""
        for line in printed:
            if has_leak(line) and len(self.leaks) < _ENOUGH:
                self.leaks.append(line)
            if ("stack_trace" in line or "Traceback" in line) and len(self.tracebacks) < _ENOUGH:
                self.tracebacks.append(line)
            self.messages[_message(line)] += 1


def _message(line: str) -> str:
    try:
        read = orjson.loads(line)
    except orjson.JSONDecodeError:  # a kill may cut a line
        return "not JSON"
    reason = read.get("reason", "")
    return f"{read['message']}: {reason}" if reason else str(read["message"])


# The memory of the functions over time, whether it grows, and whether a worker was replaced.


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
class MemoryMonitor:
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


# What is looked at all the while: memory, what the functions print, and what AEP answers.


_LOOK_SECONDS: Final = 1.0


@dataclass(slots=True)
class Monitor:
    """Looks once a second.

    Attributes:
        memory: of both functions.
        lines: that they printed.
        aep_answers: how often AEP's inlet gave each answer; "none" is hanging up.
        tokens: how many AEP has issued.
    """

    rig: Environment
    memory: MemoryMonitor = field(default_factory=MemoryMonitor)
    lines: LogScanner = field(default_factory=LogScanner)
    aep_answers: Counter[str] = field(default_factory=Counter)
    tokens: int = 0

    async def look(self) -> None:
        """Looks until it is cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.memory.weigh(self.rig.functions)
            self.read()

    def read(self) -> None:
        """Reads what has come since the last look, and lets it go: kept, it would be gigabytes."""
        for function in self.rig.functions.values():
            printed = function.output[:]
            del function.output[: len(printed)]
            self.lines.read(printed)
        aep = self.rig.aep
        self.aep_answers.update(str(request.status or "none") for request in aep.requests)
        self.tokens = aep.tokens.issued
        for kept in (aep.accepted, aep.refused, aep.requests, aep.token_requests):
            kept.clear()
        aep.distinct_ids.clear()
