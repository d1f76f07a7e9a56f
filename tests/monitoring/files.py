"""The monitoring files, and the part of Google's filter language that they use."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from local.functions import PROJECT

Json: TypeAlias = dict[str, Any]

FOLDER = PROJECT / "deploy" / "monitoring"
DASHBOARD = FOLDER / "dashboard.json"
METRICS = sorted(FOLDER.glob("metrics/*.json"))
ALERTS = sorted(FOLDER.glob("alerts/*.json"))

_TERM = re.compile(r"([\w.]+)(!=|=~|>=|=)(.+)")
_TEXT = re.compile(r'"([^"]*)"|\b(\d+)\b')
_SEVERITIES = ("INFO", "WARNING", "ERROR", "CRITICAL")


class Term(NamedTuple):
    """`path operator values`: one value, or those of `one_of(...)` and `(... OR ...)`."""

    path: str
    operator: str
    values: tuple[str, ...]


def read(path: Path) -> Json:
    """Returns a file before the names of a deployment are filled in."""
    document: Json = json.loads(path.read_text("utf-8"))
    return document


def terms(filter_: str) -> list[Term]:
    """Returns the terms of a filter without alternatives, all of which must hold."""
    found = []
    for text in filter_.split(" AND "):
        term = _TERM.fullmatch(text)
        assert term is not None, text
        path, operator, value = term.groups()
        values = tuple(text or number for text, number in _TEXT.findall(value))
        found.append(Term(path, operator, values or (value,)))
    return found


def matches(filter_: str, entry: Json) -> bool:
    """Returns whether a filter matches a log entry or a point of a metric.

    It may have the form `a AND (b OR c)`, where b and c are single terms.
    """
    return all(
        any(_holds(term, _at(entry, term.path)) for part in parts for term in terms(part))
        for parts in map(_alternatives, filter_.split(" AND "))
    )


def _alternatives(text: str) -> list[str]:
    is_one = _TERM.fullmatch(text) is not None
    return [text] if is_one else text.removeprefix("(").removesuffix(")").split(" OR ")


def extracted(extractor: str, entry: Json) -> Any:
    """Returns what `EXTRACT(...)` extracts from a log entry; None if there is nothing."""
    field = re.fullmatch(r"EXTRACT\(([\w.]+)\)", extractor)
    assert field is not None, extractor
    return _at(entry, field[1])


def every(value: Any, key: str) -> Iterator[Any]:
    """Yields the values of a key, anywhere in a document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            yield from every(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from every(inner, key)


def _at(entry: Any, path: str) -> Any:
    for key in path.split("."):
        entry = entry.get(key) if isinstance(entry, dict) else None
    return entry


def _holds(term: Term, found: Any) -> bool:
    operators: dict[str, Callable[[], bool]] = {
        "=": lambda: str(found) in term.values,
        "!=": lambda: str(found) not in term.values,
        "=~": lambda: found is not None and re.search(term.values[0], found) is not None,
        ">=": lambda: _SEVERITIES.index(found) >= _SEVERITIES.index(term.values[0]),
    }
    return operators[term.operator]()
