"""Functions as processes, as they are deployed, with what the operating system says of them."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from benchmarks import events
from benchmarks.cost import Cost
from benchmarks.cpu import cpu_seconds_of
from benchmarks.load import send
from benchmarks.servers import PULL, Servers
from local.functions import PROJECT, end_group, free_port, google_environment

_BASELINES = Path(__file__).with_name("baselines")
_START_SECONDS = 30.0
# What is set in the terminal must not reach a function by accident, not even a Python switch:
# Google's buildpack compiles a function's files, so ours are not kept from being compiled either.
_INHERITED = ("HOME", "LANG", "PATH", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Source:
    """A function to measure.

    Attributes:
        name: as the tables have it.
        target: its entry point.
        file: that the entry point is in.
        share: it gets one in so many of the requests, for it takes that much longer.
    """

    name: str
    target: str
    file: Path = PROJECT / "main.py"
    share: int = 1


RECEIVE = Source("receive", "receive")
DELIVER = Source("deliver", "deliver")
DRAIN = Source("drain", "drain")
# A no-op answers what the function answers that it is compared with: work is compared, not writing.
NOOP_RECEIVE = Source("no-op receive", "accepted", _BASELINES / "noop.py")
NOOP_DELIVER = Source("no-op deliver", "no_content", _BASELINES / "noop.py")
QUICKSTART_RECEIVE = Source("quickstart receive", "receive", _BASELINES / "quickstart.py", share=5)
QUICKSTART_DELIVER = Source("quickstart deliver", "deliver", _BASELINES / "quickstart.py", share=5)


class Measured:
    """`async with Measured(source, servers) as function`: it runs meanwhile, on 127.0.0.1."""

    def __init__(self, source: Source, servers: Servers) -> None:
        """Takes the function, and the Pub/Sub and the AEP that it is to talk to."""
        self.source = source
        self.port = free_port()
        self._servers = servers

    async def __aenter__(self) -> Self:
        # A file, for a pipe would have to be read, and by the process that makes the load.
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

    async def burst(self, requests: list[bytes], connections: int) -> Cost:
        """What so many requests cost, on so many connections.

        Raises:
            LoadFailed: not every request was answered 2xx.
        """
        posted = (await self._servers.counts()).requests
        cpu = self.cpu_seconds()
        burst = await send(self.port, requests, connections)
        cpu = self.cpu_seconds() - cpu
        burst.raise_for_errors()
        posted = (await self._servers.counts()).requests - posted
        return Cost(len(requests), cpu, tuple(burst.latencies), posted)

    def cpu_seconds(self) -> float:
        """User and system time of the server's master and its workers so far."""
        return sum(cpu_seconds_of(process) for process in self._processes())

    def memory_mb(self) -> float:
        """Resident memory of the same, in MB; on Linux, what they share is counted once."""
        return sum(_memory_bytes(process) for process in self._processes()) / 1e6

    def _processes(self) -> list[psutil.Process]:
        return [self._tree, *self._tree.children(recursive=True)]

    def _environment(self) -> Mapping[str, str]:
        return {
            **{name: os.environ[name] for name in _INHERITED if name in os.environ},
            **google_environment(self.source.target),
            "GOOGLE_CLOUD_PROJECT": "local",
            "PUBSUB_EMULATOR_HOST": self._servers.pubsub,
            "PENDO_WEBHOOK_SECRETS": events.SECRET,
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
                # Nothing tells that a port is open but trying it; this bounds a start's error.
                await asyncio.sleep(0.001)
            else:
                writer.close()
                await writer.wait_closed()
                return


def _memory_bytes(process: psutil.Process) -> int:
    memory = process.memory_full_info()
    return int(memory.pss if psutil.LINUX else memory.rss)
