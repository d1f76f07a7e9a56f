"""What is there, and what must be made or changed. Looking changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from pendo_aep.provisioning.errors import Conflict, NameTaken
from pendo_aep.provisioning.part import FOR_PROFILE, NOT_YET, Existing, Kind, Part


class Action(StrEnum):
    """What is, or was, to be done with a part."""

    CREATE = "create"
    CHANGE = "change"
    KEEP = "keep"
    UNKNOWN = "unknown"
    DELETE = "delete"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Step:
    """What is, or was, to be done with one part.

    Attributes:
        action: what.
        kind: of the part.
        name: of the part.
        id: empty for what is yet to be made.
        details: what changes, or why it is left.
    """

    action: Action
    kind: Kind
    name: str
    id: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in order, with the parts and what there is of them."""

    steps: tuple[Step, ...]
    parts: tuple[tuple[Part, Existing | None], ...]

    def changes(self, *kinds: Kind) -> bool:
        """Whether any part of these kinds is to be made or changed."""
        return any(s.kind in kinds and s.action is not Action.KEEP for s in self.steps)

    @property
    def adds_fields(self) -> bool:
        """Whether a schema that is there already gains fields."""
        return any(
            step.action is Action.CHANGE
            and (step.kind is Kind.FIELD_GROUP or step.kind is Kind.SCHEMA)
            and step.details != (FOR_PROFILE,)
            for step in self.steps
        )

    @property
    def finished_schema(self) -> Existing | None:
        """The schema, if it has all its fields already."""
        if self.changes(Kind.FIELD_GROUP, Kind.SCHEMA):
            return None
        return next(existing for part, existing in self.parts if part.kind is Kind.SCHEMA)


async def make_plan(parts: Sequence[Part]) -> Plan:
    """Looks for every part.

    Raises:
        Conflict: something is there that cannot be made what it should be; all of it is named.
        PlatformError: AEP does not let itself be asked.
    """
    known: dict[Kind, Existing] = {}
    steps: list[Step] = []
    found: list[tuple[Part, Existing | None]] = []
    problems: list[str] = []
    are_clear = True
    for part in parts:
        existing: Existing | None = None
        changes: tuple[str, ...] = ()
        try:
            existing = await find_one(part)
            if existing is not None and are_clear:
                changes = part.compare(existing, known)
        except Conflict as conflict:
            problems.append(str(conflict))
            # One that cannot be told makes all that may refer to it unclear.
            are_clear = are_clear and existing is not None
        steps.append(_step(part, existing, changes))
        found.append((part, existing))
        known[part.kind] = replace(existing, is_final=not changes) if existing else NOT_YET
    if problems:
        raise Conflict("\n".join(problems))
    return Plan(tuple(steps), tuple(found))


def _step(part: Part, existing: Existing | None, changes: tuple[str, ...]) -> Step:
    if existing is None:
        return Step(Action.CREATE, part.kind, part.name)
    action = Action.CHANGE if changes else Action.KEEP
    return Step(action, part.kind, part.name, existing.id, changes)


async def find_one(part: Part) -> Existing | None:
    """The part as it is; None where it is not.

    Raises:
        Conflict: there are several of its name, and which is meant cannot be known.
    """
    ids = await part.find()
    if len(ids) > 1:
        raise Conflict(
            f"there are {len(ids)} of the name {part.name!r}, {part.kind}: {', '.join(ids)}: "
            "delete or rename all but one in AEP, or choose another --name"
        )
    return await part.read(ids[0]) if ids else None


async def find_made(part: Part) -> Existing | None:
    """The same, for those who make nothing: who else has its name does not matter to them."""
    try:
        return await find_one(part)
    except NameTaken:
        return None
