"""Notices that AEP refuses everything, which is a wrong setting and no fault of the events.

Without it, one wrong setting turns every event into a dead letter.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Final

from pendo_aep.logs import log
from pendo_aep.outcome import CONFIGURATION, DELIVERED, Outcome, Refused, Retry

# Refusals in a row that no bad event explains any more.
_REFUSALS_IN_A_ROW: Final = 20
# A burst of bad events ends sooner than this: with nothing accepted for so long it is a setting.
_SECONDS_WITHOUT_ACCEPTANCE: Final = 60.0
# As long as one request may take, so that two probes never overlap.
_SECONDS_BETWEEN_PROBES: Final = 10.0


class ConfigurationGuard:
    """Closes after 20 refusals in a row with nothing accepted for a minute.

    While it is closed, one request with one message asks every ten seconds; all other messages go
    back to Pub/Sub. The first message that AEP accepts opens it.
    """

    def __init__(self) -> None:
        """Starts open, as if nothing had ever been accepted."""
        self._refusals = 0
        self._speaks_of_a_setting = False
        self._accepted_at = -math.inf
        self._next_probe_at = 0.0

    @property
    def is_closed(self) -> bool:
        """Does AEP refuse everything, as far as is known?"""
        return self._refusals >= _REFUSALS_IN_A_ROW and (
            self._speaks_of_a_setting or _now() - self._accepted_at >= _SECONDS_WITHOUT_ACCEPTANCE
        )

    @property
    def rejects_now(self) -> bool:
        """Would every request be turned back now? Not when a probe is due."""
        return self.is_closed and _now() < self._next_probe_at

    def admits(self, count: int) -> bool:
        """May a request with so many messages be sent? A probe that may is taken as sent."""
        if not self.is_closed:
            return True
        if count > 1 or self.rejects_now:
            return False
        self._next_probe_at = _now() + _SECONDS_BETWEEN_PROBES
        return True

    def judge(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """The outcomes of one request: a refusal becomes a retry where AEP refuses everything."""
        if DELIVERED in outcomes:
            if self.is_closed:
                log("WARNING", "AEP accepts events again")
            self._refusals, self._speaks_of_a_setting = 0, False
            self._accepted_at = _now()
            return list(outcomes)
        return [self._judge_refusal(outcome) for outcome in outcomes]

    def _judge_refusal(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Refused):
            judged = Retry(CONFIGURATION.why, outcome.detail) if self.is_closed else outcome
            self._refusals += 1
            return judged
        if outcome == CONFIGURATION:
            self._refusals += 1
            self._speaks_of_a_setting = True
        return outcome


def _now() -> float:
    return asyncio.get_running_loop().time()
