"""A clock that leaps: nobody waits for a pause, and each takes as long as it says."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _LeapingSelector(selectors.SelectSelector):
    """Where a loop would wait, the clock moves on instead."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now; with a timeout, that time has passed."""
        if timeout is None:
            raise RuntimeError("everybody waits, and for nothing that will come")
        self.now += max(timeout, 0.0)
        return super().select(0)


class LeapingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock leaps to the next timer as soon as nothing else is to do."""

    def __init__(self) -> None:
        self._clock = _LeapingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        """The time on this clock."""
        return self._clock.now


def at_once(main: Coroutine[Any, Any, Result]) -> Result:
    """Runs a coroutine on a leaping clock."""
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        return runner.run(main)
