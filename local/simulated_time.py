"""An event loop with a simulated clock: no test waits, and every pause takes as long as it says."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

Result = TypeVar("Result")


@dataclass(slots=True)
class ManualClock:
    """A clock that stands still until a test moves it; `now` in seconds."""

    now: float = 0.0

    def __call__(self) -> float:
        """Returns the time."""
        return self.now


class _SimulatedSelector(selectors.SelectSelector):
    """Advances the clock instead of waiting."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Returns what is ready now, as if the timeout had passed."""
        if timeout is None:
            raise RuntimeError("every task waits, and no timer is set: this would never end")
        self.now += max(timeout, 0.0)
        return super().select(0)


class SimulatedTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer when nothing else is left to do."""

    def __init__(self) -> None:
        self._clock = _SimulatedSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Returns the simulated time."""
        return self._clock.now


def run_simulated(main: Coroutine[Any, Any, Result]) -> Result:
    """Runs a coroutine in simulated time."""
    with asyncio.Runner(loop_factory=SimulatedTimeLoop) as runner:
        return runner.run(main)
