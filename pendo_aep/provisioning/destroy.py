"""Deletes what `apply` has created, unless AEP refuses or data would be lost without consent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from pendo_aep.provisioning.apply import Report
from pendo_aep.provisioning.dataset import Dataset
from pendo_aep.provisioning.errors import (
    Conflict,
    PlatformError,
    RequestRejected,
    UncertainOutcome,
)
from pendo_aep.provisioning.plan import Action, Plan, Step, find_existing
from pendo_aep.provisioning.resource import Kind, Observed, Resolved, Resource
from pendo_aep.provisioning.schema_registry import in_profile, references

_FOREIGN: Final = "it has the name, but this command has not created it"


async def plan_destroy(resources: Sequence[Resource], delete_data: str) -> Plan:
    """Plans what to delete and what stays, the last created first.

    Args:
        resources: in the order of creation.
        delete_data: the name of a dataset that may be deleted with all its data.

    Raises:
        Conflict: there are several resources of a name.
        PlatformError: `delete_data` names another dataset.
    """
    own = next(one.name for one in resources if one.kind is Kind.DATASET)
    if delete_data not in ("", own):
        raise PlatformError(
            f"--delete-data {delete_data!r}: the dataset of this set-up is {own!r}; for another "
            "one give its --name"
        )
    found = [(one, observed) for one in resources if (observed := await find_existing(one))]
    resolved = {resource.kind: observed for resource, observed in found}
    steps: list[Step] = []
    to_delete: list[tuple[Resource, Observed | None]] = []
    kept: dict[Kind, str] = {}  # with the reason
    for resource, observed in reversed(found):
        reason = await _reason_to_keep(resource, resolved, delete_data, kept)
        steps.append(_step(resource, observed, reason))
        if reason:
            kept[resource.kind] = reason
        else:
            to_delete.append((resource, observed))
    return Plan(tuple(steps), tuple(to_delete))


def _step(resource: Resource, observed: Observed, reason: str) -> Step:
    action = Action.LEAVE if reason else Action.DELETE
    return Step(action, resource.kind, resource.name, observed.id, (reason,) if reason else ())


async def _reason_to_keep(
    resource: Resource, resolved: Resolved, delete_data: str, kept: Mapping[Kind, str]
) -> str:
    observed = resolved[resource.kind]
    if resource.kind is Kind.NAMESPACE:
        return "AEP cannot delete identity namespaces"
    if isinstance(resource, Dataset):
        return await _reason_to_keep_data(resource, observed, delete_data)
    if resource.kind is Kind.SCHEMA:
        return _reason_to_keep_schema(observed, resolved, kept)
    if resource.kind in (Kind.FRIENDLY_NAMES, Kind.LABELS):
        is_kept = _reason_to_keep_schema(resolved[Kind.SCHEMA], resolved, kept)
        return "their schema stays" if is_kept else ""
    if resource.kind is Kind.ACCOUNT_RELATIONSHIP:
        # Its schema always stays, being in Profile; the relationship can go.
        reason = _reason_to_keep_schema(resolved[Kind.SCHEMA], resolved, kept)
        return reason if reason == _FOREIGN else ""
    if resource.kind is Kind.FIELD_GROUP:
        if Kind.SCHEMA in kept:
            return "its schema stays"
        try:
            resource.compare(observed, resolved)
        except Conflict:
            return _FOREIGN
    return ""


def _reason_to_keep_schema(schema: Observed, resolved: Resolved, kept: Mapping[Kind, str]) -> str:
    group = resolved.get(Kind.FIELD_GROUP)
    if group is None or group.id not in references(schema):
        return _FOREIGN
    if Kind.DATASET in kept:
        return "its dataset stays"
    if in_profile(schema):
        return "AEP does not delete a schema that is enabled for Profile"
    return ""


async def _reason_to_keep_data(dataset: Dataset, observed: Observed, delete_data: str) -> str:
    if not dataset.is_ours(observed):
        return "this command has not created it (it has no tag managedBy: pendo-to-aep)"
    if delete_data != dataset.name and await dataset.has_data(observed):
        return f'it holds data; to delete that too: --delete-data "{dataset.name}"'
    return ""


async def apply_destroy_plan(plan: Plan, delete_data: str, report: Report) -> bool:
    """Deletes what the plan says, and reports what AEP refuses to delete.

    Returns:
        Whether all is deleted that can be: nobody can delete a namespace, and Adobe documents no
        way to delete a mapping set.

    Raises:
        PlatformError: it cannot continue; what was deleted until then has been reported.
    """
    kept = [step for step in plan.steps if step.action is Action.LEAVE]
    for step in kept:
        report(step)
    is_complete = all(step.kind is Kind.NAMESPACE for step in kept)
    for resource, observed in plan.resources:
        if observed is None:
            continue
        reason = ""
        if isinstance(resource, Dataset):  # its dataflow is deleted, so no more data comes in
            reason = await _reason_to_keep_data(resource, observed, delete_data)
        try:
            if not reason:
                await _delete(resource, observed, report)
        except RequestRejected as rejected:
            reason = str(rejected)
        report(_step(resource, observed, reason))
        is_complete = is_complete and (not reason or resource.kind is Kind.MAPPING_SET)
    return is_complete


async def _delete(resource: Resource, observed: Observed, report: Report) -> None:
    """Deletes a resource; after an uncertain outcome, looks whether it still exists."""
    policy = resource.client.retry_policy
    failures = 0
    exists = True
    while exists:
        try:
            await resource.delete(observed)
            exists = False
        except RequestRejected as rejected:
            if rejected.status != 404:
                raise
            exists = False
        except UncertainOutcome as uncertain:
            failures += 1
            try:
                if failures >= policy.attempts:
                    raise
                await asyncio.sleep(policy.pause(failures, uncertain.retry_after))
                exists = observed.id in await resource.find()
            except (PlatformError, asyncio.CancelledError):
                report(Step(Action.UNKNOWN, resource.kind, resource.name, observed.id))
                raise
