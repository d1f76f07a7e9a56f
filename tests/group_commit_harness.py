"""A group commit on a test bench: time stands still, and calls end when the test says so.

No result depends on how fast a machine is.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal, TypeAlias

from pendo_aep.group_commit import GroupCommit, Limits

Waiting: TypeAlias = asyncio.Task[str]
CallEnd: TypeAlias = Literal["well", "fail", "short"]


class ManualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves only when a test moves it."""

    now = 1000.0

    def time(self) -> float:
        """The time of the test."""
        return self.now


class Call:
    """One call of `commit`, which ends as the test says."""

    def __init__(self, items: list[str], sizes: dict[str, int]) -> None:
        self.items = items
        self.bytes = sum(sizes[item] for item in items)
        loop = asyncio.get_running_loop()
        self.started = loop.time()
        self.answer: asyncio.Future[Sequence[str]] = loop.create_future()

    def end(self, how: CallEnd = "well") -> None:
        """Answers each item with a result of its own; or fails, or has too few results."""
        if self.answer.done():
            return
        if how == "fail":
            self.answer.set_exception(ConnectionError())
        else:
            self.answer.set_result([f"done {item}" for item in self.items if how == "well"])


class Harness:
    """A group commit on a commit that the test controls."""

    def __init__(
        self,
        *,
        items: int = 3,
        size: int = 100,
        calls: int = 1,
        linger: float = 0.0,
        patience: float = math.inf,
    ) -> None:
        self.limits = Limits(items, size, calls, linger)
        self.group: GroupCommit[str, str] = GroupCommit(
            self._commit, self.limits, timeout_seconds=patience
        )
        self.calls: list[Call] = []
        self.open: list[Call] = []
        self.most_open = 0
        self.sizes: dict[str, int] = {}

    async def _commit(self, items: list[str]) -> Sequence[str]:
        call = Call(items, self.sizes)
        self.calls.append(call)
        self.open.append(call)
        self.most_open = max(self.most_open, len(self.open))
        try:
            return await call.answer
        finally:
            self.open.remove(call)

    def submit(self, *names: str, size: int = 1) -> list[Waiting]:
        """Submits each item in a task of its own; all of them arrive in the next turn."""
        self.sizes |= dict.fromkeys(names, size)
        waiting = [asyncio.create_task(self.group.submit(name, size)) for name in names]
        for one in waiting:
            # Looked at, so that one that no test asks for is not logged when it is collected.
            one.add_done_callback(lambda done: done.cancelled() or done.exception())
        return waiting

    @property
    def sent(self) -> list[str]:
        """The items of each call, as one word."""
        return ["".join(call.items) for call in self.calls]


async def settle() -> None:
    """Lets the loop do all that is ready: more turns than anything here takes, and no time."""
    for _ in range(20):
        await asyncio.sleep(0)


async def advance(seconds: float) -> None:
    """Moves the clock, and lets the loop do what is due then."""
    await settle()  # what comes before the move happens before it
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ManualTimeLoop)
    loop.now += seconds
    await settle()


async def outcome(waiting: Waiting) -> str | BaseException:
    """What a caller got; that nobody is left waiting is asserted, not waited for."""
    await settle()
    assert waiting.done(), "this caller waits for ever"
    return (
        asyncio.CancelledError() if waiting.cancelled() else waiting.exception() or waiting.result()
    )


async def all_done(waiting: list[Waiting]) -> bool:
    """Did every caller get a result?"""
    return all([isinstance(await outcome(one), str) for one in waiting])


def scenario(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A test that runs on a loop whose time stands still."""

    def run() -> None:
        with asyncio.Runner(loop_factory=ManualTimeLoop) as runner:
            runner.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run
