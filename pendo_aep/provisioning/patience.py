"""How long to try, while somebody waits in front of a terminal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try.

    Attributes:
        attempts: of one call, the first included.
        first_seconds: the first pause; each is twice the one before.
        longest_seconds: what no pause is longer than, not even one that AEP asks for.
        call_seconds: for one answer.
    """

    attempts: int = 5
    first_seconds: float = 0.5
    longest_seconds: float = 60.0
    call_seconds: float = 30.0

    def pause(self, failures: int, asked: float = 0.0) -> float:
        """The seconds to wait after so many failures, and not less than AEP asked for."""
        backoff = min(self.first_seconds * 2.0 ** (failures - 1), self.longest_seconds)
        return max(backoff, asked)
