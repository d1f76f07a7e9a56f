r"""Paths of Data Prep: `a.b`, `a[0].b`, `a[*].b`, `${First Name}.c`, `street\.name`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, Final, TypeAlias

from local.aep_platform.data_prep.errors import ExpressionWrong


class Each(Enum):
    """`[*]`: every element of an array."""

    ELEMENT = auto()


Step: TypeAlias = str | int | Each
Path: TypeAlias = tuple[Step, ...]

# Adobe, "Data Prep mapping functions", section on fields.
_RESERVED_WORDS = (
    "new mod or break var lt for false while eq gt div not null continue else and ne true le if ge "
    "return _errors"
)
RESERVED: Final = frozenset(_RESERVED_WORDS.split())
_NAME = r"[^\W\d](?:[\w$]|\\\.)*|\$(?!\{)(?:[\w$]|\\\.)*"
SEGMENT = re.compile(rf"(?:\$\{{(?P<wrapped>[^}}]*)\}}|(?P<name>{_NAME}))")
PLACE = re.compile(r"\[(?:(?P<index>\d+)|(?P<each>\*))\]")


def scan_path(text: str, start: int = 0) -> tuple[Path, int]:
    """The path that begins there, and where it ends.

    Raises:
        ExpressionWrong: none begins there, or it has a reserved word that is not wrapped.
    """
    steps: list[Step] = []
    at = start
    while True:
        found = SEGMENT.match(text, at)
        if found is None:
            raise ExpressionWrong(f"expected the name of a field at {at}: {text!r}")
        name = found["wrapped"]
        if name is None:
            name = found["name"]
            if name in RESERVED:
                raise ExpressionWrong(f"{name} is a reserved word: write ${{{name}}}")
        steps.append(name.replace("\\.", "."))
        at = found.end()
        while place := PLACE.match(text, at):
            steps.append(Each.ELEMENT if place["each"] else int(place["index"]))
            at = place.end()
        if not text.startswith(".", at):
            return tuple(steps), at
        at += 1


def parse_path(text: str) -> Path:
    """The path that a text is.

    Raises:
        ExpressionWrong: it is none; a name with other characters must be wrapped in `${}`.
    """
    path, end = scan_path(text)
    if end != len(text):
        raise ExpressionWrong(f"not a path: {text!r} (wrap odd names in ${{}})")
    return path


def read(document: Any, path: Sequence[Step]) -> Any:
    """What stands at a path; None for nothing, and in its place for each element that has none."""
    value = document
    for number, step in enumerate(path):
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, Mapping) else None
        elif isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            if not isinstance(value, list):
                return None
            return [read(element, path[number + 1 :]) for element in value]
    return value


def exists(document: Any, path: Sequence[Step]) -> bool:
    """Say whether the last key of a path is there, whatever its value."""
    *way, last = path
    holder = read(document, way)
    if isinstance(last, str):
        return isinstance(holder, Mapping) and last in holder
    return isinstance(holder, list) and (not isinstance(last, int) or last < len(holder))


def write(row: dict[str, Any], path: Sequence[Step], value: Any) -> None:
    """Put a value where a path says; objects and arrays on the way are made.

    After `[*]` the value is a list, an element for each place; a None leaves its place empty.

    Raises:
        TypeError: the path does not fit what is there already.
    """
    key, *rest = path
    if not isinstance(key, str):
        raise TypeError("a path begins with a name")
    if not rest:
        row[key] = value
    elif isinstance(rest[0], str):
        write(row.setdefault(key, {}), rest, value)
    else:
        _write_elements(row, key, rest, value)


def _write_elements(row: dict[str, Any], key: str, rest: Sequence[Step], value: Any) -> None:
    place, *inner = rest
    elements = row.setdefault(key, [])
    values: Sequence[tuple[int, Any]]
    values = [(place, value)] if isinstance(place, int) else list(enumerate(value))
    for number, one in values:
        while len(elements) <= number:
            elements.append({} if inner else None)
        if not inner:
            elements[number] = one
        elif one is not None:
            write(elements[number], inner, one)
