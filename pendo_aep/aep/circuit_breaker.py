"""The brake: while AEP keeps failing, one request at a time asks whether it is back.

Without it, every message that Pub/Sub pushes again would be a request to a service in trouble.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pendo_aep.logs import log

# Failures in a row that are an outage and no accident any more.
_FAILURES_IN_A_ROW: Final = 3
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0


class CircuitOpen(Exception):
    """No request may start in time; its messages go back to Pub/Sub at once."""


@dataclass(frozen=True, slots=True)
class Permit:
    """The permission for one request; the brake wants to know how it ended."""

    epoch: int
    is_probe: bool


class CircuitBreaker:
    """Says when the next request may start, and learns from how each one ends.

    Requests that were under way together fail together: they count as one failure.
    """

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        """Takes what answers a number from 0 to 1: not all instances ask at the same moment."""
        self._jitter = jitter
        self._failures = 0
        self._epoch = 0
        self._resume_at = 0.0
        self._probe_is_out = False

    @property
    def is_open(self) -> bool:
        """Is there an outage, as far as is known?"""
        return self._failures >= _FAILURES_IN_A_ROW

    @property
    def rejects_now(self) -> bool:
        """Would a request be refused now? Not when a probe is due."""
        is_early = asyncio.get_running_loop().time() < self._resume_at
        return self.is_open and (is_early or self._probe_is_out)

    async def permit(self, until: float) -> Permit:
        """Waits until a request may start.

        Args:
            until: the latest moment of use, in the event loop's time.

        Raises:
            CircuitOpen: there is an outage, and no probe is due; or AEP asked for a longer pause.
        """
        loop = asyncio.get_running_loop()
        while (now := loop.time()) < self._resume_at:
            if self.is_open or self._resume_at > until:
                raise CircuitOpen
            await asyncio.sleep(self._resume_at - now)
        if self.is_open:
            if self._probe_is_out:
                raise CircuitOpen
            self._probe_is_out = True
        return Permit(self._epoch, self.is_open)

    def succeeded(self, permit: Permit, retry_after: float = 0.0) -> None:
        """AEP answered as it should; `retry_after` is a pause in seconds that it asks for."""
        self._hand_back(permit)
        if self.is_open:
            log("WARNING", "brake off: AEP answers again")
        self._failures = 0
        if permit.epoch == self._epoch:  # else it may be older than what asked for a pause
            self._resume_at = 0.0
        self._wait(retry_after)

    def failed(self, permit: Permit, retry_after: float = 0.0) -> None:
        """AEP did not; `retry_after` is the pause in seconds that it asked for."""
        self._hand_back(permit)
        self._wait(retry_after)
        if permit.epoch != self._epoch:
            return
        self._epoch += 1
        self._failures += 1
        if self.is_open:
            doublings = min(self._failures - _FAILURES_IN_A_ROW, 10)
            pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**doublings)
            pause *= 0.5 + self._jitter() / 2
            self._wait(pause)
            log("ERROR", "brake on: AEP keeps failing", seconds=round(pause, 3))

    def release(self, permit: Permit) -> None:
        """The request said nothing of AEP's health, or never ended."""
        self._hand_back(permit)

    def _wait(self, seconds: float) -> None:
        now = asyncio.get_running_loop().time()
        self._resume_at = max(self._resume_at, now + seconds)

    def _hand_back(self, permit: Permit) -> None:
        if permit.is_probe:
            self._probe_is_out = False
