"""Child processes: a free port for each, and none left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket

_STOP_SECONDS = 5.0


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signals a process started in a session of its own, and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


async def end_group(process: asyncio.subprocess.Process) -> None:
    """Ends such a process: asked first, and after five seconds not asked any more."""
    signal_group(process, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    # Also when it went by itself: a group outlives its leader if a worker hangs.
    signal_group(process, signal.SIGKILL)
    await process.wait()
