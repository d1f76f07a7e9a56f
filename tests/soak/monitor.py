"""The monitor: samples memory, scans log lines, and counts AEP's answers while a soak runs."""

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

_INTERVAL_SECONDS: Final = 1.0
_ENOUGH: Final = 10
# Of one process, a second apart. A younger process still fills what is filled once, such as the
# buffers of events of 500 kB, of which one comes every few seconds.
_FEWEST_SAMPLES: Final = 120
# The first part of a process's life is start-up, and filling what is filled once.
_WARM: Final = 0.25


@dataclass(slots=True)
class LogScanner:
    """Reads every line that the functions print.

    Attributes:
        messages: how often each message was logged, with its reason if it has one.
        leaks: the first lines that hold a secret or personal data.
        tracebacks: the first lines with a traceback, which nothing should ever end in.
    """

    messages: Counter[str] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)

    def read(self, lines: Iterable[str]) -> None:
        """Scans some lines."""
        for line in lines:
            if has_leak(line) and len(self.leaks) < _ENOUGH:
                self.leaks.append(line)
            if ("stack_trace" in line or "Traceback" in line) and len(self.tracebacks) < _ENOUGH:
                self.tracebacks.append(line)
            self.messages[_message(line)] += 1


def _message(line: str) -> str:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:  # a kill may cut a line
        return "not JSON"
    reason = fields.get("reason", "")
    return f"{fields['message']}: {reason}" if reason else str(fields["message"])


@dataclass(frozen=True, slots=True)
class Footprint:
    """The memory of a function.

    Attributes:
        peak: the most that any of its processes used, in MB.
        first: the median of the first third of the longest life, once it was warm.
        last: the median of the last third.
        samples: how many the longest life has, a second apart.
        growth: the last third by the first; None if the life was too short to tell.
    """

    peak: float
    first: float
    last: float
    samples: int
    growth: float | None


@dataclass(slots=True)
class MemoryMonitor:
    """Samples in MB, by function and by process: a killed function comes back as another."""

    _samples: dict[str, dict[int, list[float]]] = field(default_factory=dict)
    # By the process of its server. The soak kills a server together with its worker.
    _workers: dict[int, set[int]] = field(default_factory=dict)

    def sample(self, functions: Collection[str]) -> None:
        """Takes one sample of each function that is a child of this process."""
        for child in psutil.Process().children():
            try:
                name = _target(child.cmdline())
                if name in functions:
                    workers = child.children()
                    self.add(name, child.pid, _megabytes(child, *workers))
                    self.add_workers(child.pid, [worker.pid for worker in workers])
            except psutil.NoSuchProcess:  # killed a moment ago
                continue

    def add(self, name: str, process: int, megabytes: float) -> None:
        """Adds one sample."""
        self._samples.setdefault(name, {}).setdefault(process, []).append(megabytes)

    def add_workers(self, server: int, workers: Collection[int]) -> None:
        """Adds the workers that a server has now."""
        self._workers.setdefault(server, set()).update(workers)

    @property
    def replaced(self) -> int:
        """How many workers had to be replaced by their servers, each of which has one."""
        return sum(max(len(workers) - 1, 0) for workers in self._workers.values())

    def footprints(self) -> Mapping[str, Footprint]:
        """Returns the memory of each function."""
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
    """Returns the memory of a server and its workers; on Linux, shared memory counts once."""
    total = 0
    for one in processes:
        memory = one.memory_full_info()
        total += memory.pss if psutil.LINUX else memory.rss
    return total / 1e6


@dataclass(slots=True)
class Monitor:
    """Observes an environment once a second.

    Attributes:
        memory: of both functions.
        log: what they printed.
        aep_answers: how often AEP's inlet gave each answer; "none" is a closed connection.
        tokens: how many AEP has issued.
    """

    environment: Environment
    memory: MemoryMonitor = field(default_factory=MemoryMonitor)
    log: LogScanner = field(default_factory=LogScanner)
    aep_answers: Counter[str] = field(default_factory=Counter)
    tokens: int = 0

    async def run(self) -> None:
        """Observes until it is cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL_SECONDS)
            self.memory.sample(self.environment.pipeline.functions)
            self.read()

    def read(self) -> None:
        """Reads what has come since the last time, and drops it: kept, it would be gigabytes."""
        for function in self.environment.pipeline.functions.values():
            lines = function.output[:]
            del function.output[: len(lines)]
            self.log.read(lines)
        aep = self.environment.aep
        self.aep_answers.update(str(request.status or "none") for request in aep.requests)
        self.tokens = aep.tokens.issued
        for kept in (aep.accepted, aep.refused, aep.requests, aep.token_requests):
            kept.clear()
        aep.distinct_ids.clear()
