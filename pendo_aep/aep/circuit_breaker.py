"""Circuit breaker: while AEP keeps failing, one probe at a time finds out whether it is back.

Without it, every message that Pub/Sub redelivers would be a request to a failing service.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pendo_aep.logs import log

# Consecutive failures that count as an outage.
_FAILURES_IN_A_ROW: Final = 3
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0


class CircuitOpen(Exception):
    """No request may start in time; return its messages to Pub/Sub at once."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Permission for one request. Report its end: `succeeded`, `failed` or `release`."""

    epoch: int
    is_probe: bool


class CircuitBreaker:
    """Decides when the next request may start, from how earlier ones ended.

    Requests that were in flight together fail together: they count as one failure.
    """

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        """Takes a source of numbers from 0 to 1, so that instances do not probe in step."""
        self._jitter = jitter
        self._failures = 0
        self._epoch = 0
        self._resume_at = 0.0
        self._probe_in_flight = False

    @property
    def is_open(self) -> bool:
        """Whether AEP is known to keep failing."""
        return self._failures >= _FAILURES_IN_A_ROW

    @property
    def rejects_now(self) -> bool:
        """Whether `permit` would raise now; False when a probe is due."""
        is_early = asyncio.get_running_loop().time() < self._resume_at
        return self.is_open and (is_early or self._probe_in_flight)

    async def permit(self, until: float) -> Permit:
        """Waits until a request may start.

        Args:
            until: the latest moment of use, in the event loop's time.

        Raises:
            CircuitOpen: AEP keeps failing and no probe is due, or it asked for a longer pause.
        """
        loop = asyncio.get_running_loop()
        while (now := loop.time()) < self._resume_at:
            if self.is_open or self._resume_at > until:
                raise CircuitOpen
            await asyncio.sleep(self._resume_at - now)
        if self.is_open:
            if self._probe_in_flight:
                raise CircuitOpen
            self._probe_in_flight = True
        return Permit(self._epoch, self.is_open)

    def succeeded(self, permit: Permit, retry_after: float = 0.0) -> None:
        """Records that AEP answered; `retry_after` is the pause in seconds that it asks for."""
        self.release(permit)
        if self.is_open:
            log("WARNING", "brake off: AEP answers again")
        self._failures = 0
        if permit.epoch == self._epoch:  # else it may be older than the failure that set a pause
            self._resume_at = 0.0
        self._pause(retry_after)

    def failed(self, permit: Permit, retry_after: float = 0.0) -> None:
        """Records a failure; `retry_after` is the pause in seconds that AEP asks for."""
        self.release(permit)
        self._pause(retry_after)
        if permit.epoch != self._epoch:
            return
        self._epoch += 1
        self._failures += 1
        if self.is_open:
            doublings = min(self._failures - _FAILURES_IN_A_ROW, 10)
            pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**doublings)
            pause *= 0.5 + self._jitter() / 2
            self._pause(pause)
            log("ERROR", "brake on: AEP keeps failing", seconds=round(pause, 3))

    def release(self, permit: Permit) -> None:
        """Returns the permit of a request that says nothing about AEP's health."""
        if permit.is_probe:
            self._probe_in_flight = False

    def _pause(self, seconds: float) -> None:
        now = asyncio.get_running_loop().time()
        self._resume_at = max(self._resume_at, now + seconds)
