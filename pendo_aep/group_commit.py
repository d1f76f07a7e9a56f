"""Group commit: many callers who wait become one call that carries them all.

While as many calls are in flight as may be, what arrives gathers; whatever has gathered when one
of them ends goes as the next. So batches grow with the load by themselves, and a lone caller waits
for nobody. The same code makes Publish calls of webhooks and AEP requests of messages.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Overloaded(Exception):
    """More is waiting already than this instance should hold; nothing was taken in."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one call may carry, and how much may be under way at once.

    Attributes:
        max_items: items in one call.
        max_bytes: bytes in one call, as `submit` was told; one larger item still goes, alone.
        max_in_flight: calls at the same time.
        linger_seconds: how long the first of a batch may wait for others while a call could start
            at once. 0: not at all.
    """

    max_items: int
    max_bytes: int
    max_in_flight: int
    linger_seconds: float = 0.0

    @property
    def max_waiting_items(self) -> int:
        """Items that may wait: twice what can be in flight; more would only grow old here."""
        return 2 * self.max_in_flight * self.max_items

    @property
    def max_waiting_bytes(self) -> int:
        """The same for bytes."""
        return 2 * self.max_in_flight * self.max_bytes


@dataclass(slots=True, eq=False)
class _Pending(Generic[Item, Result]):
    item: Item
    size: int
    due: float
    until: float
    result: asyncio.Future[Result]
    is_waiting: bool = True  # counted as such, until a call takes it or its caller gives up


class GroupCommit(Generic[Item, Result]):
    """Gathers what many tasks of one event loop submit into calls of `commit`.

    `commit` gets the items of one call in the order of their arrival and answers one result for
    each, in that order. What it raises goes to every caller of that call.
    """

    def __init__(
        self,
        commit: Callable[[list[Item]], Awaitable[Sequence[Result]]],
        limits: Limits,
        *,
        timeout_seconds: float = math.inf,
    ) -> None:
        """Takes what carries a batch, its limits, and how long a caller waits for its result."""
        self._commit = commit
        self._limits = limits
        self._timeout_seconds = timeout_seconds
        # In the order of arrival; those whose callers have given up are passed over when their
        # turn comes, and are not counted.
        self._queue: deque[_Pending[Item, Result]] = deque()
        self._waiting_items = 0
        self._waiting_bytes = 0
        self._calls: dict[asyncio.Task[Sequence[Result]], list[_Pending[Item, Result]]] = {}
        self._wake_up: asyncio.Handle | None = None
        self._expiry: asyncio.Handle | None = None

    async def submit(self, item: Item, size: int) -> Result:
        """Waits until the call that carried `item` has ended, and answers the item's own result.

        A caller that is cancelled while its item waits takes the item out again; once the call has
        started the item is on its way, and only the result is dropped.

        Args:
            item: what to send.
            size: its size in bytes as sent.

        Raises:
            Overloaded: too much is waiting already.
            TimeoutError: there was no result in time; the item is treated as a cancelled one.
            Exception: whatever `commit` raised for the call that carried the item.
        """
        limits = self._limits
        if (
            self._waiting_items >= limits.max_waiting_items
            or self._waiting_bytes >= limits.max_waiting_bytes
        ):
            raise Overloaded
        loop = asyncio.get_running_loop()
        now = loop.time()
        until = now + self._timeout_seconds
        result: asyncio.Future[Result] = loop.create_future()
        entry = _Pending(item, size, now + limits.linger_seconds, until, result)
        self._queue.append(entry)
        self._waiting_items += 1
        self._waiting_bytes += size
        if len(self._calls) < limits.max_in_flight:
            if self._wake_up is None:
                # Not now but at the end of this turn of the loop: all that arrives in the same
                # turn goes in the same call.
                self._wake_up = loop.call_soon(self._start_calls)
            elif self._is_full():
                self._start_calls()
        if self._expiry is None and until < math.inf:
            self._expiry = loop.call_at(until, self._expire)
        try:
            return await result
        finally:
            if entry.is_waiting:
                self._leave_queue(entry)

    def _is_full(self) -> bool:
        return (
            self._waiting_items >= self._limits.max_items
            or self._waiting_bytes >= self._limits.max_bytes
        )

    def _leave_queue(self, entry: _Pending[Item, Result]) -> None:
        entry.is_waiting = False
        self._waiting_items -= 1
        self._waiting_bytes -= entry.size

    def _first(self) -> _Pending[Item, Result] | None:
        """The one that has waited longest and whose caller still does."""
        queue = self._queue
        while queue and queue[0].result.done():
            queue.popleft()
        return queue[0] if queue else None

    def _start_calls(self) -> None:
        """Starts every call that may start now; else makes sure of being woken when one may."""
        if self._wake_up is not None:
            self._wake_up.cancel()
            self._wake_up = None
        loop = asyncio.get_running_loop()
        while len(self._calls) < self._limits.max_in_flight and (first := self._first()):
            if first.due > loop.time() and not self._is_full():
                self._wake_up = loop.call_at(first.due, self._start_calls)
                return
            batch = self._take_batch()
            call = loop.create_task(self._call([entry.item for entry in batch]))
            self._calls[call] = batch
            call.add_done_callback(self._end_call)

    def _take_batch(self) -> list[_Pending[Item, Result]]:
        batch: list[_Pending[Item, Result]] = []
        size = 0
        while len(batch) < self._limits.max_items and (entry := self._first()):
            if batch and size + entry.size > self._limits.max_bytes:
                break
            self._queue.popleft()
            self._leave_queue(entry)
            size += entry.size
            batch.append(entry)
        return batch

    async def _call(self, items: list[Item]) -> Sequence[Result]:
        return await self._commit(items)

    def _end_call(self, call: asyncio.Task[Sequence[Result]]) -> None:
        batch = self._calls.pop(call)
        if failure := _failure(call, len(batch)):
            for entry in batch:
                if not entry.result.done():  # else its caller has given up
                    entry.result.set_exception(failure)
        else:
            for entry, result in zip(batch, call.result(), strict=True):
                if not entry.result.done():
                    entry.result.set_result(result)
        self._start_calls()

    def _expire(self) -> None:
        """Lets those go who have waited too long; one timer for all, as all are equally patient."""
        loop = asyncio.get_running_loop()
        self._expiry = None
        until = math.inf
        for entries in (*self._calls.values(), self._queue):
            for entry in entries:  # the longest waiting first
                if entry.until > loop.time():
                    until = min(entry.until, until)
                    break
                if not entry.result.done():
                    entry.result.set_exception(TimeoutError())
        if until < math.inf:
            self._expiry = loop.call_at(until, self._expire)


def _failure(call: asyncio.Task[Sequence[Result]], expected: int) -> BaseException | None:
    """Why the call has no result for each of its items; None when it has."""
    if call.cancelled():
        return RuntimeError("the call that carried this item was cancelled")
    if error := call.exception():
        return error
    if (answered := len(call.result())) != expected:
        return RuntimeError(f"commit answered {answered} results for {expected} items")
    return None
