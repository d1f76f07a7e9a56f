"""What the tests of the set-up do: plan, apply and destroy on a platform, look what is there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from local.aep import AepServer
from local.aep_platform import Call, Drop, PlatformServer, PlatformState
from pendo_aep.provisioning.apply import carry_out
from pendo_aep.provisioning.choices import Choices
from pendo_aep.provisioning.connection import Platform, connect
from pendo_aep.provisioning.destroy import carry_out_destruction, plan_destruction
from pendo_aep.provisioning.environment import find_environment
from pendo_aep.provisioning.part import Kind, Part
from pendo_aep.provisioning.patience import Patience
from pendo_aep.provisioning.plan import Action, Step, make_plan
from pendo_aep.provisioning.wanted import possible_parts, wanted_parts, with_groups_found
from pendo_aep.settings import PlatformSettings, load

QUICK: Final = Patience(attempts=3, first_seconds=0.001, longest_seconds=1.0, call_seconds=5.0)
NAME: Final = Choices().name
# Every combination that there is, but for the authenticated inlet of both formats.
ALL_CHOICES: Final = {
    "pendo": Choices(),
    "http raw": Choices(source="http", authenticated=True),
    "http xdm": Choices(source="http", format="xdm"),
    "profile": Choices(profile=True),
}


@dataclass(slots=True)
class Desk:
    """A platform, and somebody who sets it up.

    Attributes:
        aep: issues the tokens and has the inlets.
        platform: the APIs.
        changes: settings that are not as usual.
        told: the steps of the last run, also of one that failed.
        is_complete: whether the last `destroy` has deleted all.
    """

    aep: AepServer
    platform: PlatformServer
    changes: dict[str, str] = field(default_factory=dict)
    told: list[Step] = field(default_factory=list)
    is_complete: bool = False

    @property
    def state(self) -> PlatformState:
        """What there is."""
        return self.platform.state

    @property
    def environ(self) -> dict[str, str]:
        """The environment that the command reads."""
        return {
            "AEP_PLATFORM_URL": self.platform.url,
            "AEP_IMS_URL": self.aep.url,
            "AEP_CLIENT_ID": self.aep.client_id,
            "AEP_CLIENT_SECRET": self.aep.client_secret,
            "AEP_IMS_ORG_ID": self.platform.ims_org_id,
            **self.changes,
        }

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Platform]:
        """The platform, as the command reaches it, with little patience."""
        async with connect(load(PlatformSettings, self.environ), QUICK) as platform:
            yield platform

    async def plan(self, choices: Choices | None = None) -> list[Step]:
        """What would be done."""
        async with self.connected() as platform:
            return list((await make_plan(await _parts(platform, choices))).steps)

    async def apply(self, choices: Choices | None = None) -> list[Step]:
        """Does it, and answers what was told."""
        self.told.clear()
        async with self.connected() as platform:
            plan = await make_plan(await _parts(platform, choices))
            await carry_out(plan, QUICK, self.told.append)
        return list(self.told)

    async def destroy(self, delete_data: str = "", name: str = NAME) -> list[Step]:
        """Takes it down, and answers what was told."""
        self.told.clear()
        async with self.connected() as platform:
            parts = possible_parts(platform.client, platform.tenant, name)
            plan = await plan_destruction(platform.client, parts, delete_data)
            self.is_complete = await carry_out_destruction(
                plan, platform.client, delete_data, self.told.append
            )
        return list(self.told)

    async def show(self) -> dict[str, str]:
        """What `deliver` must be told."""
        async with self.connected() as platform:
            parts = possible_parts(platform.client, platform.tenant, NAME)
            return await find_environment(platform.client, platform.tenant, parts)

    def go_dark(self, drop: Drop, after: int) -> None:
        """Cuts a changing call after so many others, and every call of any kind from then on."""
        before = len(self.state.calls)

        def is_dark(_: Call) -> bool:
            return any(record.status is None for record in self.state.calls[before:])

        self.platform.fail(drop, after=after)
        self.platform.fail(Drop.BEFORE, matching=is_dark, times=None)


async def _parts(platform: Platform, choices: Choices | None) -> tuple[Part, ...]:
    choices = choices or Choices()
    tenant = await with_groups_found(platform.client, platform.tenant, choices)
    return wanted_parts(platform.client, tenant, choices)


@asynccontextmanager
async def new_desk() -> AsyncIterator[Desk]:
    """A desk on an empty platform."""
    async with AepServer() as aep, PlatformServer(aep, sandbox_names=("prod", "dev")) as platform:
        yield Desk(aep, platform)


def actions(steps: list[Step]) -> list[tuple[Action, Kind]]:
    """What was done with what."""
    return [(step.action, step.kind) for step in steps]


def shape(state: PlatformState) -> dict[str, list[Any]]:
    """All that there is, with names in the place of ids: equal for what is the same."""
    kinds: dict[str, dict[str, Any]] = {
        "field groups": {i: x.body for i, x in state.field_groups.items()},
        "schemas": {i: x.body for i, x in state.schemas.items()},
        "datasets": {i: x.body for i, x in state.datasets.items()},
        "connections": {i: x.body for i, x in state.connections.items()},
        "sources": {i: x.body for i, x in state.source_connections.items()},
        "targets": {i: x.body for i, x in state.target_connections.items()},
        "mapping sets": {i: _latest(x.versions) for i, x in state.mapping_sets.items()},
        "flows": {i: x.body for i, x in state.flows.items()},
    }
    text = orjson.dumps({kind: list(found.values()) for kind, found in kinds.items()}).decode()
    for kind, found in kinds.items():
        for thing_id, body in found.items():
            text = text.replace(thing_id, f"{kind} {body.get('title') or body.get('name')}")
    shown: dict[str, list[Any]] = orjson.loads(text)
    return shown | {"namespaces": sorted(state.namespaces)}


def _latest(versions: list[Any]) -> Any:
    return versions[-1]["body"]


def only(found: dict[str, Any]) -> Any:
    """The one value that there is."""
    (value,) = found.values()
    return value


def ids_of(state: PlatformState) -> set[str]:
    """The ids of all that the set-up makes, as `aep` tells them."""
    own = {str(one["id"]) for one in state.namespaces.values() if one["custom"]}
    return own.union(
        state.field_groups,
        state.schemas,
        state.datasets,
        state.connections,
        state.source_connections,
        state.target_connections,
        state.mapping_sets,
        state.flows,
    )


Break = Callable[[PlatformState], object]
"""Something that somebody else does to what is there."""
