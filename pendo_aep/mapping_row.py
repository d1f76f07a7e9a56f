"""One row of the mapping table at work: from a normalised event to its place in XDM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson

from pendo_aep.event import Event
from pendo_aep.mapping import FIELDS, Field

Json: TypeAlias = dict[str, Any]

# Adobe: "IdentityMap"; Pendo does not say whether a visitor was logged in.
AUTHENTICATED_STATE: Final = "ambiguous"
# Adobe: "Identity Service guardrails"; a record with a longer identity value is skipped.
MAX_IDENTITY_CHARACTERS: Final = 1024
_LEAVES: Final = frozenset({str, int, float, bool})


def is_too_long(identity: object) -> bool:
    """Would AEP skip a record with this identity? It is sent as a field only."""
    return isinstance(identity, str) and len(identity) > MAX_IDENTITY_CHARACTERS


def has_empty(value: Mapping[str, Any] | list[Any]) -> bool:
    """Is there an empty value in it, at any depth? Costs half as much as `without_empty`."""
    for inner in value if isinstance(value, list) else value.values():
        if not inner:
            if inner != 0:  # 0 and false are values
                return True
        elif type(inner) not in _LEAVES and has_empty(inner):
            return True
    return False


def without_empty(value: Any) -> Any:
    """A JSON value without the empty values in it, at any depth; None if it is empty itself.

    Adobe: "Schema composition", null and empty values are not accepted for any ingested field.
    """
    if isinstance(value, dict):
        value = {
            key: left
            for key, inner in value.items()
            # Most are text or numbers, and need no call.
            if (left := inner if inner and type(inner) in _LEAVES else without_empty(inner))
            is not None
        }
    elif isinstance(value, list):
        value = [left for inner in value if (left := without_empty(inner)) is not None]
    return value if value or value == 0 else None


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the mapping table, its paths taken apart once."""

    source: tuple[str, ...]
    source_leaf: str | None  # of each element, where the source is an array
    xdm: tuple[str, ...]
    xdm_leaf: str | None
    siblings: tuple[str, ...]  # the leaves that share the elements in XDM
    place: int  # of its own leaf among them
    field: Field

    @classmethod
    def of(cls, field: Field, tenant: str = "", namespace: str = "") -> Row:
        """The row of a field; who only reads values needs neither tenant nor namespace."""
        source, _, source_leaf = field.source.partition("[].")
        place = field.xdm.format(tenant=tenant, namespace=namespace)
        xdm, _, xdm_leaf = place.partition("[]")
        siblings = _siblings(field)
        return cls(
            tuple(source.split(".")),
            source_leaf or None,
            tuple(xdm.split(".")),
            xdm_leaf.removeprefix(".") or None,
            siblings,
            siblings.index(source_leaf) if siblings else 0,
            field,
        )

    def value(self, event: Event) -> Any:
        """What the row says of an event, as XDM has it; None when that is nothing or empty."""
        if self.field.only and not event["type"].startswith(self.field.only):
            return None
        value: Any = event
        for key in self.source:
            value = value.get(key) if isinstance(value, dict) else None
        if value is None or value == "":
            return None
        if self.source_leaf is not None:
            return self._elements(value)
        if self.field.type == "json":
            return orjson.dumps(value).decode() if value else None
        if self.field.type == "identity":
            if is_too_long(value):
                return None
            # The visitor id is the only identity there is.
            return [{"id": value, "primary": True, "authenticatedState": AUTHENTICATED_STATE}]
        return without_empty(value) if isinstance(value, dict | list) else value

    def _elements(self, value: object) -> list[Any] | None:
        """One leaf for each element, None where it is empty.

        Arrays side by side (questions and answers) have an element only where each of them has one,
        so that they stay aligned. Objects need one leaf that is not empty.
        """
        fewest = len(self.siblings) if self.xdm_leaf is None else 1
        leaves: list[Any] = []
        for element in value if isinstance(value, list) else ():
            if isinstance(element, dict):
                found = [without_empty(element.get(leaf)) for leaf in self.siblings]
                if len(found) - found.count(None) >= fewest:
                    leaves.append(found[self.place])
        return leaves or None

    def write(self, entity: Json, value: Any) -> None:
        """Puts it where the row says; elements of one array meet in the same objects."""
        *way, last = self.xdm
        for key in way:
            entity = entity.setdefault(key, {})
        if self.xdm_leaf is None:
            entity[last] = value
            return
        for place, leaf in zip(entity.setdefault(last, [{} for _ in value]), value, strict=True):
            if leaf is not None:
                place[self.xdm_leaf] = leaf


def _siblings(field: Field) -> tuple[str, ...]:
    """The leaves of the same array that stand with this one: in one object, or side by side."""
    array, _, leaf = field.source.partition("[].")
    if not leaf:
        return ()
    is_side_by_side = field.xdm.endswith("[]")
    return tuple(
        other.source.partition("[].")[2]
        for other in FIELDS
        if other.source.startswith(f"{array}[].") and other.xdm.endswith("[]") is is_side_by_side
    )
