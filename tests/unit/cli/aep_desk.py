"""The command `aep` as people run it, on a platform of a test's own."""

from __future__ import annotations

import asyncio
import os
import pty
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from local.functions import PROJECT, end_group
from tests.unit.cli.desk import Ran
from tests.unit.provisioning.harness import Harness

_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where `python -m pendo_aep aep` is typed.

    Attributes:
        desk: the platform.
        folder: where it is typed.
    """

    desk: Harness
    folder: Path

    @asynccontextmanager
    async def start(
        self,
        *arguments: str,
        stdin: int = asyncio.subprocess.PIPE,
        settings: Mapping[str, str] | None = None,
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """The command, in a group of its own."""
        # Settings of whoever runs the tests must not reach it.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("AEP_")}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pendo_aep", "aep", *arguments),
            cwd=PROJECT,
            env=inherited | self.desk.environ | dict(settings or {}),
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            await end_group(process)

    async def run_typing(self, types: str, *arguments: str) -> Ran:
        """The same, where standard input is a terminal on which somebody types."""
        keyboard, terminal = pty.openpty()
        try:
            os.write(keyboard, types.encode())
            async with self.start(*arguments, stdin=terminal) as process:
                out, err = await asyncio.wait_for(process.communicate(), _SECONDS)
        finally:
            os.close(keyboard)
            os.close(terminal)
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())

    async def run(self, *arguments: str, types: str = "", **settings: str) -> Ran:
        """The same, to its end; `types` is what the person answers."""
        async with self.start(*arguments, settings=settings) as process:
            out, err = await asyncio.wait_for(process.communicate(types.encode()), _SECONDS)
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())
