"""A group commit under test: its calls end when and how the test says."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

from pendo_aep.group_commit import GroupCommit, Limits
from tests.simulated_time import settle

Waiting: TypeAlias = asyncio.Task[str]
CallEnd: TypeAlias = Literal["success", "failure", "short"]


class Call:
    """One call of `commit`, which ends when the test says."""

    def __init__(self, items: list[str], sizes: dict[str, int]) -> None:
        self.items = items
        self.bytes = sum(sizes[item] for item in items)
        loop = asyncio.get_running_loop()
        self.started = loop.time()
        self.answer: asyncio.Future[Sequence[str]] = loop.create_future()

    def end(self, how: CallEnd = "success") -> None:
        """Returns a result for each item; or fails, or returns too few results."""
        if self.answer.done():
            return
        if how == "failure":
            self.answer.set_exception(ConnectionError())
        else:
            self.answer.set_result([f"done {item}" for item in self.items if how == "success"])


class Harness:
    """A group commit whose calls the test controls."""

    def __init__(
        self,
        *,
        items: int = 3,
        size: int = 100,
        calls: int = 1,
        linger: float = 0.0,
        timeout: float = math.inf,
    ) -> None:
        self.limits = Limits(items, size, calls, linger)
        self.group: GroupCommit[str, str] = GroupCommit(
            self._commit, self.limits, timeout_seconds=timeout
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
        """Submits each item in a task of its own; all arrive in the next turn of the loop."""
        self.sizes |= dict.fromkeys(names, size)
        waiting = [asyncio.create_task(self.group.submit(name, size)) for name in names]
        for one in waiting:
            # Retrieved, so that an exception that no test looks at is not logged.
            one.add_done_callback(lambda done: done.cancelled() or done.exception())
        return waiting

    @property
    def sent(self) -> list[str]:
        """The items of each call, joined to one word."""
        return ["".join(call.items) for call in self.calls]


async def outcome(waiting: Waiting) -> str | BaseException:
    """Returns what a caller got, which must be there once the loop is idle."""
    await settle()
    assert waiting.done(), "this caller waits forever"
    return (
        asyncio.CancelledError() if waiting.cancelled() else waiting.exception() or waiting.result()
    )


async def all_done(waiting: list[Waiting]) -> bool:
    """Returns whether every caller got a result."""
    return all([isinstance(await outcome(one), str) for one in waiting])
