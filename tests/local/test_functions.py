"""Functions as processes: they start from a busy process, and one that does not says why."""

from __future__ import annotations

import subprocess
import sys

import pytest

from local.functions import PROJECT, Function, FunctionFailed

# In a process of its own, for uvloop forks otherwise than asyncio does.
_BUSY = """
import asyncio
from local.pipeline import administer
from local.pubsub import PubSubServer
import uvloop

async def publish(admin):
    message = {"data": b"{}"}
    topic = "projects/local/topics/pendo-events"
    while True:
        await admin.publisher.publish(topic=topic, messages=[message] * 50)

async def main():
    async with PubSubServer(history=0) as server, administer(server.host) as admin:
        await admin.create_topics()
        busy = [asyncio.create_task(publish(admin)) for _ in range(4)]
        for _ in range(150):
            child = await asyncio.create_subprocess_exec("true", start_new_session=True)
            print(await child.wait())
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)

uvloop.run(main())
"""


def test_children_survive_grpc() -> None:
    """A process whose gRPC is busy starts 150 others, and each of them gets to its program."""
    ended = subprocess.run(
        (sys.executable, "-c", _BUSY), cwd=PROJECT, capture_output=True, text=True, check=True
    )

    assert ended.stdout.split() == ["0"] * 150


async def test_one_that_does_not_start_says_why() -> None:
    """The error has the exit code and what it printed, also when somebody has emptied `output`."""
    function: Function
    function = Function("receive", {}, on_line=lambda *_: function.output.clear())

    with pytest.raises(FunctionFailed, match=r"(?s)receive ended at start, with \d.*PENDO_WEBHOOK"):
        async with function:
            pass
