"""Two trees of XDM fields beside each other: what is missing in one, and what cannot be mended.

Adobe: "Basics of schema composition", section on evolution: fields may be added, and what people
read of them may change; nothing may be removed, redefined or narrowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pendo_aep.provisioning.part import Json

_TYPE: Final = ("type", "format")
# What would keep our values out, where somebody has added it.
_NARROWS: Final = ("enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "required")
_SENT: Final = "what pendo-to-aep sends"


@dataclass(frozen=True, slots=True)
class Addition:
    """Something that can be added: a JSON Patch operation, and the same in words."""

    operation: Json
    text: str


@dataclass(frozen=True, slots=True)
class Clash:
    """A field that is something else than it should be."""

    text: str


def compare_fields(
    wanted: Json, there: Json, pointer: str, path: str = ""
) -> Iterator[Addition | Clash]:
    """What must be added to the fields that are there, so that they have all that is wanted.

    Only what is wanted is looked at: the registry adds much to a field, and people may add fields.

    Args:
        wanted: a field with `properties` or `items`, as it would be sent.
        there: the same field as the registry shows it.
        pointer: the JSON pointer to it.
        path: the same for people.
    """
    for key in _TYPE:
        if wanted.get(key) != there.get(key):
            yield Clash(f"{path}: {key} is {there.get(key)!r}, but must be {wanted.get(key)!r}")
    for key in _NARROWS:
        if there.get(key) not in (None, [], wanted.get(key)) and not _is_range(key, wanted):
            yield Clash(f"{path}: {key} {there[key]!r} could refuse {_SENT}")
    if "title" in wanted and wanted["title"] != there.get("title"):
        operation = {"op": "add", "path": f"{pointer}/title", "value": wanted["title"]}
        yield Addition(operation, f"title of {path}: {wanted['title']!r}")
    if isinstance(wanted.get("items"), dict):
        items = there.get("items")
        if isinstance(items, dict):
            yield from compare_fields(wanted["items"], items, f"{pointer}/items", f"{path}[]")
    yield from _compare_properties(wanted, there, pointer, path)


def _compare_properties(
    wanted: Json, there: Json, pointer: str, path: str
) -> Iterator[Addition | Clash]:
    properties = there.get("properties", {})
    for name, field in wanted.get("properties", {}).items():
        here = f"{path}.{name}".lstrip(".")
        at = f"{pointer}/properties/{name}"
        if name in properties:
            yield from compare_fields(field, properties[name], at, here)
        else:
            yield Addition({"op": "add", "path": at, "value": field}, f"field {here}")


def _is_range(key: str, wanted: Json) -> bool:
    """Adobe shows an integer with the bounds of its width, which are no limits to us."""
    return key in {"minimum", "maximum"} and wanted.get("type") == "integer"
