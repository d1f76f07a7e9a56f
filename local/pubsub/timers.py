"""Waiting in the event loop: for a change instead of polling, and for many deadlines at once."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
_COMPACT_ABOVE = 1_000


class Signal:
    """Wakes everyone who waits now; unlike an event, it has no state to reset."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Wakes them. Several calls in one iteration of the loop wake each only once."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self) -> None:
        """Waits for the next `notify`."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    async def wait_for(self, condition: Callable[[], bool], within: float) -> None:
        """Waits until `condition()` holds; it is checked after each `notify`.

        Raises:
            TimeoutError: It did not hold within so many seconds.
        """
        async with asyncio.timeout(within):
            while not condition():
                await self.wait()


class Timetable(Generic[T]):
    """Calls `due(item)` at each item's time, with a single timer for all items.

    Items are not removed when they become obsolete: `live(when, item)` says at its time whether an
    item still counts. Most leases are acknowledged long before their deadline, so obsolete items
    are also removed whenever the heap has doubled.
    """

    def __init__(self, due: Callable[[T], None], live: Callable[[float, T], bool]) -> None:
        self._due = due
        self._live = live
        self._loop = asyncio.get_running_loop()
        self._heap: list[tuple[float, int, T]] = []
        self._order = itertools.count()
        self._timer: asyncio.Handle | None = None
        self._wakes_at = 0.0  # uvloop's handles do not know times in the past
        self._compact_above = _COMPACT_ABOVE

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[T]:
        return (item for _, _, item in self._heap)

    def add(self, when: float, item: T) -> None:
        """Schedules `item` for `when`, in the loop's time."""
        heapq.heappush(self._heap, (when, next(self._order), item))
        if len(self._heap) > self._compact_above:
            self._heap = [entry for entry in self._heap if self._live(entry[0], entry[2])]
            heapq.heapify(self._heap)
            self._compact_above = max(_COMPACT_ABOVE, 2 * len(self._heap))
        self._arm()

    def keep(self, wanted: Callable[[T], bool]) -> None:
        """Removes every item for which `wanted(item)` is false."""
        self._heap = [entry for entry in self._heap if wanted(entry[2])]
        heapq.heapify(self._heap)
        self._arm()

    def close(self) -> None:
        """Removes every item."""
        self._heap.clear()
        self._arm()

    def _arm(self) -> None:
        when = self._heap[0][0] if self._heap else None
        if self._timer is not None:
            if when is not None and self._wakes_at <= when:
                return  # at worst it wakes early and checks again
            self._timer.cancel()
            self._timer = None
        if when is not None:
            self._timer = self._loop.call_at(when, self._run)
            self._wakes_at = when

    def _run(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._heap and self._heap[0][0] <= now:
            when, _, item = heapq.heappop(self._heap)
            if self._live(when, item):
                self._due(item)
        self._arm()
