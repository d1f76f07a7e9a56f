"""Making AEP what it should be. May be interrupted at any call, and run again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, TypeVar

from pendo_aep.provisioning.errors import OutcomeUnknown, PlatformError
from pendo_aep.provisioning.part import Existing, Kind, Part
from pendo_aep.provisioning.patience import Patience
from pendo_aep.provisioning.plan import Action, Plan, Step, find_one

Tell: TypeAlias = Callable[[Step], None]
"""Is told of each step when it has been done, so that nothing is done without being told."""
Check: TypeAlias = Callable[[Existing], Awaitable[None]]
"""Takes the schema once it has all its fields, before anything that uses it is made or changed."""
T = TypeVar("T")

# A schema is made and then enabled for Profile; what wants more than this is not being kept.
_MOST_CHANGES: Final = 3


async def carry_out(
    plan: Plan, patience: Patience, tell: Tell, check: Check | None = None
) -> dict[Kind, Existing]:
    """Makes what is missing, changes what must change, and leaves the rest alone.

    Args:
        plan: what to do.
        patience: how often to try.
        tell: is called with each step.
        check: may stop it with an exception, before anything is made where the schema is there.

    Returns:
        Every part, as it is now.

    Raises:
        PlatformError: it cannot go on; what has been done until then was told.
    """
    known: dict[Kind, Existing] = {}
    if check is not None and (schema := plan.finished_schema) is not None:
        await check(schema)
        check = None
    for part, existing in plan.parts:
        known[part.kind] = await _Making(part, known, patience, tell).ensure(existing)
        if part.kind is Kind.SCHEMA and check is not None:
            await check(known[Kind.SCHEMA])
    return known


class _Making:
    """One part on its way to what it should be."""

    def __init__(
        self, part: Part, known: dict[Kind, Existing], patience: Patience, tell: Tell
    ) -> None:
        self._part = part
        self._known = known
        self._patience = patience
        self._tell = tell
        self._failures = 0
        self._changes = 0
        self._is_told = False

    async def ensure(self, existing: Existing | None) -> Existing:
        while True:
            try:
                if existing is None:
                    existing = await self._create()
                elif changes := self._part.compare(existing, self._known):
                    existing = await self._change(existing, changes)
                else:
                    break
            except OutcomeUnknown as unknown:
                existing = await self._look_again(existing, unknown)
        if not self._is_told:
            self._say(Action.KEEP, existing.id)
        return existing

    async def _create(self) -> Existing:
        part_id = await self._watch(self._part.create(self._known), "")
        self._say(Action.CREATE, part_id)
        return await self._part.read(part_id)

    async def _change(self, existing: Existing, changes: tuple[str, ...]) -> Existing:
        if self._changes == _MOST_CHANGES:
            raise PlatformError(
                f"AEP does not keep what is changed in the {self._part.kind} "
                f"{self._part.name!r} ({existing.id}): {'; '.join(changes)}: change it by hand"
            )
        self._changes += 1
        changed = await self._watch(self._part.change(existing, self._known), existing.id)
        self._say(Action.CHANGE, existing.id, changes)
        return changed or await self._part.read(existing.id)

    async def _watch(self, call: Awaitable[T], part_id: str) -> T:
        try:
            return await call
        except asyncio.CancelledError:  # interrupted half-way
            self._say(Action.UNKNOWN, part_id)
            raise

    async def _look_again(
        self, before: Existing | None, unknown: OutcomeUnknown
    ) -> Existing | None:
        """What there is after a call whose outcome nobody knows: nothing is made twice blindly."""
        self._failures += 1
        try:
            if self._failures >= self._patience.attempts:
                raise unknown
            await asyncio.sleep(self._patience.pause(self._failures, unknown.pause))
            existing = await find_one(self._part)
        except (PlatformError, asyncio.CancelledError):
            self._say(Action.UNKNOWN, before.id if before else "")
            raise
        if existing is not None and before is None:
            self._say(Action.CREATE, existing.id)
        elif existing is not None and before is not None:
            still = self._part.compare(existing, self._known)
            done = [x for x in self._part.compare(before, self._known) if x not in still]
            if done:
                self._say(Action.CHANGE, existing.id, tuple(done))
        return existing

    def _say(self, action: Action, part_id: str, details: tuple[str, ...] = ()) -> None:
        self._is_told = True
        self._tell(Step(action, self._part.kind, self._part.name, part_id, details))
