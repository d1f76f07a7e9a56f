"""Many deadlines on one timer."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
_COMPACT_ABOVE = 1_000


class Timetable(Generic[T]):
    """Calls `due(item)` when an item's time has come, with a single timer for all of them.

    Nothing is removed when it stops mattering: `live(when, item)` says at its time whether it
    still does. Most leases are acknowledged long before their deadline, so what is dead is also
    swept out whenever the heap has doubled.
    """

    def __init__(self, due: Callable[[T], None], live: Callable[[float, T], bool]) -> None:
        self._due = due
        self._live = live
        self._loop = asyncio.get_running_loop()
        self._heap: list[tuple[float, int, T]] = []
        self._order = itertools.count()
        self._timer: asyncio.Handle | None = None
        self._wakes_at = 0.0  # uvloop's handle of a time that has passed does not know it
        self._compact_above = _COMPACT_ABOVE

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[T]:
        return (item for _, _, item in self._heap)

    def add(self, when: float, item: T) -> None:
        """Have `item` due at `when`, in the loop's time."""
        heapq.heappush(self._heap, (when, next(self._order), item))
        if len(self._heap) > self._compact_above:
            self._heap = [entry for entry in self._heap if self._live(entry[0], entry[2])]
            heapq.heapify(self._heap)
            self._compact_above = max(_COMPACT_ABOVE, 2 * len(self._heap))
        self._arm()

    def close(self) -> None:
        """Forget everything."""
        self._heap.clear()
        self._arm()

    def _arm(self) -> None:
        when = self._heap[0][0] if self._heap else None
        if self._timer is not None:
            if when is not None and self._wakes_at <= when:
                return  # it wakes early at worst, and looks again
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
