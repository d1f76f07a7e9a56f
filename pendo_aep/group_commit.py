"""Group commit: many waiting callers share one call.

While the allowed number of calls is in flight, new items queue; when a call ends, the next takes
what has queued. So batches grow with the load, and a lone caller waits for nobody. The same code
batches webhooks into Publish calls and messages into AEP requests.
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
    """More is waiting than this instance should hold; the item was not taken."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one call may carry, and how many may be in flight.

    Attributes:
        max_items: items in one call.
        max_bytes: bytes in one call, by the sizes given to `submit`; a larger item goes alone.
        max_in_flight: calls at the same time.
        linger_seconds: how long the first item of a batch waits for others although a call could
            start. 0: not at all.
    """

    max_items: int
    max_bytes: int
    max_in_flight: int
    linger_seconds: float = 0.0

    @property
    def max_waiting_items(self) -> int:
        """Items that may wait: twice what can be in flight."""
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
    is_waiting: bool = True  # until a call takes it or its caller gives up


class GroupCommit(Generic[Item, Result]):
    """Batches what many tasks of one event loop submit into calls of `commit`.

    `commit` gets the items of one call in the order of their arrival and returns one result for
    each, in that order. What it raises goes to every caller of that call.
    """

    def __init__(
        self,
        commit: Callable[[list[Item]], Awaitable[Sequence[Result]]],
        limits: Limits,
        *,
        timeout_seconds: float = math.inf,
    ) -> None:
        """Takes the function to call, its limits, and how long a caller waits for its result."""
        self._commit = commit
        self._limits = limits
        self._timeout_seconds = timeout_seconds
        # In the order of arrival. Items whose callers have given up are skipped when their turn
        # comes, and are not counted.
        self._queue: deque[_Pending[Item, Result]] = deque()
        self._waiting_items = 0
        self._waiting_bytes = 0
        self._calls: dict[asyncio.Task[Sequence[Result]], list[_Pending[Item, Result]]] = {}
        self._wake_up: asyncio.Handle | None = None
        self._expiry: asyncio.Handle | None = None

    async def submit(self, item: Item, size: int) -> Result:
        """Waits until the call that carries `item` has ended, and returns the item's own result.

        If the caller is cancelled while the item waits, the item is removed. Once the call has
        started, the item is sent, and only its result is discarded.

        Args:
            item: what to send.
            size: its size in bytes as sent.

        Raises:
            Overloaded: too much is waiting.
            TimeoutError: there was no result in time; the item is treated as cancelled.
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
                # At the end of this turn of the event loop: what arrives in the same turn goes in
                # the same call.
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
        """Returns the longest waiting item whose caller has not given up."""
        queue = self._queue
        while queue and queue[0].result.done():
            queue.popleft()
        return queue[0] if queue else None

    def _start_calls(self) -> None:
        """Starts every call that may start now, or schedules the next check."""
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
        """Ends the wait of expired items; one timer for all, as all have the same timeout."""
        loop = asyncio.get_running_loop()
        self._expiry = None
        until = math.inf
        for entries in (*self._calls.values(), self._queue):
            for entry in entries:  # longest waiting first
                if entry.until > loop.time():
                    until = min(entry.until, until)
                    break
                if not entry.result.done():
                    entry.result.set_exception(TimeoutError())
        if until < math.inf:
            self._expiry = loop.call_at(until, self._expire)


def _failure(call: asyncio.Task[Sequence[Result]], expected: int) -> BaseException | None:
    """Returns why the call has no result for each item; None if it has."""
    if call.cancelled():
        return RuntimeError("the call that carried this item was cancelled")
    if error := call.exception():
        return error
    if (answered := len(call.result())) != expected:
        return RuntimeError(f"commit answered {answered} results for {expected} items")
    return None
