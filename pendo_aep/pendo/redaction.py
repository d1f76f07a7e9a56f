"""Redaction: what the settings name is gone before anything else is made of a webhook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

FieldPath: TypeAlias = tuple[str, ...]


def parse_path(text: str) -> FieldPath:
    """`properties.guideProperties.createdByUser` as its parts.

    Raises:
        ValueError: a part is empty, or the path names `event`, without which nothing can be read.
    """
    path = tuple(part.strip() for part in text.split("."))
    if not all(path):
        raise ValueError(f"{text!r} is not a path: write keys joined by dots, as properties.nps")
    if path == ("event",):
        raise ValueError("'event' cannot be redacted: it says what kind of event this is")
    return path


def redact(body: dict[str, Any], paths: Sequence[FieldPath]) -> None:
    """Removes what stands at each path, in place; a list on the way means each of its elements.

    A path that leads nowhere removes nothing: bodies differ from event to event.
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
    """The objects among the values, and in lists among them; no recursion, for hostile depths."""
    values = values.copy()
    while values:
        value = values.pop()
        if isinstance(value, list):
            values.extend(value)
        elif isinstance(value, dict):
            yield value
