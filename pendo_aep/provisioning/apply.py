"""Applies a plan, and waits until AEP takes data. It may be interrupted anywhere, and run again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, TypeVar

from pendo_aep import clock
from pendo_aep.provisioning.errors import (
    NotKept,
    PlatformError,
    RequestRejected,
    UncertainOutcome,
)
from pendo_aep.provisioning.plan import Action, Plan, Step, find_one, refused_step
from pendo_aep.provisioning.resource import Kind, Observed, Resource

Report: TypeAlias = Callable[[Step], None]
"""Is called with each step once it has been done, so that nothing is done without a report."""
Check: TypeAlias = Callable[[Observed], Awaitable[None]]
"""Takes the schema once it has all its fields, before anything that uses it is changed."""
T = TypeVar("T")

# A schema is created and then enabled for Profile; if it takes more, AEP does not keep the change.
_MAX_CHANGES: Final = 3

# Adobe: "HTTP API connector": pause for 5 minutes after a streaming dataflow is created or updated.
FLOW_SECONDS: Final = 300.0
# Adobe: "Streaming validation": a changed schema may take 15 minutes to reach it.
FIELDS_SECONDS: Final = 900.0


async def apply_plan(
    plan: Plan, report: Report, check: Check | None = None
) -> dict[Kind, Observed]:
    """Creates what is missing, changes what must change, and leaves the rest alone.

    What is optional and AEP refuses is reported, and stops nothing.

    Args:
        plan: what to do.
        report: is called with each step.
        check: may stop it with an exception; if the schema exists, before anything is created.

    Returns:
        Every resource, as it is now.

    Raises:
        PlatformError: it cannot continue; what was done until then has been reported.
    """
    resolved: dict[Kind, Observed] = {}
    if check is not None and (schema := plan.finished_schema) is not None:
        await check(schema)
        check = None
    for resource, observed in plan.resources:
        try:
            resolved[resource.kind] = await _Reconciler(resource, resolved, report).run(observed)
        except (RequestRejected, NotKept) as refusal:
            if not resource.is_optional:
                raise
            report(refused_step(resource, refusal, observed.id if observed else ""))
        if resource.kind is Kind.SCHEMA and check is not None:
            await check(resolved[Kind.SCHEMA])
    for step in plan.refused:
        report(step)
    return resolved


class _Reconciler:
    """Brings one resource to its desired state."""

    def __init__(self, resource: Resource, resolved: dict[Kind, Observed], report: Report) -> None:
        self._resource = resource
        self._resolved = resolved
        self._report = report
        self._failures = 0
        self._changes = 0
        self._has_reported = False

    async def run(self, observed: Observed | None) -> Observed:
        while True:
            try:
                if observed is None:
                    observed = await self._create()
                elif changes := self._resource.compare(observed, self._resolved):
                    if self._can_do_without(changes):
                        self._step(Action.REFUSED, observed.id, _not_kept(changes))
                        break
                    observed = await self._update(observed, changes)
                else:
                    break
            except UncertainOutcome as uncertain:
                observed = await self._observe_again(observed, uncertain)
        if not self._has_reported:
            self._step(Action.KEEP, observed.id)
        return observed

    async def _create(self) -> Observed:
        resource_id = await self._guard(self._resource.create(self._resolved), "")
        self._step(Action.CREATE, resource_id)
        return await self._resource.read(resource_id)

    async def _update(self, observed: Observed, changes: tuple[str, ...]) -> Observed:
        if self._changes == _MAX_CHANGES:
            raise NotKept(
                f"AEP does not keep what is changed in the {self._resource.kind} "
                f"{self._resource.name!r} ({observed.id}): {'; '.join(changes)}: change it by hand"
            )
        self._changes += 1
        update = self._resource.update(observed, self._resolved)
        updated = await self._guard(update, observed.id)
        self._step(Action.CHANGE, observed.id, changes)
        return updated or await self._resource.read(observed.id)

    def _can_do_without(self, changes: tuple[str, ...]) -> bool:
        """Returns whether AEP keeps not even the last try at changes that are optional."""
        return self._changes == _MAX_CHANGES and self._resource.optional_changes.issuperset(changes)

    async def _guard(self, call: Awaitable[T], resource_id: str) -> T:
        """Reports a call that is cancelled half-way."""
        try:
            return await call
        except asyncio.CancelledError:
            self._step(Action.UNKNOWN, resource_id)
            raise

    async def _observe_again(
        self, before: Observed | None, uncertain: UncertainOutcome
    ) -> Observed | None:
        """Looks for the resource after an uncertain outcome: no call is repeated blindly."""
        self._failures += 1
        policy = self._resource.client.retry_policy
        try:
            if self._failures >= policy.attempts:
                raise uncertain
            await asyncio.sleep(policy.pause(self._failures, uncertain.retry_after))
            observed = await find_one(self._resource)
        except (PlatformError, asyncio.CancelledError):
            self._step(Action.UNKNOWN, before.id if before else "")
            raise
        if observed is not None and before is None:
            self._step(Action.CREATE, observed.id)
        elif observed is not None and before is not None:
            open_changes = self._resource.compare(observed, self._resolved)
            changes = self._resource.compare(before, self._resolved)
            if done := tuple(change for change in changes if change not in open_changes):
                self._step(Action.CHANGE, observed.id, done)
        return observed

    def _step(self, action: Action, resource_id: str, details: tuple[str, ...] = ()) -> None:
        self._has_reported = True
        self._report(Step(action, self._resource.kind, self._resource.name, resource_id, details))


def _not_kept(changes: tuple[str, ...]) -> tuple[str, ...]:
    return (*changes, "AEP does not keep it: change it by hand; events are stored without it")


def remaining_field_wait(field_group: Observed, wait: float) -> float:
    """Returns the seconds of the wait that are left since fields were added to a field group.

    There is none for a group that has not changed since it was created. Adobe: the dates of a
    resource are in its `meta:registryMetadata`, in milliseconds.
    """
    dates = field_group.body.get("meta:registryMetadata", {})
    created, changed = dates.get("repo:createdDate"), dates.get("repo:lastModifiedDate")
    if not isinstance(changed, int | float) or changed == created:
        return 0.0
    return _remaining(changed, wait)


def remaining_flow_wait(flow: Observed, wait: float) -> float:
    """Returns the seconds of the wait that are left since a flow was created or last updated.

    AEP does not tell when a dataflow can take data, so its age decides. If AEP does not say when
    it was changed, all of the wait is left.
    """
    moments = (flow.body.get("createdAt"), flow.body.get("updatedAt"))
    changes = [moment for moment in moments if isinstance(moment, int | float)]
    return _remaining(max(changes), wait) if changes else wait


def _remaining(moment: float, wait: float) -> float:
    age = clock.now().timestamp() - moment / 1000  # Adobe: milliseconds since 1970
    return min(max(wait - age, 0.0), wait)  # the clocks may differ: never longer than the wait


async def wait_until_ready(seconds: float, say: Callable[[str], None]) -> None:
    """Waits, and says every second how long it still takes."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (left := end - loop.time()) > 0:
        say(f"the dataflow takes data in about {left:.0f} s")
        await asyncio.sleep(min(left, 1.0))
