"""Removes the fields that `REDACT` names, before anything else is made of a webhook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

FieldPath: TypeAlias = tuple[str, ...]


def parse_path(text: str) -> FieldPath:
    """Splits a path such as `properties.guideProperties.createdByUser` into its keys.

    Raises:
        ValueError: a key is empty, or the path is `event`, which every webhook must have.
    """
    path = tuple(part.strip() for part in text.split("."))
    if not all(path):
        raise ValueError(f"{text!r} is not a path: write keys joined by dots, as properties.nps")
    if path == ("event",):
        raise ValueError("'event' cannot be redacted: it says what kind of event this is")
    return path


def redact(body: dict[str, Any], paths: Sequence[FieldPath]) -> None:
    """Removes the value at each path, in place; through a list, from each of its elements.

    A path that does not exist is ignored: bodies differ from event to event.
    """
    for path in paths:
        found: object = body
        for place, key in enumerate(path):
            if not isinstance(found, dict):
                if isinstance(found, list):
                    _redact_elements(found, path[place:])
                break
            if place == len(path) - 1:
                found.pop(key, None)
            else:
                found = found.get(key)


def _redact_elements(values: list[object], path: FieldPath) -> None:
    *way, last = path
    for key in way:
        values = [found[key] for found in _objects(values) if key in found]
    for found in _objects(values):
        found.pop(last, None)


def _objects(values: list[object]) -> Iterator[dict[str, Any]]:
    """Yields the objects in the values and in nested lists; without recursion, at any depth."""
    values = values.copy()
    while values:
        value = values.pop()
        if isinstance(value, list):
            values.extend(value)
        elif isinstance(value, dict):
            yield value
