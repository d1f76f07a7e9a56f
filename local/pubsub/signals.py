"""Waiting for a change instead of polling for it."""

import asyncio
from collections.abc import Callable


class Signal:
    """Wakes everyone who waits now; unlike an event it has no state to set back."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Wake them. Many calls in one turn of the loop wake each only once."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self) -> None:
        """Return after the next `notify`."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    async def wait_for(self, condition: Callable[[], bool], within: float) -> None:
        """Return once `condition()` holds; it is looked at again after each `notify`.

        Raises:
            TimeoutError: It did not hold within that many seconds.
        """
        async with asyncio.timeout(within):
            while not condition():
                await self.wait()
