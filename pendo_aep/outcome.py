"""What AEP did with one message: the only three things that can be said about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from pendo_aep.dead_letter import Reason


@dataclass(frozen=True, slots=True)
class Delivered:
    """AEP has accepted this very message; it can be acknowledged."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not accepted, or nobody knows: a later try may do better, and harms nothing.

    `why` is a stable word for the log: it says what stands in the way, never whose data it was.
    `detail` is what AEP said of the message, which may hold personal data.
    """

    why: str
    detail: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """Refused for good: no later try can succeed, so the message becomes a dead letter."""

    reason: Reason
    detail: str


Outcome: TypeAlias = Delivered | Retry | Refused

DELIVERED = Delivered()
CONFIGURATION = Retry("configuration")
"""A setting is wrong, not the message: someone has to correct it."""
