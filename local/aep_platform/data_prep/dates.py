"""Dates by the patterns that Data Prep takes (those of Java), as far as they are in use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from local.aep_platform.data_prep.errors import EvaluationFailed

# Adobe, "Handling data formats", section on dates; tried in this order.
PATTERNS: Final = (
    "yyyy-MM-dd HH:mm:ssZ",
    "yyyy-MM-dd HH:mm:ss.SSSZ",
    "yyyy-MM-dd HH:mm:ss.SSS",
    "yyyy-MM-dd'T'HH:mm:ss.SSSX",
    "yyyy-MM-dd'T'HH:mm:ss'Z'",
    "yyyy-MM-dd",
    "yyyy/MM/dd",
    "yyyy.MM.dd",
    "yyyy-MMM-dd",
    "yyyyMMdd",
    "MM-dd-yyyy",
    "MMddyyyy",
    "M/dd/yyyy",
    "dd.M.yyyy",
    "M/dd/yyyy hh:mm:ss a",
    "dd.M.yyyy hh:mm:ss a",
    "dd.MMM.yyyy",
    "dd-MMM-yyyy",
)
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_PART = re.compile(r"'(?P<quoted>[^']*)'|(?P<letter>[A-Za-z])(?P=letter)*|(?P<other>.)", re.DOTALL)
_NUMERIC = {"y": "year", "d": "day", "H": "hour", "h": "hour12", "m": "minute", "s": "second"}


def parse_date(text: str, pattern: str | None = None) -> datetime:
    """The moment that a text says; UTC where it names no zone.

    Args:
        text: the date.
        pattern: what it looks like; None tries the patterns that Adobe lists.

    Raises:
        EvaluationFailed: it does not look like that.
    """
    for one in (pattern,) if pattern is not None else PATTERNS:
        found = re.fullmatch("".join(_regexes(one)), text)
        if found is not None:
            return _moment(found.groupdict())
    raise EvaluationFailed(f"the text is no date of the form {pattern or 'that Adobe lists'}")


def format_date(moment: datetime, pattern: str) -> str:
    """A moment as a pattern has it.

    Raises:
        EvaluationFailed: the pattern has a letter that is not known here.
    """
    return "".join(_formatted(moment, pattern))


def iso(moment: datetime) -> str:
    """A moment as Data Prep writes it: ISO 8601, milliseconds only where there are any."""
    text = (
        moment.astimezone(UTC)
        .replace(tzinfo=None)
        .isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
    )
    return f"{text}Z"


def _parts(pattern: str) -> Iterator[tuple[str, int, str]]:
    """Each as (letter, how often, "") or ("", 0, text)."""
    for found in _PART.finditer(pattern):
        if found["letter"]:
            yield found["letter"], len(found[0]), ""
        else:
            yield "", 0, found["quoted"] if found["quoted"] is not None else found["other"]


def _regexes(pattern: str) -> Iterator[str]:
    for letter, count, text in _parts(pattern):
        if not letter:
            yield re.escape(text)
        elif letter == "M":
            yield "(?P<name>[A-Z][a-z]{2})" if count == 3 else _digits("month", count)
        elif letter in _NUMERIC:
            yield _digits(_NUMERIC[letter], count)
        elif letter == "S":
            yield rf"(?P<fraction>\d{{{count}}})"
        elif letter == "a":
            yield "(?P<half>AM|PM|am|pm)"
        elif letter == "X":
            yield r"(?P<zone>Z|[+-]\d\d(?::?\d\d)?)"
        elif letter == "Z":
            yield r"(?P<zone>[+-]\d{4})"
        else:
            raise EvaluationFailed(
                f"the pattern {pattern!r} has {letter!r}, which is not simulated"
            )


def _digits(name: str, count: int) -> str:
    return rf"(?P<{name}>\d{{{count}}})" if count > 1 else rf"(?P<{name}>\d{{1,2}})"


def _moment(found: dict[str, str | None]) -> datetime:
    def number(name: str, default: int = 0) -> int:
        return int(found.get(name) or default)

    hour = number("hour")
    if found.get("hour12"):
        hour = number("hour12") % 12 + (12 if (found["half"] or "").lower() == "pm" else 0)
    month = (
        _MONTHS.index(name) + 1 if (name := found.get("name")) in _MONTHS else number("month", 1)
    )
    fraction = (found.get("fraction") or "0").ljust(6, "0")[:6]
    try:
        return datetime(
            number("year", 1970),
            month,
            number("day", 1),
            hour,
            number("minute"),
            number("second"),
            int(fraction),
            _zone(found.get("zone")),
        )
    except ValueError:
        raise EvaluationFailed("the text is of the form of a date, but no such date") from None


def _zone(text: str | None) -> timezone:
    if text in (None, "Z"):
        return UTC
    digits = str(text)[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if str(text).startswith("-") else offset)


def _formatted(moment: datetime, pattern: str) -> Iterator[str]:
    values = {
        "y": moment.year,
        "M": moment.month,
        "d": moment.day,
        "H": moment.hour,
        "h": moment.hour % 12 or 12,
        "m": moment.minute,
        "s": moment.second,
    }
    for letter, count, text in _parts(pattern):
        if not letter:
            yield text
        elif letter == "M" and count == 3:
            yield _MONTHS[moment.month - 1]
        elif letter in values:
            yield str(values[letter]).zfill(count)[-max(count, 2) :]
        elif letter == "S":
            yield f"{moment.microsecond:06}"[:count].ljust(count, "0")
        elif letter == "a":
            yield "PM" if moment.hour >= 12 else "AM"
        elif letter in "XZ":
            yield _offset(moment, letter, count)
        else:
            raise EvaluationFailed(
                f"the pattern {pattern!r} has {letter!r}, which is not simulated"
            )


def _offset(moment: datetime, letter: str, count: int) -> str:
    offset = f"{moment:%z}"
    if letter == "Z":
        return offset
    if offset == "+0000":
        return "Z"
    return {1: offset[:3], 2: offset}.get(count, f"{offset[:3]}:{offset[3:]}")
