"""Group commit: many callers who wait become one call that carries them all.

While as many calls are in flight as may be, what arrives gathers; whatever has gathered when one
of them ends goes as the next. So batches grow with the load by themselves, and a lone caller waits
for nobody. The same code makes Publish calls of webhooks and AEP requests of messages.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
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


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Item]):
    item: Item
    size: int
    due: float


class GroupCommit(Generic[Item, Result]):
    """Gathers what many tasks of one event loop submit into calls of `commit`.

    `commit` gets the items of one call in the order of their arrival and answers one result for
    each, in that order. What it raises goes to every caller of that call.
    """

    def __init__(
        self, commit: Callable[[list[Item]], Awaitable[Sequence[Result]]], limits: Limits
    ) -> None:
        self._commit = commit
        self._limits = limits
        # By the future that its caller waits for, in the order of arrival.
        self._waiting: OrderedDict[asyncio.Future[Result], _Entry[Item]] = OrderedDict()
        self._waiting_bytes = 0
        self._calls: set[asyncio.Task[Sequence[Result]]] = set()
        self._wake_up: asyncio.Handle | None = None

    async def submit(self, item: Item, size: int) -> Result:
        """Waits until the call that carried `item` has ended, and answers the item's own result.

        A caller that is cancelled while its item waits takes the item out again; once the call has
        started the item is on its way, and only the result is dropped.

        Args:
            item: what to send.
            size: its size in bytes as sent.

        Raises:
            Overloaded: too much is waiting already.
            Exception: whatever `commit` raised for the call that carried the item.
        """
        limits = self._limits
        if (
            len(self._waiting) >= limits.max_waiting_items
            or self._waiting_bytes >= limits.max_waiting_bytes
        ):
            raise Overloaded
        loop = asyncio.get_running_loop()
        due = loop.time() + limits.linger_seconds if limits.linger_seconds else 0.0
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting[future] = _Entry(item, size, due)
        self._waiting_bytes += size
        if len(self._calls) < limits.max_in_flight:
            if self._wake_up is None:
                # Not now but at the end of this turn of the loop: all that arrives in the same
                # turn goes in the same call.
                self._wake_up = loop.call_soon(self._start_calls)
            elif self._is_full():
                self._start_calls()
        try:
            return await future
        except asyncio.CancelledError:
            if entry := self._waiting.pop(future, None):
                self._waiting_bytes -= entry.size
            raise

    def _is_full(self) -> bool:
        return (
            len(self._waiting) >= self._limits.max_items
            or self._waiting_bytes >= self._limits.max_bytes
        )

    def _start_calls(self) -> None:
        """Starts every call that may start now; else makes sure of being woken when one may."""
        if self._wake_up is not None:
            self._wake_up.cancel()
            self._wake_up = None
        loop = asyncio.get_running_loop()
        while self._waiting and len(self._calls) < self._limits.max_in_flight:
            first = next(iter(self._waiting.values()))
            if first.due > loop.time() and not self._is_full():
                self._wake_up = loop.call_at(first.due, self._start_calls)
                return
            items, futures = self._take_batch()
            call = loop.create_task(self._call(items))
            self._calls.add(call)
            call.add_done_callback(partial(self._end_call, futures))

    def _take_batch(self) -> tuple[list[Item], list[asyncio.Future[Result]]]:
        items: list[Item] = []
        futures: list[asyncio.Future[Result]] = []
        size = 0
        while self._waiting and len(items) < self._limits.max_items:
            future, entry = next(iter(self._waiting.items()))
            if items and size + entry.size > self._limits.max_bytes:
                break
            del self._waiting[future]
            self._waiting_bytes -= entry.size
            size += entry.size
            items.append(entry.item)
            futures.append(future)
        return items, futures

    async def _call(self, items: list[Item]) -> Sequence[Result]:
        return await self._commit(items)

    def _end_call(
        self, futures: list[asyncio.Future[Result]], call: asyncio.Task[Sequence[Result]]
    ) -> None:
        self._calls.discard(call)
        failure = _failure(call, len(futures))
        for position, future in enumerate(futures):
            if future.done():  # its caller has given up
                continue
            if failure is None:
                future.set_result(call.result()[position])
            else:
                future.set_exception(failure)
        self._start_calls()


def _failure(call: asyncio.Task[Sequence[Result]], expected: int) -> BaseException | None:
    """Why the call has no result for each of its items; None when it has."""
    if call.cancelled():
        return RuntimeError("the call that carried this item was cancelled")
    if error := call.exception():
        return error
    if (answered := len(call.result())) != expected:
        return RuntimeError(f"commit answered {answered} results for {expected} items")
    return None
