"""Event loops for tests whose time is simulated: no result depends on how fast a machine is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

from local.simulated_time import run_simulated

Parameters = ParamSpec("Parameters")


def simulated(
    test: Callable[Parameters, Coroutine[Any, Any, None]],
) -> Callable[Parameters, None]:
    """Runs an async test in time that jumps to the next timer as soon as the loop is idle."""

    @wraps(test)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        run_simulated(test(*args, **kwargs))

    return run


class ManualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves only when a test advances it."""

    now = 1000.0

    def time(self) -> float:
        """Returns the time of the test."""
        return self.now


def in_manual_time(
    test: Callable[Parameters, Coroutine[Any, Any, None]],
) -> Callable[Parameters, None]:
    """Runs an async test in time that moves only by `advance`."""

    @wraps(test)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        with asyncio.Runner(loop_factory=ManualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


async def settle() -> None:
    """Lets the loop do all that is ready, in more turns than any test needs and no time."""
    for _ in range(20):
        await asyncio.sleep(0)


async def advance(seconds: float) -> None:
    """Moves the clock, and lets the loop do what is due then."""
    await settle()  # what comes before the move happens before it
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ManualTimeLoop)
    loop.now += seconds
    await settle()


def now() -> float:
    """Returns the time of the running loop."""
    return asyncio.get_running_loop().time()
