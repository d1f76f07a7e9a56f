"""Compares what AEP has with what it must have, and plans the changes. It changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from pendo_aep.provisioning.errors import Conflict, NameTaken, PlatformError, RequestRejected
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
    REFUSED = "refused"


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
    """The steps in order, and the resources as they were found, None if they do not exist.

    Attributes:
        steps: one for each resource.
        resources: in the same order.
        refused: the steps of what is optional, and AEP does not even let be read.
    """

    steps: tuple[Step, ...]
    resources: tuple[tuple[Resource, Observed | None], ...]
    refused: tuple[Step, ...] = ()

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
            if step.kind is Kind.FIELD_GROUP and (is_new or _adds_fields(step)):
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
            step.kind in (Kind.FIELD_GROUP, Kind.SCHEMA) and _adds_fields(step)
            for step in self.steps
        )

    def observed(self, kind: Kind) -> Observed | None:
        """Returns the resource as it was found; None if it does not exist."""
        return next((found for one, found in self.resources if one.kind is kind), None)

    @property
    def finished_schema(self) -> Observed | None:
        """The schema, if it has all its fields already."""
        return None if self.adds_fields else self.observed(Kind.SCHEMA)


def _adds_fields(step: Step) -> bool:
    return step.action is Action.CHANGE and any(text.startswith("field ") for text in step.details)


async def make_plan(resources: Sequence[Resource]) -> Plan:
    """Looks for every resource, and compares those that exist.

    Raises:
        Conflict: something exists that cannot be changed as desired; every conflict is named.
        PlatformError: AEP does not answer, or rejects a read.
    """
    resolved: dict[Kind, Observed] = {}
    steps: list[Step] = []
    refused: list[Step] = []
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
        except RequestRejected as rejected:
            if not resource.is_optional:
                raise
            refused.append(refused_step(resource, rejected))
            continue
        steps.append(_step(resource, observed, changes))
        found.append((resource, observed))
        resolved[resource.kind] = replace(observed, is_final=not changes) if observed else PENDING
    if problems:
        raise Conflict("\n".join(problems))
    return Plan(tuple(steps), tuple(found), tuple(refused))


def _step(resource: Resource, observed: Observed | None, changes: tuple[str, ...]) -> Step:
    if observed is None:
        return Step(Action.CREATE, resource.kind, resource.name)
    action = Action.CHANGE if changes else Action.KEEP
    return Step(action, resource.kind, resource.name, observed.id, changes)


def refused_step(resource: Resource, error: PlatformError, resource_id: str = "") -> Step:
    """Returns the step of a resource that AEP refuses, and that is not needed."""
    details = (str(error), resource.by_hand)
    return Step(Action.REFUSED, resource.kind, resource.name, resource_id, details)


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
    """Does the same for callers that create nothing: to them, a taken name is no conflict.

    What is optional, and AEP does not let them see, does not exist for them either.
    """
    try:
        return await find_one(resource)
    except NameTaken:
        return None
    except RequestRejected:
        if not resource.is_optional:
            raise
        return None
