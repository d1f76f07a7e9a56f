"""The `Retry-After` header: how long a server wants to be left alone."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# What asks for more is not believed: a message waits at most ten minutes in Pub/Sub's backoff too.
_LONGEST_SECONDS = 600.0


def retry_after_seconds(header: str | None, now: datetime) -> float:
    """The pause in seconds, from a number of seconds or an HTTP date (RFC 9110, section 10.2.3).

    0 when there is no header, or when it says nothing that can be understood.
    """
    if not header:
        return 0.0
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_SECONDS)
