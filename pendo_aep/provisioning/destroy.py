"""Taking down what `apply` has made, as far as AEP lets it go and no data is lost unasked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from pendo_aep.provisioning import catalog
from pendo_aep.provisioning.apply import Tell
from pendo_aep.provisioning.client import Client
from pendo_aep.provisioning.dataset_part import is_ours
from pendo_aep.provisioning.errors import Conflict, OutcomeUnknown, PlatformError, Refused
from pendo_aep.provisioning.part import Existing, Kind, Known, Part
from pendo_aep.provisioning.patience import Patience
from pendo_aep.provisioning.plan import Action, Plan, Step, find_made
from pendo_aep.provisioning.schema_parts import in_profile, references

_GONE: Final = 404
_FOREIGN: Final = "it has the name, but is not what this command makes"


async def plan_destruction(client: Client, parts: Sequence[Part], delete_data: str) -> Plan:
    """What would go and what stays, the last made first.

    Args:
        client: to look for data.
        parts: in the order of their making.
        delete_data: the name of a dataset that may go with all that it holds.

    Raises:
        Conflict: there are several of a name.
        PlatformError: `delete_data` names another dataset.
    """
    own = next(part.name for part in parts if part.kind is Kind.DATASET)
    if delete_data not in ("", own):
        raise PlatformError(
            f"--delete-data {delete_data!r}: the dataset of this set-up is {own!r}; for another "
            "one give its --name"
        )
    found = [(part, await find_made(part)) for part in parts]
    known = {part.kind: existing for part, existing in found if existing is not None}
    steps: list[Step] = []
    going: list[tuple[Part, Existing | None]] = []
    stays: dict[Kind, str] = {}  # and why
    for part, existing in reversed(found):
        if existing is None:
            continue
        why = await _why_it_stays(client, part, known, delete_data, stays)
        action = Action.LEAVE if why else Action.DELETE
        steps.append(Step(action, part.kind, part.name, existing.id, (why,) if why else ()))
        if why:
            stays[part.kind] = why
        else:
            going.append((part, existing))
    return Plan(tuple(steps), tuple(going))


async def _why_it_stays(
    client: Client, part: Part, known: Known, delete_data: str, stays: Mapping[Kind, str]
) -> str:
    existing = known[part.kind]
    if part.kind is Kind.NAMESPACE:
        return "AEP cannot delete identity namespaces"
    if part.kind is Kind.DATASET:
        return await _why_data_stays(client, part, existing, delete_data)
    if part.kind is Kind.SCHEMA:
        return _why_schema_stays(existing, known, stays)
    if part.kind is Kind.FIELD_GROUP and Kind.SCHEMA in stays:
        return "its schema stays"
    try:
        if part.kind is Kind.FIELD_GROUP:
            part.compare(existing, known)
    except Conflict:
        return _FOREIGN
    return ""


def _why_schema_stays(existing: Existing, known: Known, stays: Mapping[Kind, str]) -> str:
    group = known.get(Kind.FIELD_GROUP)
    if group is None or group.id not in references(existing.body):
        return _FOREIGN
    if Kind.DATASET in stays:
        return "its dataset stays"
    if in_profile(existing.body):
        return "AEP does not delete a schema that is enabled for Profile"
    return ""


async def _why_data_stays(client: Client, part: Part, existing: Existing, delete_data: str) -> str:
    if not is_ours(existing.body):
        return "it was not made by this command (no tag managedBy: pendo-to-aep)"
    if delete_data != part.name and await catalog.has_data(client, existing.id):
        return f'it holds data; to delete that too: --delete-data "{part.name}"'
    return ""


async def carry_out_destruction(plan: Plan, client: Client, delete_data: str, tell: Tell) -> bool:
    """Deletes what goes; whatever AEP refuses is told, with what stands on it.

    Returns:
        Whether all that AEP can delete is gone: nobody can delete a namespace, and Adobe
        documents no way to delete a mapping set.

    Raises:
        PlatformError: it cannot go on; what has gone until then was told.
    """
    kept = [step for step in plan.steps if step.action is Action.LEAVE]
    for step in kept:
        tell(step)
    is_complete = all(step.kind is Kind.NAMESPACE for step in kept)
    for part, existing in plan.parts:
        if existing is None:
            continue
        why = ""
        if part.kind is Kind.DATASET:  # now that its flow is gone, nothing comes in any more
            why = await _why_data_stays(client, part, existing, delete_data)
        try:
            if not why:
                await _delete(part, existing, client.patience, tell)
        except Refused as refused:
            why = str(refused)
        action = Action.LEAVE if why else Action.DELETE
        tell(Step(action, part.kind, part.name, existing.id, (why,) if why else ()))
        is_complete = is_complete and (not why or part.kind is Kind.MAPPING_SET)
    return is_complete


async def _delete(part: Part, existing: Existing, patience: Patience, tell: Tell) -> None:
    """Deletes a part; looks whether it is gone where nobody knows."""
    failures = 0
    is_there = True
    while is_there:
        try:
            await part.delete(existing)
            is_there = False
        except Refused as refused:
            if refused.status != _GONE:
                raise
            is_there = False
        except OutcomeUnknown as unknown:
            failures += 1
            try:
                if failures >= patience.attempts:
                    raise
                await asyncio.sleep(patience.pause(failures, unknown.pause))
                is_there = existing.id in await part.find()
            except (PlatformError, asyncio.CancelledError):
                tell(Step(Action.UNKNOWN, part.kind, part.name, existing.id))
                raise
