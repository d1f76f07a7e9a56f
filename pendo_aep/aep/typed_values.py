"""The values of the fields that `AEP_FIELDS` chooses: converted, or left out and counted."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

import orjson

from pendo_aep.chosen_fields import ChosenField, ChosenType
from pendo_aep.clock import MILLISECONDS_FROM, epoch_rfc3339, rfc3339
from pendo_aep.event import MAX_EXACT_INTEGER, NUMBER_AS_TEXT, whole
from pendo_aep.logs import log

Json: TypeAlias = dict[str, Any]
_Tree: TypeAlias = "dict[str, ChosenType | _Tree]"

_SECONDS_BETWEEN_LINES: Final = 60.0
_INTEGER_AS_TEXT: Final = re.compile(r"-?(0|[1-9][0-9]{0,15})", re.ASCII)
# RFC 3339, section 5.6, with its notes: lower case, and a space in the place of the T.
_DATE_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)
_BOOLEANS: Final = {"true": True, "false": False}


def convert(value: object, to: ChosenType) -> Any:
    """Returns a value of a property in the type of its field; None if it does not fit.

    An empty value has no field, and is None as well.
    """
    return None if is_empty(value) else _CONVERSIONS[to](value)


def is_empty(value: object) -> bool:
    """Returns whether AEP would not accept the value for any field. 0 and false are values."""
    return not value and value != 0


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode() if isinstance(value, int | float) else None


def _number(value: object) -> int | float | None:
    """Returns a finite number; also of text in the notation of poll answers."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and not NUMBER_AS_TEXT.fullmatch(value):
        return None
    number = float(value)
    return whole(number) if math.isfinite(number) else None


def _integer(value: object) -> int | None:
    """Returns an integer that every reader of JSON reads alike (RFC 8259, section 6)."""
    if isinstance(value, str) and _INTEGER_AS_TEXT.fullmatch(value):
        value = int(value)
    elif isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
        return None
    return int(value) if abs(value) <= MAX_EXACT_INTEGER else None


def _boolean(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return _BOOLEANS.get(value) if isinstance(value, str) else None


def _date_time(value: object) -> str | None:
    """Returns a time in UTC. Assumed: 0 and negative numbers are no times."""
    try:
        if isinstance(value, str):
            fits = _DATE_TIME.fullmatch(value)
            return rfc3339(datetime.fromisoformat(value.upper())) if fits else None
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            return None
        return epoch_rfc3339(value / 1000 if value > MILLISECONDS_FROM else value)
    except (ValueError, OverflowError, OSError):  # no such date, or beyond the year 9999
        return None


_CONVERSIONS: Final[Mapping[ChosenType, Callable[[object], Any]]] = {
    "string": _text,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "date-time": _date_time,
}


class TypedProperties:
    """The chosen properties of an event. It never changes an event."""

    def __init__(self, chosen: Sequence[ChosenField]) -> None:
        """Takes the fields that are chosen."""
        self._chosen = chosen
        self._tree: _Tree = {}
        for field in chosen:
            *way, last = field.path
            inner: Any = self._tree
            for name in way:
                inner = inner.setdefault(name, {})
            inner[last] = field.type

    def misfits(self, properties: Any) -> list[str]:
        """Returns the names of the fields whose value is there, but does not fit."""
        return [
            field.name
            for field in self._chosen
            if not is_empty(value := _at(properties, field.path))
            and convert(value, field.type) is None
        ]

    def only(self, properties: Any) -> Json:
        """Returns the properties whose value fits, and nothing else."""
        return _only(properties, self._tree)

    def without(self, properties: Json) -> Json:
        """Returns the properties without the values that fit; objects that are then empty go."""
        return _without(properties, self._tree)


def _at(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _only(properties: Any, tree: _Tree) -> Json:
    kept: Json = {}
    for name, inner in tree.items() if isinstance(properties, dict) else ():
        found = properties.get(name)
        if isinstance(inner, dict):
            if below := _only(found, inner):
                kept[name] = below
        elif convert(found, inner) is not None:
            kept[name] = found
    return kept


def _without(properties: Json, tree: _Tree) -> Json:
    left = properties
    for name, inner in tree.items():
        found = properties.get(name)
        kept: Json = {}
        if isinstance(inner, dict):
            if not isinstance(found, dict) or (kept := _without(found, inner)) is found:
                continue
        elif not _has_all_of(convert(found, inner), found):
            continue
        if left is properties:
            left = properties.copy()
        if kept:
            left[name] = kept
        else:
            del left[name]
    return left


def _has_all_of(value: Any, found: Any) -> bool:
    """Returns whether a field has the value; of a long number it may have the rounded one."""
    return value is not None and (isinstance(value, str) or type(found) is str or value == found)


class Misfits:
    """Logs values that do not fit: a line at once, then one a minute for each field at most.

    A line has the name of the field and the number of values since the last, and never a value.
    """

    def __init__(self) -> None:
        """Starts with a line due for each field."""
        self._counts: dict[str, int] = {}
        self._silent_until: dict[str, float] = {}

    def count(self, names: Sequence[str]) -> None:
        """Counts a value for each name, and writes what is due."""
        for name in names:
            self._counts[name] = self._counts.get(name, 0) + 1
        for name in self._due(names):
            log(
                "WARNING", "value does not fit its field", field=name, values=self._counts.pop(name)
            )

    def _due(self, names: Sequence[str]) -> Iterator[str]:
        now = time.monotonic()
        for name in names:
            if now >= self._silent_until.get(name, -math.inf):
                self._silent_until[name] = now + _SECONDS_BETWEEN_LINES
                yield name
