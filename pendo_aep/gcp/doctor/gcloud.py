"""gcloud, as a person would run it: their login, their configuration, their endpoint overrides."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import Iterable
from typing import Final, Protocol

from pendo_aep.gcp.doctor.gcloud_failure import as_typed, read_failure
from pendo_aep.gcp.doctor.look import Command, Look, Seen, Unseen

# A call takes about a second; one that Google's side fails is tried for half a minute by gcloud.
_SECONDS: Final = 60.0
# Each is a Python of its own that starts: more at a time only wait for the CPU.
_AT_A_TIME: Final = 4


class GcloudMissing(Exception):
    """The program is not installed here."""


class Gcloud(Protocol):
    """Looks at things in one project."""

    async def look(self, command: Command) -> Look:
        """What a command that changes nothing says."""
        ...


class GcloudProgram:
    """The program `gcloud`, bounded in time and in how many run at once."""

    def __init__(self, project: str, *, seconds: float = _SECONDS) -> None:
        """Takes the project, and how long one call may take.

        Raises:
            GcloudMissing: it is not on the PATH.
        """
        program = shutil.which("gcloud")
        if program is None:
            raise GcloudMissing
        self._program = program
        self._project = project
        self._seconds = seconds
        self._turns = asyncio.Semaphore(_AT_A_TIME)

    async def look(self, command: Command) -> Look:
        """What gcloud says in JSON, or why it does not."""
        async with self._turns:
            try:
                async with asyncio.timeout(self._seconds):
                    code, out, err = await self._run(command)
            except TimeoutError:
                why = f"gcloud did not answer within {self._seconds:.0f} s"
                return Unseen(why, as_typed(command, self._project))
        if code != 0:
            return read_failure(err.decode("utf-8", "replace"), command, self._project)
        try:
            return Seen(json.loads(out))
        except ValueError:
            return Unseen("gcloud did not answer in JSON", as_typed(command, self._project))

    async def _run(self, command: Command) -> tuple[int | None, bytes, bytes]:
        process = await asyncio.create_subprocess_exec(
            self._program,
            *command,
            f"--project={self._project}",
            "--format=json",
            "--quiet",
            # A look must not offer to enable an API.
            env={**os.environ, "CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API": "false"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # gcloud is a script that starts another program
        )
        try:
            out, err = await process.communicate()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return process.returncode, out, err


async def look_at(gcloud: Gcloud, commands: Iterable[Command]) -> dict[Command, Look]:
    """All of them, at the same time."""
    wanted = list(dict.fromkeys(commands))
    return dict(zip(wanted, await asyncio.gather(*map(gcloud.look, wanted)), strict=True))
