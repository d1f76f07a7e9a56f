"""Compares what AEP has with what it must have, and plans the changes. It changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from pendo_aep.provisioning.errors import Conflict, NameTaken
from pendo_aep.provisioning.identity_namespace import IdentityNamespace
from pendo_aep.provisioning.resource import FOR_PROFILE, PENDING, Kind, Observed, Resource
from pendo_aep.provisioning.schema_registry import FieldGroup, Schema


class Action(StrEnum):
    """What is to be done with a resource, or has been done."""

    CREATE = "create"
    CHANGE = "change"
    KEEP = "keep"
    UNKNOWN = "unknown"
    DELETE = "delete"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done with one resource, or has been done.

    Attributes:
        action: what.
        kind: of the resource.
        name: of the resource.
        id: empty for one that does not exist yet.
        details: what changes, or why it is left.
    """

    action: Action
    kind: Kind
    name: str
    id: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in order, and the resources as they were found, None if they do not exist."""

    steps: tuple[Step, ...]
    resources: tuple[tuple[Resource, Observed | None], ...]

    @property
    def irrevocable(self) -> tuple[str, ...]:
        """What the plan does that AEP can never take back, in words.

        Adobe: a namespace cannot be deleted, nor its type be changed ("Identity namespace
        overview"); Profile cannot be disabled for a schema that has it ("Enable a schema for
        Profile"); a field's type cannot change once data may have it ("Basics of schema
        composition").
        """
        found: list[str] = []
        for step, (resource, _) in zip(self.steps, self.resources, strict=True):
            is_new = step.action is Action.CREATE
            if isinstance(resource, IdentityNamespace) and is_new:
                found.append(f"identity namespace {step.name}, type {resource.id_type}")
            for_profile = isinstance(resource, Schema) and resource.is_profile
            if for_profile and (is_new or FOR_PROFILE in step.details):
                found.append(f"Profile for the schema {step.name!r}")
            if step.kind is Kind.FIELD_GROUP and (is_new or step.action is Action.CHANGE):
                found.append(f"the types of the new fields of {step.name!r}")
            if isinstance(resource, FieldGroup) and step.action is not Action.KEEP:
                found += [f"the type of {field}" for field in resource.new_types(step.details)]
        return tuple(found)

    def changes(self, *kinds: Kind) -> bool:
        """Returns whether any resource of these kinds is to be created or changed."""
        return any(s.kind in kinds and s.action is not Action.KEEP for s in self.steps)

    @property
    def adds_fields(self) -> bool:
        """Whether an existing schema gains fields."""
        return any(
            step.action is Action.CHANGE
            and (step.kind is Kind.FIELD_GROUP or step.kind is Kind.SCHEMA)
            and step.details != (FOR_PROFILE,)
            for step in self.steps
        )

    @property
    def finished_schema(self) -> Observed | None:
        """The schema, if it has all its fields already."""
        if self.changes(Kind.FIELD_GROUP, Kind.SCHEMA):
            return None
        return next(found for one, found in self.resources if one.kind is Kind.SCHEMA)


async def make_plan(resources: Sequence[Resource]) -> Plan:
    """Looks for every resource, and compares those that exist.

    Raises:
        Conflict: something exists that cannot be changed as desired; every conflict is named.
        PlatformError: AEP does not answer, or rejects a read.
    """
    resolved: dict[Kind, Observed] = {}
    steps: list[Step] = []
    found: list[tuple[Resource, Observed | None]] = []
    problems: list[str] = []
    can_compare = True
    for resource in resources:
        observed: Observed | None = None
        changes: tuple[str, ...] = ()
        try:
            observed = await find_one(resource)
            if observed is not None and can_compare:
                changes = resource.compare(observed, resolved)
        except Conflict as conflict:
            problems.append(str(conflict))
            # Without its id, nothing that may refer to it can be compared.
            can_compare = can_compare and observed is not None
        steps.append(_step(resource, observed, changes))
        found.append((resource, observed))
        resolved[resource.kind] = replace(observed, is_final=not changes) if observed else PENDING
    if problems:
        raise Conflict("\n".join(problems))
    return Plan(tuple(steps), tuple(found))


def _step(resource: Resource, observed: Observed | None, changes: tuple[str, ...]) -> Step:
    if observed is None:
        return Step(Action.CREATE, resource.kind, resource.name)
    action = Action.CHANGE if changes else Action.KEEP
    return Step(action, resource.kind, resource.name, observed.id, changes)


async def find_one(resource: Resource) -> Observed | None:
    """Returns the resource as AEP shows it; None if it does not exist.

    Raises:
        Conflict: there are several of its name, and nothing says which is meant.
    """
    ids = await resource.find()
    if len(ids) > 1:
        raise Conflict(
            f"there are {len(ids)} of the name {resource.name!r}, {resource.kind}: "
            f"{', '.join(ids)}: delete or rename all but one in AEP, or choose another --name"
        )
    return await resource.read(ids[0]) if ids else None


async def find_existing(resource: Resource) -> Observed | None:
    """Does the same for callers that create nothing: to them, a taken name is no conflict."""
    try:
        return await find_one(resource)
    except NameTaken:
        return None
