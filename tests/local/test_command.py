"""`python -m local` as a user runs it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from local.functions import PROJECT
from local.process import end_group
from local.samples import load_samples


@asynccontextmanager
async def command(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m local` with these arguments, in a process group of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local", *arguments),
        cwd=PROJECT,
        env={**os.environ, "COLUMNS": "160", "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        await end_group(process)
        await process.communicate()


def children(pid: int) -> set[int]:
    """The processes that a process has started, and those that they have."""
    tasks = Path(f"/proc/{pid}/task/{pid}/children")
    direct = {int(child) for child in tasks.read_text().split()} if tasks.exists() else set()
    return direct.union(*(children(child) for child in direct)) if direct else direct


def everything() -> set[int]:
    """Every process there is."""
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}


@pytest.mark.parametrize("form", ["raw", "xdm"])
async def test_once_sends_every_sample_and_ends(form: str) -> None:
    """--once prints a row for each sample, all as expected, and exits 0."""
    async with command("--once", "--format", form) as process:
        output = (await process.communicate())[0].decode()

    assert process.returncode == 0, output
    count = len(load_samples())
    assert f"{count} of {count} samples ended as expected" in output
    for sample in load_samples():
        assert sample.name in output


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_leaves_no_process_behind(number: signal.Signals) -> None:
    """It stays until Ctrl-C (or SIGTERM), ends with 0, and so do both functions."""
    async with command() as process:
        assert process.stdout is not None
        async for line in process.stdout:
            if b"Ctrl-C ends everything" in line:
                break
        started = children(process.pid)
        assert len(started) >= 4  # two functions, each a server and its worker

        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 15) == 0

    assert not started & everything()
