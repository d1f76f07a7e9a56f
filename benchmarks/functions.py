"""Runs the compared functions as they are deployed, and measures their CPU and memory.

CPU time is the measure that a busy machine disturbs least, and the one that Cloud Run bills.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from benchmarks.load import SECRET, send
from benchmarks.servers import PULL, Servers
from local.functions import PROJECT, end_group, free_port, google_environment

_BASELINES = Path(__file__).with_name("baselines")
_START_SECONDS = 30.0
# Nothing else of the terminal's environment reaches a function, not even a Python switch: Google's
# buildpack compiles a function's files, so ours must be compiled too.
_INHERITED = ("HOME", "LANG", "PATH", "TMPDIR")
_WHOLE_PROCESS = 2  # CPUCLOCK_SCHED in Linux: user and system, all threads
# A machine that others use is slow for seconds on end, so turns are shorter than that.
_TURNS = 4


@dataclass(frozen=True, slots=True)
class Source:
    """A function to measure.

    Attributes:
        name: as the tables show it.
        target: its entry point.
        file: that has the entry point.
        share: it gets one in so many of the requests, because it takes that much longer.
    """

    name: str
    target: str
    file: Path = PROJECT / "main.py"
    share: int = 1


RECEIVE = Source("receive", "receive")
DELIVER = Source("deliver", "deliver")
DRAIN = Source("drain", "drain")
# Each no-op answers exactly what its counterpart answers, so writing the answer costs the same.
NOOP_RECEIVE = Source("no-op receive", "accepted", _BASELINES / "noop.py")
NOOP_DELIVER = Source("no-op deliver", "no_content", _BASELINES / "noop.py")
QUICKSTART_RECEIVE = Source("quickstart receive", "receive", _BASELINES / "quickstart.py", share=5)
QUICKSTART_DELIVER = Source("quickstart deliver", "deliver", _BASELINES / "quickstart.py", share=5)


@dataclass(frozen=True, slots=True)
class RequestCost:
    """What some requests cost a function.

    Attributes:
        requests: how many there were.
        cpu_seconds: of all the function's processes.
        latencies: in seconds, unordered.
        aep_requests: what the function sent to AEP meanwhile.
    """

    requests: int
    cpu_seconds: float
    latencies: tuple[float, ...]
    aep_requests: int

    def __add__(self, other: RequestCost) -> RequestCost:
        return RequestCost(
            self.requests + other.requests,
            self.cpu_seconds + other.cpu_seconds,
            self.latencies + other.latencies,
            self.aep_requests + other.aep_requests,
        )

    @property
    def cpu_us(self) -> float:
        """CPU of one request, in microseconds."""
        return self.cpu_seconds / self.requests * 1e6

    @property
    def aep_per_1000(self) -> float:
        """Requests to AEP for 1,000 requests to the function."""
        return self.aep_requests / self.requests * 1000

    def quantile_ms(self, share: float) -> float:
        """Returns the latency in milliseconds that this share of the requests did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1e3


class MeasuredFunction:
    """`async with MeasuredFunction(source, servers) as function` runs it on 127.0.0.1."""

    def __init__(self, source: Source, servers: Servers) -> None:
        """Takes the function, and the servers that stand in for Pub/Sub and AEP."""
        self.source = source
        self.port = free_port()
        self._servers = servers

    async def __aenter__(self) -> Self:
        # A file, because a pipe would have to be read by the process that generates the load.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed below)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "functions_framework", "--host=127.0.0.1"),
            *(f"--target={self.source.target}", f"--port={self.port}"),
            f"--source={self.source.file}",
            cwd=PROJECT,
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=self._log,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._tree = psutil.Process(self._process.pid)
        try:
            await self._listening()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await end_group(self._process)
        self._log.close()

    async def burst(self, requests: list[bytes], connections: int) -> RequestCost:
        """Sends the requests over so many connections and returns what they cost.

        Raises:
            LoadFailed: A request was not answered 2xx.
        """
        posted = (await self._servers.counts()).requests
        cpu = self.cpu_seconds()
        burst = await send(self.port, requests, connections)
        cpu = self.cpu_seconds() - cpu
        burst.raise_for_errors()
        posted = (await self._servers.counts()).requests - posted
        return RequestCost(len(requests), cpu, tuple(burst.latencies), posted)

    def cpu_seconds(self) -> float:
        """Returns user and system time of the server and its workers so far."""
        return sum(cpu_seconds_of(process) for process in self._processes())

    def memory_mb(self) -> float:
        """Returns their resident memory in MB; on Linux, shared memory is counted once."""
        return sum(_memory_bytes(process) for process in self._processes()) / 1e6

    def _processes(self) -> list[psutil.Process]:
        return [self._tree, *self._tree.children(recursive=True)]

    def _environment(self) -> Mapping[str, str]:
        return {
            **{name: os.environ[name] for name in _INHERITED if name in os.environ},
            **google_environment(self.source.target),
            "GOOGLE_CLOUD_PROJECT": "local",
            "PUBSUB_EMULATOR_HOST": self._servers.pubsub,
            "PENDO_WEBHOOK_SECRETS": SECRET,
            "AEP_ENDPOINT": self._servers.endpoint,
            "AEP_FLOW_ID": "benchmark",
            "DRAIN_SUBSCRIPTION": PULL,
        }

    async def _listening(self) -> None:
        until = time.perf_counter() + _START_SECONDS
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                if self._process.returncode is not None or time.perf_counter() > until:
                    self._log.seek(0)
                    said = self._log.read().decode("utf-8", "replace")
                    raise RuntimeError(f"{self.source.name} does not start:\n{said}") from None
                # The only way to learn that a port is open is to try it. The pause bounds the error
                # of a measured start.
                await asyncio.sleep(0.001)
            else:
                writer.close()
                await writer.wait_closed()
                return


async def alternate(
    functions: Sequence[MeasuredFunction],
    request: Callable[[], bytes],
    *,
    rounds: int,
    requests: int,
    connections: int,
) -> dict[Source, list[RequestCost]]:
    """Sends requests to each function in turn, several turns a round.

    Args:
        functions: to compare.
        request: makes one request.
        rounds: to measure; one more comes first, to warm the functions up.
        requests: to each function in a round.
        connections: at a time.

    Returns:
        What each function cost in each round, by its source.
    """
    costs: dict[Source, list[RequestCost]] = {function.source: [] for function in functions}
    for round_ in range(rounds + 1):
        spent: dict[Source, RequestCost] = {}
        for _ in range(_TURNS):
            for function in functions:
                count = max(requests // _TURNS // function.source.share, 1)
                cost = await function.burst([request() for _ in range(count)], connections)
                before = spent.get(function.source)
                spent[function.source] = cost if before is None else before + cost
        if round_:
            for source, cost in spent.items():
                costs[source].append(cost)
    return costs


def cpu_seconds_of(process: psutil.Process) -> float:
    """Returns user and system time of another process, to the nanosecond on Linux.

    psutil counts hundredths of a second, more than a hundred requests take. Linux has a clock for
    each process, whose number is made of the process's (clock_getcpuclockid(3)).
    """
    if psutil.LINUX:
        return time.clock_gettime((~process.pid << 3) | _WHOLE_PROCESS)
    times = process.cpu_times()
    return float(times.user + times.system)


def _memory_bytes(process: psutil.Process) -> int:
    memory = process.memory_full_info()
    return int(memory.pss if psutil.LINUX else memory.rss)
