"""Runs a function as a process under functions-framework, as it is deployed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import orjson

PROJECT = Path(__file__).resolve().parent.parent
_START_SECONDS = 30.0
_STOP_SECONDS = 5.0
_ERROR_LINES = 100
# Settings in the caller's environment must not reach the functions by accident.
_SETTINGS = (
    "AEP_",
    "PENDO_",
    "PUBSUB_",
    "BATCH_",
    "DELIVER_",
    "FUNCTION_",
    "DEAD_LETTER_",
    "REDACT",
)
_ONLY_HERE = "GRPC_ENABLE_FORK_SUPPORT"  # off in this process alone: a function's server does fork

Line = dict[str, Any]


def google_environment(target: str) -> dict[str, str]:
    """Returns the variables that Google sets on a function deployed with `gcloud functions deploy`.

    Google: "Cloud Run functions environment variables"; `LOG_EXECUTION_ID` as public outputs of
    `gcloud functions describe` show it, `CLOUD_RUN_TIMEOUT_SECONDS` with the default timeout.
    """
    return {
        "CLOUD_RUN_TIMEOUT_SECONDS": "60",
        "FUNCTION_SIGNATURE_TYPE": "http",
        "FUNCTION_TARGET": target,
        "K_CONFIGURATION": target,
        "K_REVISION": f"{target}-00001-abc",
        "K_SERVICE": target,
        "LOG_EXECUTION_ID": "true",
    }


class FunctionFailed(Exception):
    """The function exited before it listened; the text is what it printed."""


class Function:
    """A function in a process: `async with Function("receive", {...}) as f` serves it at `f.url`.

    Attributes:
        url: its address on 127.0.0.1.
        output: every line it printed.
    """

    def __init__(
        self,
        target: str,
        settings: Mapping[str, str],
        *,
        port: int = 0,
        on_line: Callable[[str, Line], None] | None = None,
    ) -> None:
        """Takes the entry point, its settings, its port (0: any free one) and a log listener."""
        self.target = target
        self.url = ""
        self.output: list[str] = []
        # What it printed since it started, for the error; callers may clear `output` meanwhile.
        self._last: deque[str] = deque(maxlen=_ERROR_LINES)
        self.port = port
        self._settings = settings
        self._on_line = on_line
        self._printed = asyncio.Event()

    @property
    def lines(self) -> list[Line]:
        """Returns its log lines, parsed, without those that are not JSON."""
        return [line for text in self.output if (line := _read(text))]

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def restart(self) -> None:
        """Stops it as a new deployment would, and starts it again on the same port.

        Raises:
            FunctionFailed: it did not start.
        """
        await self._end()
        await self._start()

    async def _start(self) -> None:
        self.port = self.port or free_port()
        self._last.clear()
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_SETTINGS)}
        inherited.pop(_ONLY_HERE, None)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "functions_framework",
            f"--target={self.target}",
            "--host=127.0.0.1",
            f"--port={self.port}",
            cwd=PROJECT,
            env={
                **inherited,
                **google_environment(self.target),
                "GOOGLE_CLOUD_PROJECT": "local",
                **self._settings,
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Its own process group: Ctrl-C must not reach it, and the whole group must end with it.
            start_new_session=True,
            limit=2**20,
        )
        self._reader = asyncio.create_task(self._read_output())
        try:
            await self._listening(self.port)
        except BaseException:
            await self._end()
            raise
        self.url = f"http://127.0.0.1:{self.port}"

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def next_line(self) -> None:
        """Waits for its next line. Await it directly: a task would start too late."""
        self._printed.clear()
        await self._printed.wait()

    def kill(self) -> None:
        """Kills the function (SIGKILL), as a crash would."""
        signal_group(self._process, signal.SIGKILL)

    def freeze(self) -> None:
        """Stops the server and its worker, as Cloud Run takes the CPU away between requests."""
        signal_group(self._process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Resumes the server and its worker."""
        signal_group(self._process, signal.SIGCONT)

    async def _listening(self, port: int) -> None:
        async with asyncio.timeout(_START_SECONDS):
            while True:
                if self._process.returncode is not None:
                    await self._reader
                    code = self._process.returncode
                    printed = "\n".join(self._last)
                    raise FunctionFailed(f"{self.target} ended at start, with {code}:\n{printed}")
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    await writer.wait_closed()
                    return
                # Only a connection shows that the port is open; no deadline depends on this pause.
                await asyncio.sleep(0.02)

    @property
    def text(self) -> str:
        """Returns everything it printed."""
        return "\n".join(self.output)

    async def _read_output(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 (it is a pipe)
        async for raw in self._process.stdout:
            text = raw.decode("utf-8", "replace").rstrip("\n")
            self.output.append(text)
            self._last.append(text)
            self._printed.set()
            if self._on_line:
                self._on_line(self.target, _read(text) or {"severity": "ERROR", "message": text})

    async def _end(self) -> None:
        await end_group(self._process)
        await self._reader


def _read(text: str) -> Line | None:
    try:
        line = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return line if isinstance(line, dict) else None


def free_port() -> int:
    """Returns a port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signals a process that was started in its own session, with all its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


async def end_group(process: asyncio.subprocess.Process) -> None:
    """Terminates such a process, and kills it after five seconds."""
    signal_group(process, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    # Even if it has exited: a group outlives its leader if a worker hangs.
    signal_group(process, signal.SIGKILL)
    await process.wait()
