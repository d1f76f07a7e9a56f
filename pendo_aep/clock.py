"""Time as it is written everywhere in this project: RFC 3339, UTC, milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The current moment, in UTC."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """`2026-01-31T09:30:00.000Z`. Of fixed width, so that text order is the order of time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
