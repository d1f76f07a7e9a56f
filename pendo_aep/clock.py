"""Time as it is written everywhere in this project: RFC 3339, UTC, milliseconds."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache


def now() -> datetime:
    """The current moment, in UTC."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """`2026-01-31T09:30:00.000Z`. Of fixed width, so that text order is the order of time."""
    return epoch_rfc3339(moment.timestamp())


def epoch_rfc3339(seconds: float) -> str:
    """The same, of seconds since 1970; exact to the microsecond, of which what is over is cut."""
    whole = math.floor(seconds)
    return f"{_whole_second(whole)}.{round((seconds - whole) * 1e6) // 1000:03}Z"


@lru_cache(maxsize=256)
def _whole_second(epoch: int) -> str:
    # Events come many to a second, and a date costs more to write than all else in one.
    return datetime.fromtimestamp(epoch, UTC).isoformat()[:19]
