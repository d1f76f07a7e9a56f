"""What a list of Catalog can be asked for (Adobe, "Filter Catalog data using query parameters")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local.aep_platform import problems
from local.aep_platform.call import Call
from local.aep_platform.problems import Refused
from local.aep_platform.query import keeps
from local.aep_platform.state import Json

SERVICE = "catalog"


def refused(status: int, detail: str) -> Refused:
    """A refusal of Catalog."""
    return problems.service(SERVICE, status, detail)


def page(call: Call, items: Mapping[str, Json]) -> Json:
    """What a list shows of the items: filtered, in order, from `start` on, up to `limit`.

    Raises:
        Refused: `limit` or `start` is out of range.
    """
    filters = call.query.getall("property", [])
    found = [(key, item) for key, item in items.items() if keeps(item, filters)]
    direction, _, name = call.query.get("orderBy", "").partition(":")
    if name:
        found.sort(key=lambda entry: _rank(entry[1].get(name)), reverse=direction == "desc")
    limit, start = call.query.get("limit", "20"), call.query.get("start", "0")
    if not limit.isdecimal() or not 1 <= int(limit) <= 100:
        raise refused(400, f"limit '{limit}' is not a number from 1 to 100")
    if not start.isdecimal():
        raise refused(400, f"start '{start}' is not a number")
    shown = dict(found[int(start) : int(start) + int(limit)])
    names = set(filter(None, call.query.get("properties", "").split(",")))
    if not names:
        return shown
    return {k: {n: v for n, v in item.items() if n in names} for k, item in shown.items()}


def is_named(name: str, wanted: str) -> bool:
    """A comma list is OR, `!` is not, `*` stands for anything, `**` for an asterisk."""
    texts = wanted.removeprefix("!").split(",")
    return any(_like(text, name) for text in texts) is not wanted.startswith("!")


def is_tagged(item: Json, pair: str) -> bool:
    """Say whether a `key:value` of the query is among the tags."""
    key, _, value = pair.partition(":")
    return any(_like(value, str(found)) for found in item["tags"].get(key, []))


def _rank(value: Any) -> tuple[int, str]:
    return (value, "") if isinstance(value, int) else (0, str(value))


def _like(pattern: str, text: str) -> bool:
    pieces = re.findall(r"\*\*|.", pattern, re.DOTALL)
    parts = [".*" if piece == "*" else re.escape(piece[:1]) for piece in pieces]
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None
