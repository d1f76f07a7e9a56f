"""The plan: what would be made or changed, and what stands in the way. It changes nothing."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from local.aep_platform import Dataset, PlatformState, Resource
from local.aep_platform.state import Connection
from pendo_aep.provisioning.choices import Choices
from pendo_aep.provisioning.errors import Conflict
from pendo_aep.provisioning.part import Kind
from pendo_aep.provisioning.plan import Action
from tests.unit.provisioning.desk import ALL_CHOICES, Break, Desk, actions, only


@pytest.mark.parametrize("choices", ALL_CHOICES.values(), ids=ALL_CHOICES)
async def test_everything_is_to_be_made(desk: Desk, choices: Choices) -> None:
    """On an empty platform each part is to be created, and the plan changes nothing."""
    steps = await desk.plan(choices)

    made = [Kind.NAMESPACE, Kind.FIELD_GROUP, Kind.SCHEMA, Kind.DATASET]
    made += [Kind.CONNECTION] if choices.source == "http" else []
    made += [Kind.SOURCE, Kind.TARGET]
    made += [Kind.MAPPING_SET] if choices.format == "raw" else []
    assert actions(steps) == [(Action.CREATE, kind) for kind in [*made, Kind.FLOW]]
    assert {step.id for step in steps} == {""}
    assert desk.state.changing_calls == []


@pytest.mark.parametrize("choices", ALL_CHOICES.values(), ids=ALL_CHOICES)
async def test_nothing_is_to_be_done_after_apply(desk: Desk, choices: Choices) -> None:
    """What `apply` has made is as it should be, whatever the server has added to it."""
    await desk.apply(choices)

    steps = await desk.plan(choices)

    assert {step.action for step in steps} == {Action.KEEP}
    assert all(step.id for step in steps)


async def test_what_is_missing_inside_is_named(desk: Desk) -> None:
    """A field, a mapping, the Profile: each is a change, and so is what depends on it."""
    await desk.apply()
    fields = own_fields(desk.state)
    del fields["visitorId"]
    fields["nps"]["properties"]["rating"]["title"] = "Score"
    mapping = only(desk.state.mapping_sets).versions[0]["mappings"].pop()

    steps = await desk.plan(Choices(profile=True))

    changes = {step.kind: step.details for step in steps if step.action is Action.CHANGE}
    assert changes == {
        Kind.FIELD_GROUP: (
            "field _acme.pendo.visitorId",
            "title of _acme.pendo.nps.rating: 'NPS rating'",
        ),
        Kind.SCHEMA: ("enabled for Profile",),
        Kind.DATASET: ("enabled for Profile",),
        Kind.MAPPING_SET: (f"mapping of {mapping['destination']}",),
        Kind.FLOW: ("the mapping",),
    }


async def test_what_others_have_added_is_theirs(desk: Desk) -> None:
    """More fields, tags and field groups, and other descriptions, are nothing to be changed."""
    await desk.apply()
    own_fields(desk.state)["ours"] = {"title": "Ours", "type": "string"}
    only(desk.state.datasets).body["tags"]["team"] = ["growth"]
    for found in (desk.state.field_groups, desk.state.schemas, desk.state.flows):
        only(found).body["description"] = "Do not touch"

    assert {step.action for step in await desk.plan()} == {Action.KEEP}


def own_fields(state: PlatformState) -> Any:
    """The fields under `_acme.pendo`, to be changed."""
    own = only(state.field_groups).body["definitions"]["customFields"]["properties"]["_acme"]
    return own["properties"]["pendo"]["properties"]


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


def _no_people(state: PlatformState) -> None:
    state.namespaces["PendoVisitor"]["idType"] = "NON_PEOPLE"


def _taken_title(state: PlatformState) -> None:
    only(state.schemas).body["title"] = "Pendo Events Fields"
    state.field_groups.clear()


def _taken_display_name(state: PlatformState) -> None:
    state.namespaces["Other"] = {**state.namespaces.pop("PendoVisitor"), "code": "Other"}


CONFLICTS: dict[str, tuple[Break, list[str]]] = {
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
    "a namespace of no people": (_no_people, ["NON_PEOPLE", "AEP_IDENTITY_NAMESPACE"]),
    "a title that is taken": (_taken_title, ["'Pendo Events Fields' is taken", "--name"]),
    "a display name that is taken": (
        _taken_display_name,
        ["'Pendo Visitor'", "AEP_IDENTITY_NAMESPACE=Other"],
    ),
}


@pytest.mark.parametrize(("harm", "texts"), CONFLICTS.values(), ids=CONFLICTS)
async def test_what_cannot_be_changed_is_an_error(
    desk: Desk, harm: Break, texts: list[str]
) -> None:
    """It names the thing, the cause and the next step, before anything is made."""
    await desk.apply()
    harm(desk.state)
    before = len(desk.state.changing_calls)

    with pytest.raises(Conflict) as conflict:
        await desk.apply()

    assert [text for text in texts if text not in str(conflict.value)] == []
    assert desk.told == []
    assert len(desk.state.changing_calls) == before


async def test_all_conflicts_are_named_at_once(desk: Desk) -> None:
    """One line for each, so that people need not find them one by one."""
    await desk.apply()
    _other_type(desk.state)
    _second_source(desk.state)

    with pytest.raises(Conflict) as conflict:
        await desk.plan()

    assert len(str(conflict.value).splitlines()) == 2


async def test_other_choices_under_the_same_name_are_an_error(desk: Desk) -> None:
    """A flow cannot become one of another source; the error says how to go on."""
    await desk.apply()

    with pytest.raises(Conflict) as conflict:
        await desk.apply(Choices(source="http"))

    assert "'Pendo Events Source'" in str(conflict.value)
    assert "choose another --name" in str(conflict.value)
    assert len(desk.state.connections) == 0


async def test_an_open_inlet_does_not_become_a_closed_one(desk: Desk) -> None:
    """Whoever asks for a token must not be left with an inlet that wants none."""
    await desk.apply(Choices(source="http"))

    with pytest.raises(Conflict, match="authenticationRequired is False, not True"):
        await desk.plan(Choices(source="http", authenticated=True))


async def test_names_are_found_beyond_the_first_page(desk: Desk) -> None:
    """Others have hundreds of things in the sandbox; ours are found, and not made again."""
    await desk.apply()
    state = desk.state
    for number in range(250):
        other = f"other-{number}"
        for found, connection in (
            (state.source_connections, only_ours(state.source_connections)),
            (state.target_connections, only_ours(state.target_connections)),
        ):
            body = {**connection.body, "name": other}
            found[other] = Connection(id=other, body=body)
        resource = only_ours(state.schemas)
        state.schemas[other] = Resource(
            id=other, kind="schemas", body={**resource.body, "title": other}, tenant=state.tenant
        )
    for found in (state.source_connections, state.target_connections):
        first = next(iter(found))
        found[first] = found.pop(first)  # ours come last

    assert {step.action for step in await desk.plan()} == {Action.KEEP}


def only_ours(found: dict[str, Any]) -> Any:
    """The first one, which `apply` has made."""
    return next(iter(found.values()))
