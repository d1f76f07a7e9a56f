"""One part of the pipeline: how to make it, change what differs, and delete it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from pendo_aep.gcp.deploy.gcloud import Gcloud, Words
from pendo_aep.gcp.deploy.inventory import Inventory

# Google: LabelDescriptor.ValueType, whose first value is STRING.
_UNSAID: Final = frozenset({"STRING"})


class PartWrong(Exception):
    """What is there cannot be changed into what should be; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a part.

    Attributes:
        path: where gcloud shows it.
        value: what should stand there.
        flag: what sets it, at the making and at an update; empty where the command says it anyway.
        is_fixed: it can only be set at the making.
        is_later: only the update knows its flag; what is new is right without it.
    """

    path: Words
    value: Any
    flag: str = ""
    is_fixed: bool = False
    is_later: bool = False

    def is_right(self, seen: Any) -> bool:
        """Whether gcloud shows it so."""
        for key in self.path:
            seen = seen.get(key) if isinstance(seen, dict) else None
        return includes(seen, self.value)


@dataclass(frozen=True, slots=True)
class Part:
    """A thing in the project.

    Attributes:
        kind: one of `inventory.GROUPS`.
        name: as the inventory has it.
        create: the command that makes it, without the fields' flags.
        delete: the command that deletes it.
        update: the command that changes it; the flags of the fields that differ are added.
        fields: what gcloud must show of it.
    """

    kind: str
    name: str
    create: Words
    delete: Words
    update: Words = ()
    fields: tuple[Field, ...] = field(default=())


def ensure(part: Part, inventory: Inventory, gcloud: Gcloud) -> None:
    """Makes a part, or changes what differs; does nothing where all is right.

    Raises:
        GcloudFailed: gcloud could not.
        PartWrong: it would have to be made anew, and with it all that it holds.
    """
    seen = inventory[part.kind].get(part.name)
    if seen is None:
        gcloud.change(*part.create, *(f.flag for f in part.fields if f.flag and not f.is_later))
        return
    wrong = [f for f in part.fields if not f.is_right(seen)]
    for one in wrong:
        if one.is_fixed:
            raise PartWrong(
                f"{part.kind} {part.name}: {'.'.join(one.path)} is not {one.value}, and cannot be "
                f"changed; delete it first, with all that it holds: {gcloud.typed(part.delete)}"
            )
    if wrong:
        gcloud.change(*part.update, *(f.flag for f in wrong if f.flag))


def includes(seen: Any, wanted: Any) -> bool:
    """Whether what Google shows has all that is wanted; it may have more.

    Google's JSON leaves out what is zero, empty or the first of an enum, and writes 64-bit numbers
    as text; it may give a list another order.
    """
    if isinstance(wanted, dict):
        fields = seen if isinstance(seen, dict) else {}
        return (seen is not None or not wanted) and all(
            includes(fields.get(name), value) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        shown = seen or []
        return len(shown) == len(wanted) and all(any(includes(s, w) for s in shown) for w in wanted)
    if seen is None:
        return not wanted or wanted in _UNSAID
    if isinstance(wanted, (int, float)) and not isinstance(wanted, bool):
        try:
            return float(seen) == wanted
        except (TypeError, ValueError):
            return False
    return bool(seen == wanted)
