"""Times, written as everywhere in this project: RFC 3339, UTC, milliseconds."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

MILLISECONDS_FROM: Final = 1e11
"""Larger numbers are milliseconds: as seconds, this is the year 5138. Pendo writes seconds."""


def now() -> datetime:
    """Returns the current time in UTC."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """Returns `2026-01-31T09:30:00.000Z`. The width is fixed, so text order is time order."""
    return epoch_rfc3339(moment.timestamp())


def epoch_rfc3339(seconds: float) -> str:
    """Returns the same for seconds since 1970, truncated to milliseconds."""
    whole = math.floor(seconds)
    return f"{_whole_second(whole)}.{round((seconds - whole) * 1e6) // 1000:03}Z"


@lru_cache(maxsize=256)
def _whole_second(epoch: int) -> str:
    # Many events fall into one second, and formatting a date costs more than the rest of a time.
    return datetime.fromtimestamp(epoch, UTC).isoformat()[:19]
