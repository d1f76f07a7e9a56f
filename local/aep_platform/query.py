"""What a list is asked for: filters, order, a page; the registry's and Catalog's words for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<=": lambda a, b: _number(a) <= _number(b),
    ">=": lambda a, b: _number(a) >= _number(b),
    "<": lambda a, b: _number(a) < _number(b),
    ">": lambda a, b: _number(a) > _number(b),
    "~": lambda a, b: re.search(b, a) is not None,
}
_FILTER = re.compile(r"(?P<name>.+?)(?P<operator>==|!=|<=|>=|<|>|~)(?P<value>.*)", re.DOTALL)


def _number(value: str) -> tuple[float, str]:
    try:
        return float(value), ""
    except ValueError:
        return 0.0, value


def keeps(item: Mapping[str, Any], filters: Iterable[str]) -> bool:
    """Say whether an item passes every `property` filter: `name`, `!name`, `name==value`, ...

    The name is a key or a dotted path; of a list, one element is enough.
    """
    return all(_passes(item, one) for one in filters)


def _passes(item: Mapping[str, Any], text: str) -> bool:
    found = _FILTER.fullmatch(text)
    if found is None:
        name = text.removeprefix("!")
        return bool(_values(item, name)) is not text.startswith("!")
    values = _values(item, found["name"])
    holds = _OPERATORS[found["operator"]]
    if found["operator"] == "!=":
        return all(holds(value, found["value"]) for value in values)
    return any(holds(value, found["value"]) for value in values)


def _values(item: Mapping[str, Any], name: str) -> list[str]:
    value: Any = item.get(name)
    if value is None:
        value = item
        for key in name.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
    if value is None:
        return []
    return [_text(one) for one in value] if isinstance(value, list) else [_text(value)]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
