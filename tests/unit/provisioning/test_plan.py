"""The plan: what would be created or changed, and what conflicts. It changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, Final, TypeAlias

import pytest

from local.aep_platform import Dataset, PlatformState, Resource
from local.aep_platform.state import Connection
from pendo_aep.provisioning.desired import Choices
from pendo_aep.provisioning.errors import Conflict
from pendo_aep.provisioning.plan import Action
from pendo_aep.provisioning.resource import Kind
from tests.cases import Case, cases
from tests.unit.provisioning.harness import (
    ALL_CHOICES,
    Harness,
    actions,
    changes,
    only,
    own_fields,
    plan_of,
)

Mutation: TypeAlias = Callable[[PlatformState], object]
"""What somebody else does to the resources."""


@pytest.mark.parametrize("choices", ALL_CHOICES.values(), ids=ALL_CHOICES)
async def test_on_an_empty_platform_everything_is_created(
    harness: Harness, choices: Choices
) -> None:
    """Each resource is to be created, and the plan changes nothing."""
    steps = await harness.plan(choices)

    kinds = [Kind.NAMESPACE] * 2 + [Kind.FIELD_GROUP, Kind.SCHEMA, Kind.DATASET]
    kinds += [Kind.CONNECTION] if choices.source == "http" else []
    kinds += [Kind.SOURCE, Kind.TARGET]
    kinds += [Kind.MAPPING_SET] if choices.format == "raw" else []
    kinds += [Kind.FLOW, Kind.FRIENDLY_NAMES, Kind.LABELS]
    assert actions(steps) == [(Action.CREATE, kind) for kind in kinds]
    assert {step.id for step in steps} == {""}
    assert harness.state.changing_calls == []


async def test_what_is_missing_inside_is_named(harness: Harness) -> None:
    """A field, a mapping, Profile: each is a change, and so is what depends on it."""
    await harness.set_up()
    fields = own_fields(harness.state)
    del fields["visitorId"]
    fields["nps"]["properties"]["rating"]["title"] = "Score"
    mapping = only(harness.state.mapping_sets).versions[0]["mappings"].pop()

    steps = await harness.plan(Choices(profile=True))

    assert changes(steps) == {
        Kind.FIELD_GROUP: (
            "field _acme.pendo.visitorId",
            "title of _acme.pendo.nps.rating: 'NPS rating'",
        ),
        Kind.SCHEMA: ("enabled for Profile",),
        Kind.DATASET: ("enabled for Profile",),
        Kind.MAPPING_SET: (f"mapping of {mapping['destination']}",),
        Kind.FLOW: ("the mapping",),
    }


PERMANENT: Final = {
    "visitors": "identity namespace PendoVisitor, type Cross_device",
    "anonymous": "identity namespace PendoAnonymous, type Cookie",
    "addresses": "identity namespace PendoMail, type Email",
    "fields": "the types of the new fields of 'Pendo Events Fields'",
    "profile": "Profile for the schema 'Pendo Events'",
}


NO_ANONYMOUS: Final = {"AEP_ANONYMOUS_VISITORS": "none"}
PROFILE: Final = Choices(profile=True)


@pytest.mark.parametrize(
    ("settings", "choices", "names"),
    [
        ({}, Choices(), "visitors anonymous fields"),
        (NO_ANONYMOUS, PROFILE, "visitors fields profile"),
        (NO_ANONYMOUS | {"AEP_EMAIL_NAMESPACE": "Email"}, Choices(), "visitors fields"),
        ({"AEP_EMAIL_NAMESPACE": "PendoMail"}, Choices(), "visitors anonymous addresses fields"),
    ],
)
async def test_what_can_never_be_taken_back_is_named(
    harness: Harness, settings: dict[str, str], choices: Choices, names: str
) -> None:
    """New namespaces with their types, types of fields, Profile; and nothing once it is there."""
    harness.overrides.update(settings)

    assert await irrevocable(harness, choices) == [PERMANENT[name] for name in names.split()]

    await harness.apply(choices)
    assert await irrevocable(harness, choices) == []
    later = [PERMANENT["profile"]] if not choices.profile else []
    assert await irrevocable(harness, Choices(profile=True)) == later
    del own_fields(harness.state)["nps"]["properties"]["category"]
    assert await irrevocable(harness, choices) == [PERMANENT["fields"]]


async def irrevocable(harness: Harness, choices: Choices) -> list[str]:
    """Returns what the plan says of it."""
    async with harness.connected() as platform:
        return [*(await plan_of(platform, choices)).irrevocable]


async def test_additions_of_others_are_kept(harness: Harness) -> None:
    """Other fields, tags, field groups and descriptions need no change."""
    await harness.set_up()
    own_fields(harness.state)["ours"] = {"title": "Ours", "type": "string"}
    only(harness.state.datasets).body["tags"]["team"] = ["growth"]
    for found in (harness.state.field_groups, harness.state.schemas, harness.state.flows):
        only(found).body["description"] = "Do not touch"

    assert {step.action for step in await harness.plan()} == {Action.KEEP}


def _second_source(state: PlatformState) -> None:
    body = deepcopy(only(state.source_connections).body)
    state.source_connections["second"] = Connection(id="second", body=body)


def _second_dataset(state: PlatformState) -> None:
    state.datasets["second"] = Dataset(id="second", body=deepcopy(only(state.datasets).body))


def _taken_title(state: PlatformState) -> None:
    only(state.schemas).body["title"] = "Pendo Events Fields"
    state.field_groups.clear()


def _taken_display_name(state: PlatformState) -> None:
    state.namespaces["Other"] = {**state.namespaces.pop("PendoVisitor"), "code": "Other"}


def _taken_anonymous_name(state: PlatformState) -> None:
    state.namespaces["Other"] = {**state.namespaces.pop("PendoAnonymous"), "code": "Other"}


MUTATIONS: dict[str, Mutation] = {
    "the display name of anonymous visitors is taken": _taken_anonymous_name,
    "two datasets": _second_dataset,
    "two source connections": _second_source,
    "a title that is taken": _taken_title,
    "a display name that is taken": _taken_display_name,
}


def mutate(state: PlatformState, case: Case) -> None:
    """Does what a row of the table says: sets one value of a resource, or calls its function."""
    if mutation := MUTATIONS.get(case["case"]):
        mutation(state)
        return
    resources = getattr(state, case["in"])
    inner = resources if case["in"] == "namespaces" else only(resources).body
    *path, last = case["path"]
    for key in path:
        inner = inner[key]
    inner[last] = case["value"]


@pytest.mark.parametrize("case", cases("aep_conflicts"))
async def test_a_conflict_is_an_error(harness: Harness, case: Case) -> None:
    """It names the resource, the cause and the next step, before anything is created."""
    harness.overrides.update(case.get("with", {}))
    await harness.set_up()
    mutate(harness.state, case)
    before = len(harness.state.changing_calls)

    with pytest.raises(Conflict) as conflict:
        await harness.apply()

    assert [text for text in case["says"] if text not in str(conflict.value)] == []
    assert harness.reported == []
    assert len(harness.state.changing_calls) == before


async def test_all_conflicts_are_named_at_once(harness: Harness) -> None:
    """One line for each, so that people need not find them one by one."""
    await harness.set_up()
    own_fields(harness.state)["visitorId"]["type"] = "number"
    _second_source(harness.state)

    with pytest.raises(Conflict) as conflict:
        await harness.plan()

    assert len(str(conflict.value).splitlines()) == 2


async def test_other_choices_under_the_same_name_are_an_error(harness: Harness) -> None:
    """A dataflow cannot change its source; the error says how to continue."""
    await harness.set_up()

    with pytest.raises(Conflict, match=r"'Pendo Events Source'.*choose another --name"):
        await harness.apply(Choices(source="http"))

    assert len(harness.state.connections) == 0


async def test_an_open_inlet_cannot_become_authenticated(harness: Harness) -> None:
    """Whoever asks for a token must not keep an inlet that wants none."""
    await harness.set_up(Choices(source="http"))

    with pytest.raises(Conflict, match="authenticationRequired is False, not True"):
        await harness.plan(Choices(source="http", authenticated=True))


async def test_names_are_found_beyond_the_first_page(harness: Harness) -> None:
    """In a sandbox with hundreds of resources, ours are found and not created again."""
    await harness.set_up()
    state = harness.state
    collections = state.source_connections, state.target_connections
    ours = [only(found).body for found in collections]
    schema: Any = only(state.schemas)
    for name in (f"other-{number}" for number in range(250)):
        for found, body in zip(collections, ours, strict=True):
            found[name] = Connection(id=name, body={**body, "name": name})
        body = {**schema.body, "title": name}
        state.schemas[name] = Resource(id=name, kind="schemas", body=body, tenant=state.tenant)
    for found in collections:
        first = next(iter(found))
        found[first] = found.pop(first)  # ours come last

    assert {step.action for step in await harness.plan()} == {Action.KEEP}
