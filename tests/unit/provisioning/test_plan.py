"""The plan: what would be created or changed, and what conflicts. It changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, TypeAlias

import pytest

from local.aep_platform import Dataset, PlatformState, Resource
from local.aep_platform.state import Connection
from pendo_aep.provisioning.desired import Choices
from pendo_aep.provisioning.errors import Conflict
from pendo_aep.provisioning.plan import Action
from pendo_aep.provisioning.resource import Kind
from tests.unit.provisioning.harness import (
    ALL_CHOICES,
    Harness,
    actions,
    changes,
    only,
    own_fields,
)

Mutation: TypeAlias = Callable[[PlatformState], object]
"""What somebody else does to the resources."""


@pytest.mark.parametrize("choices", ALL_CHOICES.values(), ids=ALL_CHOICES)
async def test_on_an_empty_platform_everything_is_created(
    harness: Harness, choices: Choices
) -> None:
    """Each resource is to be created, and the plan changes nothing."""
    steps = await harness.plan(choices)

    kinds = [Kind.NAMESPACE, Kind.FIELD_GROUP, Kind.SCHEMA, Kind.DATASET]
    kinds += [Kind.CONNECTION] if choices.source == "http" else []
    kinds += [Kind.SOURCE, Kind.TARGET]
    kinds += [Kind.MAPPING_SET] if choices.format == "raw" else []
    assert actions(steps) == [(Action.CREATE, kind) for kind in [*kinds, Kind.FLOW]]
    assert {step.id for step in steps} == {""}
    assert harness.state.changing_calls == []


async def test_what_is_missing_inside_is_named(harness: Harness) -> None:
    """A field, a mapping, Profile: each is a change, and so is what depends on it."""
    await harness.apply()
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


async def test_additions_of_others_are_kept(harness: Harness) -> None:
    """Other fields, tags, field groups and descriptions need no change."""
    await harness.apply()
    own_fields(harness.state)["ours"] = {"title": "Ours", "type": "string"}
    only(harness.state.datasets).body["tags"]["team"] = ["growth"]
    for found in (harness.state.field_groups, harness.state.schemas, harness.state.flows):
        only(found).body["description"] = "Do not touch"

    assert {step.action for step in await harness.plan()} == {Action.KEEP}


def _other_type(state: PlatformState) -> None:
    own_fields(state)["nps"]["properties"]["rating"]["type"] = "string"


def _narrower(state: PlatformState) -> None:
    own_fields(state)["visitorId"]["maxLength"] = 8


def _other_class(state: PlatformState) -> None:
    profile = "https://ns.adobe.com/xdm/context/profile"
    only(state.schemas).body["allOf"][0]["$ref"] = profile


def _group_of_other_class(state: PlatformState) -> None:
    only(state.field_groups).body["meta:intendedToExtend"] = ["https://ns.adobe.com/xdm/x"]


def _other_schema(state: PlatformState) -> None:
    only(state.datasets).body["schemaRef"]["id"] = "https://ns.adobe.com/acme/schemas/other"


def _second_dataset(state: PlatformState) -> None:
    state.datasets["second"] = Dataset(id="second", body=deepcopy(only(state.datasets).body))


def _second_source(state: PlatformState) -> None:
    body = deepcopy(only(state.source_connections).body)
    state.source_connections["second"] = Connection(id="second", body=body)


def _other_target(state: PlatformState) -> None:
    only(state.target_connections).body["params"]["dataSetId"] = "another"


def _not_people(state: PlatformState) -> None:
    state.namespaces["PendoVisitor"]["idType"] = "NON_PEOPLE"


def _taken_title(state: PlatformState) -> None:
    only(state.schemas).body["title"] = "Pendo Events Fields"
    state.field_groups.clear()


def _taken_display_name(state: PlatformState) -> None:
    state.namespaces["Other"] = {**state.namespaces.pop("PendoVisitor"), "code": "Other"}


CONFLICTS: dict[str, tuple[Mutation, list[str]]] = {
    "a field of another type": (
        _other_type,
        ["_acme.pendo.nps.rating: type is 'string', but must be 'number'", "--name"],
    ),
    "a field that would refuse ours": (_narrower, ["_acme.pendo.visitorId: maxLength 8"]),
    "a schema of another class": (_other_class, ["schema 'Pendo Events'", "class", "--name"]),
    "a field group of another class": (_group_of_other_class, ["'Pendo Events Fields'", "class"]),
    "a dataset of another schema": (_other_schema, ["acme/schemas/other", "--name"]),
    "two datasets": (_second_dataset, ["there are 2", "second", "--name"]),
    "two source connections": (_second_source, ["there are 2", "second", "--name"]),
    "a target of another dataset": (_other_target, ["params.dataSetId is 'another'", "destroy"]),
    "a namespace of things": (_not_people, ["NON_PEOPLE", "AEP_IDENTITY_NAMESPACE"]),
    "a title that is taken": (_taken_title, ["'Pendo Events Fields' is taken", "--name"]),
    "a display name that is taken": (
        _taken_display_name,
        ["'Pendo Visitor'", "AEP_IDENTITY_NAMESPACE=Other"],
    ),
}


@pytest.mark.parametrize(("mutate", "texts"), CONFLICTS.values(), ids=CONFLICTS)
async def test_a_conflict_is_an_error(harness: Harness, mutate: Mutation, texts: list[str]) -> None:
    """It names the resource, the cause and the next step, before anything is created."""
    await harness.apply()
    mutate(harness.state)
    before = len(harness.state.changing_calls)

    with pytest.raises(Conflict) as conflict:
        await harness.apply()

    assert [text for text in texts if text not in str(conflict.value)] == []
    assert harness.reported == []
    assert len(harness.state.changing_calls) == before


async def test_all_conflicts_are_named_at_once(harness: Harness) -> None:
    """One line for each, so that people need not find them one by one."""
    await harness.apply()
    _other_type(harness.state)
    _second_source(harness.state)

    with pytest.raises(Conflict) as conflict:
        await harness.plan()

    assert len(str(conflict.value).splitlines()) == 2


async def test_other_choices_under_the_same_name_are_an_error(harness: Harness) -> None:
    """A dataflow cannot change its source; the error says how to continue."""
    await harness.apply()

    with pytest.raises(Conflict, match=r"'Pendo Events Source'.*choose another --name"):
        await harness.apply(Choices(source="http"))

    assert len(harness.state.connections) == 0


async def test_an_open_inlet_cannot_become_authenticated(harness: Harness) -> None:
    """Whoever asks for a token must not keep an inlet that wants none."""
    await harness.apply(Choices(source="http"))

    with pytest.raises(Conflict, match="authenticationRequired is False, not True"):
        await harness.plan(Choices(source="http", authenticated=True))


async def test_names_are_found_beyond_the_first_page(harness: Harness) -> None:
    """In a sandbox with hundreds of resources, ours are found and not created again."""
    await harness.apply()
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
