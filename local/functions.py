"""One of our functions as a process of its own, under functions-framework, as it is deployed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import orjson

from local.process import end_group, free_port, signal_group

PROJECT = Path(__file__).resolve().parent.parent
_START_SECONDS = 30.0
_LINES_SAID = 100
# What is set in the terminal must not reach the functions by accident: they get what they are told.
_OURS = ("AEP_", "PENDO_", "PUBSUB_", "BATCH_", "DELIVER_", "FUNCTION_", "DEAD_LETTER_", "REDACT")
_OF_THIS_PROCESS = "GRPC_ENABLE_FORK_SUPPORT"  # off for us alone: a function's server does fork

Line = dict[str, Any]


def google_environment(target: str) -> dict[str, str]:
    """The variables that Google sets on a function made with `gcloud functions deploy`.

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
    """The function ended before it listened; the text is what it printed."""


class Function:
    """`async with Function("receive", {...}) as f`: the function answers at `f.url` meanwhile.

    Attributes:
        url: where it listens, on 127.0.0.1.
        output: every line it printed, as printed.
    """

    def __init__(
        self,
        target: str,
        settings: Mapping[str, str],
        *,
        port: int = 0,
        on_line: Callable[[str, Line], None] | None = None,
    ) -> None:
        """Takes the entry point's name, its settings, and who wants to see its log lines.

        `port` 0 is a free one; another is where its predecessor listened.
        """
        self.target = target
        self.url = ""
        self.output: list[str] = []
        # What it said since its start, for the error; others may empty `output` meanwhile.
        self._last: deque[str] = deque(maxlen=_LINES_SAID)
        self.port = port
        self._settings = settings
        self._on_line = on_line
        self._printed = asyncio.Event()

    @property
    def lines(self) -> list[Line]:
        """Its log lines, read; a line that is not JSON is none."""
        return [line for text in self.output if (line := _read(text))]

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def restart(self) -> None:
        """Ends it as a new deployment would, and starts it again where it listened.

        Raises:
            FunctionFailed: it did not start again.
        """
        await self._end()
        await self._start()

    async def _start(self) -> None:
        self.port = self.port or free_port()
        self._last.clear()
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        inherited.pop(_OF_THIS_PROCESS, None)
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
            # A group of its own: Ctrl-C is ours to handle, and the whole group is ours to end.
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
        """Waits until it prints something more; to be awaited itself, not wrapped in a task."""
        self._printed.clear()
        await self._printed.wait()

    def kill(self) -> None:
        """Ends the function on the spot (SIGKILL), as a crash would."""
        signal_group(self._process, signal.SIGKILL)

    def freeze(self) -> None:
        """Takes the CPU away from the server and its worker, as Cloud Run does between requests."""
        signal_group(self._process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Gives the CPU back."""
        signal_group(self._process, signal.SIGCONT)

    async def _listening(self, port: int) -> None:
        async with asyncio.timeout(_START_SECONDS):
            while True:
                if self._process.returncode is not None:
                    await self._reader
                    code = self._process.returncode
                    said = "\n".join(self._last)
                    raise FunctionFailed(f"{self.target} ended at start, with {code}:\n{said}")
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    await writer.wait_closed()
                    return
                # Nothing tells that a port is open but trying it; how often is no one's deadline.
                await asyncio.sleep(0.02)

    @property
    def text(self) -> str:
        """All that it printed."""
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
