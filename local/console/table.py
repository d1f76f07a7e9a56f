"""Bounded tables, and what has changed in them since somebody looked last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Row = TypeVar("Row")


class Watch:
    """What one onlooker has not seen yet; whoever looks takes it away.

    However long nobody looks, it holds no more keys than the table has rows, twice.

    Attributes:
        changed: keys of rows that are new or not what they were.
        gone: keys of rows that were seen, and are no longer there.
        seen: keys of rows that were taken and not said to be gone.
    """

    __slots__ = ("changed", "gone", "seen")

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self.gone: set[str] = set()
        self.seen: set[str] = set()


class Table(Generic[Row]):
    """Rows by key, the newest last; beyond its capacity the oldest leave."""

    def __init__(self, capacity: int, on_change: Callable[[], None]) -> None:
        """Takes how many rows it keeps, and whom to tell that something changed."""
        self._capacity = capacity
        self._on_change = on_change
        self._rows: dict[str, Row] = {}
        self._watches: list[Watch] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def get(self, key: str) -> Row | None:
        """The row of a key, if it is still there."""
        return self._rows.get(key)

    def put(self, key: str, row: Row) -> None:
        """Makes it the newest row."""
        self._rows.pop(key, None)
        self._rows[key] = row
        self.touch(key)
        while len(self._rows) > self._capacity:
            self.drop(next(iter(self._rows)))

    def touch(self, key: str) -> None:
        """Says that its row is not what it was."""
        for watch in self._watches:
            watch.changed.add(key)
            watch.gone.discard(key)
        self._on_change()

    def drop(self, key: str) -> None:
        """Removes a row, if it is there."""
        if self._rows.pop(key, None) is None:
            return
        for watch in self._watches:
            watch.changed.discard(key)
            if key in watch.seen:  # of what came and went meanwhile, nobody need hear
                watch.gone.add(key)
        self._on_change()

    def watch(self) -> Watch:
        """Follows the table from here on; every row that is there counts as new."""
        watch = Watch()
        watch.changed.update(self._rows)
        self._watches.append(watch)
        return watch

    def unwatch(self, watch: Watch) -> None:
        """Ends that."""
        self._watches.remove(watch)

    def take(self, watch: Watch) -> tuple[list[Row], list[str]]:
        """The rows that changed, in no order, and the keys of those that are gone."""
        changed = [self._rows[key] for key in watch.changed]
        gone = list(watch.gone)
        watch.seen |= watch.changed
        watch.seen -= watch.gone
        watch.changed.clear()
        watch.gone.clear()
        return changed, gone
