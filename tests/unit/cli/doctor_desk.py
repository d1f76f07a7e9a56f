"""The doctor as people run it: a process of its own, to its end or until it is stopped."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from local.functions import PROJECT, end_group
from tests.unit.cli.desk import Ran

# Settings of whoever runs the tests must not reach the command.
_OURS = ("PENDO_", "PUBSUB_", "GOOGLE_", "CLOUDSDK_")


@asynccontextmanager
async def start_doctor(
    *arguments: str, **settings: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m pendo_aep doctor` with these arguments, in a group of its own."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pendo_aep", "doctor", *arguments),
        cwd=PROJECT,
        env=inherited | settings,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        await end_group(process)
        await process.communicate()


async def run_doctor(*arguments: str, **settings: str) -> Ran:
    """The same, to its end."""
    async with start_doctor(*arguments, **settings) as process:
        out, err = await asyncio.wait_for(process.communicate(), 180)
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())
