"""Destroy: what apply has made goes, and nothing else; data stays unless it is named."""

from __future__ import annotations

import pytest

from local.aep_platform import Answering, Call, Drop
from pendo_aep.provisioning.choices import Choices
from pendo_aep.provisioning.destroy import plan_destruction
from pendo_aep.provisioning.errors import PlatformError
from pendo_aep.provisioning.part import Kind
from pendo_aep.provisioning.plan import Action
from pendo_aep.provisioning.trial import send_trial
from pendo_aep.provisioning.wanted import possible_parts
from tests.unit.provisioning.desk import ALL_CHOICES, NAME, Desk, actions, only, shape


@pytest.mark.parametrize("name", ["pendo", "http raw", "http xdm"])
async def test_nothing_is_left_behind(desk: Desk, name: str) -> None:
    """Everything but the namespace goes, whichever choices it was made with; inlets, too."""
    await desk.apply(ALL_CHOICES[name])
    inlet = (await desk.show())["AEP_ENDPOINT"].rpartition("/")[2]

    steps = await desk.destroy()

    assert desk.is_complete
    assert {kind for kind, found in shape(desk.state).items() if found} == {"namespaces"}
    left = [step for step in steps if step.action is not Action.DELETE]
    assert actions(left) == [(Action.LEAVE, Kind.NAMESPACE)]
    with pytest.raises(KeyError):
        desk.aep.close_inlet(inlet)


async def test_what_does_not_exist_cannot_go(desk: Desk) -> None:
    """On an empty platform, and the second time, there is nothing to do."""
    assert await desk.destroy() == []
    await desk.apply()
    await desk.destroy()
    calls = len(desk.state.changing_calls)

    assert actions(await desk.destroy()) == [(Action.LEAVE, Kind.NAMESPACE)]

    assert desk.is_complete
    assert len(desk.state.changing_calls) == calls


async def test_a_look_at_what_would_go_changes_nothing(desk: Desk) -> None:
    """What people are asked about is what would then happen."""
    await desk.apply()
    calls = len(desk.state.changing_calls)

    async with desk.connected() as platform:
        parts = possible_parts(platform.client, platform.tenant, NAME)
        plan = await plan_destruction(platform.client, parts, "")

    assert len(desk.state.changing_calls) == calls
    told = await desk.destroy()
    assert sorted(actions(list(plan.steps))) == sorted(actions(told))


async def send_event(desk: Desk) -> None:
    """Has the dataset hold data."""
    async with desk.connected() as platform:
        trial = await send_trial(platform.session, await desk.show(), None, {})
    assert trial.is_taken
    assert [row["_id"] for row in only(desk.state.datasets).rows] == [*trial.event_ids]


async def test_data_stays(desk: Desk) -> None:
    """A dataset that holds data stays with its schema; named, it goes with all that it holds."""
    await desk.apply()
    await send_event(desk)

    steps = await desk.destroy()

    kept = {step.kind: step.details for step in steps if step.action is Action.LEAVE}
    assert kept.keys() == {Kind.NAMESPACE, Kind.DATASET, Kind.SCHEMA, Kind.FIELD_GROUP}
    assert '--delete-data "Pendo Events"' in kept[Kind.DATASET][0]
    assert not desk.is_complete
    assert len(only(desk.state.datasets).rows) == 2

    await desk.destroy(delete_data="Pendo Events")
    assert desk.is_complete
    assert {kind for kind, found in shape(desk.state).items() if found} == {"namespaces"}


async def test_data_that_comes_late_stays(desk: Desk) -> None:
    """What came in while the person was being asked is data as well."""
    await desk.apply()
    dataset_id = only(desk.state.datasets).id

    def comes(call: Call) -> bool:
        if call.method == "DELETE" and "/flows/" in call.path:
            desk.state.batches["late"] = {
                "status": "success",
                "created": 0,
                "relatedObjects": [{"type": "dataSet", "id": dataset_id}],
            }
        return False

    desk.platform.fail(Drop.AFTER, matching=comes)

    steps = await desk.destroy()

    assert (Action.LEAVE, Kind.DATASET) in actions(steps)
    assert (Action.LEAVE, Kind.SCHEMA) in actions(steps)
    assert not desk.is_complete


async def test_another_dataset_cannot_be_named(desk: Desk) -> None:
    """A slip in the name must not be taken for consent."""
    await desk.apply()

    with pytest.raises(PlatformError, match="the dataset of this set-up is 'Pendo Events'"):
        await desk.destroy(delete_data="Pendo events")

    assert len(desk.state.flows) == 1


@pytest.mark.parametrize("kind", [Kind.DATASET, Kind.SCHEMA, Kind.FIELD_GROUP])
async def test_what_others_have_made_stays(desk: Desk, kind: Kind) -> None:
    """A dataset without our tag, a schema without our fields, a field group of another shape."""
    await desk.apply()
    if kind is Kind.DATASET:
        only(desk.state.datasets).body["tags"] = {}
    else:
        desk.state.datasets.clear()
    if kind is Kind.SCHEMA:
        only(desk.state.schemas).body["allOf"].pop()
    if kind is Kind.FIELD_GROUP:
        desk.state.schemas.clear()
        only(desk.state.field_groups).body["meta:intendedToExtend"] = []

    steps = await desk.destroy()

    assert (Action.LEAVE, kind) in actions(steps)
    assert not desk.is_complete


async def test_a_schema_of_profile_stays(desk: Desk) -> None:
    """AEP does not give it back; the dataset goes, and what stays is told with the reason."""
    await desk.apply(Choices(profile=True))

    steps = await desk.destroy()

    kept = {step.kind: step.details for step in steps if step.action is Action.LEAVE}
    assert "Profile" in kept[Kind.SCHEMA][0]
    assert not desk.is_complete
    assert (len(desk.state.datasets), len(desk.state.schemas)) == (0, 1)


async def test_a_mapping_set_may_outlive_it(desk: Desk) -> None:
    """Adobe documents no way to delete one: refused, it is told, and taken up by the next apply."""
    await desk.apply()

    def is_mapping_set(call: Call) -> bool:
        return call.method == "DELETE" and "/mappingSets/" in call.path

    desk.platform.fail(Answering(405), matching=is_mapping_set)

    steps = await desk.destroy()

    assert (Action.LEAVE, Kind.MAPPING_SET) in actions(steps)
    assert desk.is_complete
    again = await desk.apply()
    assert (Action.CHANGE, Kind.MAPPING_SET) in actions(again)
    assert only(desk.state.flows).body["transformations"][0]["params"]["mappingVersion"] == 1
