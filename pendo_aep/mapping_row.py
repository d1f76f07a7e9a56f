"""One row of the mapping table at work: from a normalised event to its place in XDM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson

from pendo_aep.event import Event
from pendo_aep.mapping import Field

Json: TypeAlias = dict[str, Any]

# Adobe: "IdentityMap"; Pendo does not say whether a visitor was logged in.
AUTHENTICATED_STATE: Final = "ambiguous"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the mapping table, its paths taken apart once."""

    source: tuple[str, ...]
    source_leaf: str | None  # of each element, where the source is an array
    xdm: tuple[str, ...]
    xdm_leaf: str | None
    field: Field

    @classmethod
    def of(cls, field: Field, tenant: str = "", namespace: str = "") -> Row:
        """The row of a field; who only reads values needs neither tenant nor namespace."""
        source, _, source_leaf = field.source.partition("[].")
        place = field.xdm.format(tenant=tenant, namespace=namespace)
        xdm, _, xdm_leaf = place.partition("[]")
        return cls(
            tuple(source.split(".")),
            source_leaf or None,
            tuple(xdm.split(".")),
            xdm_leaf.removeprefix(".") or None,
            field,
        )

    def value(self, event: Event) -> Any:
        """What the row says of an event, as XDM has it; None when it says nothing."""
        if self.field.only and not event["type"].startswith(self.field.only):
            return None
        value: Any = event
        for key in self.source:
            value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            return None
        if self.source_leaf is not None:
            return self._elements(value)
        if self.field.type == "json":
            return orjson.dumps(value).decode()
        if self.field.type == "identity":
            # The visitor id is the only identity there is.
            return [{"id": value, "primary": True, "authenticatedState": AUTHENTICATED_STATE}]
        return value

    def _elements(self, value: object) -> list[Any]:
        elements = value if isinstance(value, list) else []
        leaves = [e.get(self.source_leaf) if isinstance(e, dict) else None for e in elements]
        if self.xdm_leaf is not None:
            return leaves
        # Questions and answers are arrays side by side: a gap must not shift them.
        return ["" if leaf is None else leaf for leaf in leaves]

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
