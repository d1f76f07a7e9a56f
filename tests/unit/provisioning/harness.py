"""Plans, applies and destroys a set-up on the AEP platform stand-in, and looks at the result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import pytest

from local.aep import AepServer
from local.aep_platform import Call, CallRecord, Drop, PlatformServer, PlatformState
from local.samples import load_samples
from pendo_aep.aep.client import StreamingClient
from pendo_aep.aep.format import Raw
from pendo_aep.event import read_event
from pendo_aep.http import http_connection
from pendo_aep.provisioning import mapping_set, schema_registry
from pendo_aep.provisioning.apply import apply_plan
from pendo_aep.provisioning.client import RetryPolicy
from pendo_aep.provisioning.connection import Platform, connect
from pendo_aep.provisioning.deliver_settings import find_deliver_settings
from pendo_aep.provisioning.desired import (
    Choices,
    desired_resources,
    possible_resources,
    with_available_groups,
)
from pendo_aep.provisioning.destroy import apply_destroy_plan, plan_destroy
from pendo_aep.provisioning.plan import Action, Plan, Step, make_plan
from pendo_aep.provisioning.resource import Kind
from pendo_aep.provisioning.schema import STANDARD_GROUPS, StandardGroup, field_group_body
from pendo_aep.settings import DeliverSettings, PlatformSettings, load
from tests.cases import table

FAST_RETRIES: Final = RetryPolicy(
    attempts=3, initial_seconds=0.001, max_seconds=1.0, timeout_seconds=5.0
)
NAME: Final = Choices().name
# Every combination, except for an authenticated inlet of both formats.
ALL_CHOICES: Final = {
    "pendo": Choices(),
    "http raw": Choices(source="http", authenticated=True),
    "http xdm": Choices(source="http", format="xdm"),
    "profile": Choices(profile=True),
}
# Samples that the version before mapped to something else: by their answers, ratings, visitors.
_NAMES: Final = {"nps_submitted_comment", "poll_submitted_several", "guide_displayed_anonymous"}
SAMPLES: Final = [sample for sample in load_samples() if sample.name in _NAMES]
BROWSER: Final = next(group for group in STANDARD_GROUPS if group.root == "environment")


_MADE: Final[dict[object, PlatformState]] = {}


@dataclass(slots=True)
class Harness:
    """A platform, and the commands that change it.

    Attributes:
        aep: issues the tokens and has the inlets.
        platform: the APIs.
        overrides: settings that differ from the usual ones.
        reported: the steps of the last run, also of one that failed.
        is_complete: whether the last `destroy` has deleted everything.
    """

    aep: AepServer
    platform: PlatformServer
    overrides: dict[str, str] = field(default_factory=dict)
    reported: list[Step] = field(default_factory=list)
    is_complete: bool = False

    @property
    def state(self) -> PlatformState:
        """What the sandbox prod holds."""
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
            **self.overrides,
        }

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Platform]:
        """Connects as the command does, with fast retries."""
        async with connect(load(PlatformSettings, self.environ), FAST_RETRIES) as platform:
            yield platform

    async def plan(self, choices: Choices | None = None) -> list[Step]:
        """Returns the steps that `apply` would take."""
        async with self.connected() as platform:
            return list((await plan_of(platform, choices)).steps)

    async def apply(self, choices: Choices | None = None) -> list[Step]:
        """Applies the choices, and returns what was reported."""
        self.reported.clear()
        async with self.connected() as platform:
            await apply_plan(await plan_of(platform, choices), self.reported.append)
        return list(self.reported)

    async def set_up(self, choices: Choices | None = None) -> None:
        """Puts on the platform what `apply` makes with these choices and settings."""
        key = (choices or Choices(), *sorted(self.overrides.items()))
        await self.restore(key, lambda first: first.apply(choices))

    async def restore(self, key: object, make: Callable[[Harness], Awaitable[object]]) -> None:
        """Puts on the platform what `make` makes on one of its own, once for all tests."""
        if key not in _MADE:
            async with new_harness() as first:
                first.overrides.update(self.overrides)
                await make(first)
                _MADE[key] = first.state
        self.platform.restore(_MADE[key])

    async def plan_destroy(self, delete_data: str = "") -> Plan:
        """Returns what `destroy` would do."""
        async with self.connected() as platform:
            resources = possible_resources(platform.client, platform.tenant, NAME)
            return await plan_destroy(resources, delete_data)

    async def destroy(self, delete_data: str = "") -> list[Step]:
        """Destroys the set-up, and returns what was reported."""
        self.reported.clear()
        async with self.connected() as platform:
            resources = possible_resources(platform.client, platform.tenant, NAME)
            plan = await plan_destroy(resources, delete_data)
            self.is_complete = await apply_destroy_plan(plan, delete_data, self.reported.append)
        return list(self.reported)

    async def show(self) -> dict[str, str]:
        """Returns the settings of `deliver`."""
        async with self.connected() as platform:
            resources = possible_resources(platform.client, platform.tenant, NAME)
            return await find_deliver_settings(platform.client, platform.tenant, resources)

    def cut_off(self, drop: Drop, after: int) -> None:
        """Drops a changing call after so many others, and then every call of any kind."""
        before = len(self.state.calls)

        def is_cut_off(_: Call) -> bool:
            return any(record.status is None for record in self.state.calls[before:])

        self.platform.fail(drop, after=after)
        self.platform.fail(Drop.BEFORE, matching=is_cut_off, times=None)


async def plan_of(platform: Platform, choices: Choices | None) -> Plan:
    """Returns the plan for the choices."""
    choices = choices or Choices()
    tenant = await with_available_groups(platform.client, platform.tenant, choices)
    return await make_plan(desired_resources(platform.client, tenant, choices))


@asynccontextmanager
async def new_harness() -> AsyncIterator[Harness]:
    """Starts a harness on an empty platform."""
    async with AepServer() as aep, PlatformServer(aep, sandbox_names=("prod", "dev")) as platform:
        yield Harness(aep, platform)


async def apply_version_before(harness: Harness, choices: Choices | None = None) -> None:
    """Applies the choices as the version before did.

    Its mappings and fields are recorded in `tests/data/aep_version_before.json`; it had one
    namespace, for all visitors, no descriptors and no error diagnostics.
    """
    await harness.restore(("before", choices), lambda first: _apply_before(first, choices))


async def _apply_before(harness: Harness, choices: Choices | None) -> None:
    before: Any = table("aep_version_before")

    def field_group(title: str, tenant_id: str, _: object) -> Any:
        body = field_group_body(title, tenant_id)
        own = body["definitions"]["customFields"]["properties"]["_acme"]["properties"]
        own["pendo"]["properties"] = before["fields"]
        return body

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema_registry, "field_group_body", field_group)
        patch.setattr(mapping_set, "mappings", lambda *_: before["mappings"])
        patch.setitem(harness.overrides, "AEP_ANONYMOUS_VISITORS", "same")
        await harness.apply(choices)
    harness.state.descriptors.clear()
    del only(harness.state.datasets).body["enableErrorDiagnostics"]


async def send_samples(harness: Harness) -> list[dict[str, Any]]:
    """Sends the samples as `deliver` does in the format `raw`; returns all rows stored."""
    messages = [
        Raw().encode(data, read_event(data))
        for data in (orjson.dumps(sample.event) for sample in SAMPLES)
    ]
    environment = {"GOOGLE_CLOUD_PROJECT": "p", **await harness.show()}
    settings = load(DeliverSettings, environment)
    async with harness.connected() as platform:
        connection = http_connection("AEP", lambda: platform.session)
        client = StreamingClient.of(settings, connection, platform.tokens)
        response = await client.post(messages, asyncio.get_running_loop().time() + 10)
    assert response.status == 207
    assert (harness.state.lost, only(harness.state.flows).errors) == ([], [])
    rows: list[dict[str, Any]] = only(harness.state.datasets).rows
    return rows


def remove_group(state: PlatformState, group: StandardGroup) -> None:
    """Removes one of Adobe's field groups from the registry."""
    state.standard = {key: one for key, one in state.standard.items() if key != group.id}


def own_fields(state: PlatformState) -> Any:
    """Returns the fields under `_acme.pendo`, which a test may change."""
    own = only(state.field_groups).body["definitions"]["customFields"]["properties"]["_acme"]
    return own["properties"]["pendo"]["properties"]


def is_preview(call: Call) -> bool:
    """Returns whether a call previews a mapping set."""
    return call.path.endswith("/mappingSets/preview")


def actions(steps: list[Step]) -> list[tuple[Action, Kind]]:
    """Returns the action and the kind of each step."""
    return [(step.action, step.kind) for step in steps]


def changes(steps: list[Step]) -> dict[Kind, tuple[str, ...]]:
    """Returns the details of the steps that change a resource."""
    return {step.kind: step.details for step in steps if step.action is Action.CHANGE}


def shape(state: PlatformState) -> dict[str, list[Any]]:
    """Returns all that exists, with names in the place of ids, so that it can be compared."""
    kinds: dict[str, dict[str, Any]] = {
        "field groups": {i: x.body for i, x in state.field_groups.items()},
        "schemas": {i: x.body for i, x in state.schemas.items()},
        "datasets": {i: x.body for i, x in state.datasets.items()},
        "connections": {i: x.body for i, x in state.connections.items()},
        "sources": {i: x.body for i, x in state.source_connections.items()},
        "targets": {i: x.body for i, x in state.target_connections.items()},
        "mapping sets": {i: x.versions[-1]["body"] for i, x in state.mapping_sets.items()},
        "flows": {i: {**x.body, "enabled": x.enabled} for i, x in state.flows.items()},
        "descriptors": {i: as_sent(x) for i, x in state.descriptors.items()},
    }
    text = orjson.dumps({kind: list(found.values()) for kind, found in kinds.items()}).decode()
    for kind, found in kinds.items():
        for resource_id, body in found.items():
            text = text.replace(resource_id, f"{kind} {body.get('title') or body.get('name')}")
    shown: dict[str, list[Any]] = orjson.loads(text)
    return shown | {"namespaces": sorted(state.namespaces)}


def as_sent(descriptor: dict[str, Any]) -> dict[str, Any]:
    """Returns a descriptor without what the registry adds."""
    return {k: v for k, v in descriptor.items() if k.startswith(("xdm:", "meta:enum", "@type"))}


def different_calls(calls: list[CallRecord]) -> list[int]:
    """Returns the numbers of calls that are worth to be interrupted.

    Of those for descriptors, which follow each other and are alike, only the first and the last.
    """
    alike = [number for number, call in enumerate(calls) if "/descriptors" in call.path]
    return [number for number in range(len(calls)) if number not in alike[1:-1]]


def only(found: dict[str, Any]) -> Any:
    """Returns the one value that there is."""
    (value,) = found.values()
    return value


def ids_of(state: PlatformState) -> set[str]:
    """Returns the ids of all that the set-up has created, as `aep` reports them.

    Descriptors are reported as one resource, with the id of their schema.
    """
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
