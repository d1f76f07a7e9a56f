"""Destroy deletes what apply has created, and nothing else; data stays unless it is named."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from local.aep_platform import Answering, Batch, Call, Drop
from pendo_aep.provisioning.desired import Choices
from pendo_aep.provisioning.errors import PlatformError
from pendo_aep.provisioning.plan import Action
from pendo_aep.provisioning.resource import Kind
from tests.unit.provisioning.harness import (
    ALL_CHOICES,
    NAME,
    SAMPLES,
    Harness,
    actions,
    different_calls,
    new_harness,
    only,
    send_samples,
    shape,
)


def assert_all_deleted(harness: Harness) -> None:
    """Asserts that only the namespaces are left, which AEP cannot delete."""
    assert harness.is_complete
    assert {kind for kind, found in shape(harness.state).items() if found} == {"namespaces"}


@pytest.mark.parametrize("name", ["pendo", "http raw", "http xdm"])
async def test_everything_is_deleted(harness: Harness, name: str) -> None:
    """Whichever choices it was created with, and the inlet; the plan before changes nothing."""
    await harness.set_up(ALL_CHOICES[name])
    inlet = (await harness.show())["AEP_ENDPOINT"].rpartition("/")[2]
    calls = len(harness.state.changing_calls)

    plan = await harness.plan_destroy()
    assert len(harness.state.changing_calls) == calls
    steps = await harness.destroy()

    assert sorted(actions(list(plan.steps))) == sorted(actions(steps))
    assert_all_deleted(harness)
    left = [step for step in steps if step.action is not Action.DELETE]
    assert actions(left) == [(Action.LEAVE, Kind.NAMESPACE)] * 2
    with pytest.raises(KeyError):
        harness.aep.close_inlet(inlet)


async def test_there_may_be_nothing_to_delete(harness: Harness) -> None:
    """On an empty platform, and the second time."""
    assert await harness.destroy() == []
    await harness.set_up()
    await harness.destroy()
    calls = len(harness.state.changing_calls)

    assert actions(await harness.destroy()) == [(Action.LEAVE, Kind.NAMESPACE)] * 2

    assert harness.is_complete
    assert len(harness.state.changing_calls) == calls


async def test_data_stays_unless_it_is_named(harness: Harness) -> None:
    """A dataset that holds data stays with its schema; if it is named, all is deleted."""
    await harness.set_up()
    await send_samples(harness)

    steps = await harness.destroy()

    kept = {step.kind: step.details for step in steps if step.action is Action.LEAVE}
    stored = {Kind.DATASET, Kind.SCHEMA, Kind.FIELD_GROUP, Kind.FRIENDLY_NAMES, Kind.LABELS}
    assert kept.keys() == {Kind.NAMESPACE, *stored}
    assert '--delete-data "Pendo Events"' in kept[Kind.DATASET][0]
    assert not harness.is_complete
    assert len(only(harness.state.datasets).rows) == len(SAMPLES)

    await harness.destroy(delete_data=NAME)
    assert_all_deleted(harness)


async def test_data_that_comes_late_stays(harness: Harness) -> None:
    """Data that comes in while the person is being asked stays, too."""
    await harness.set_up()
    dataset_id = only(harness.state.datasets).id

    def add_data(call: Call) -> bool:
        if call.method == "DELETE" and "/flows/" in call.path:
            harness.state.batches["late"] = Batch(
                id="late",
                dataset_id=dataset_id,
                flow_id=None,
                status="success",
                created=0,
                updated=0,
            )
        return False

    harness.platform.fail(Drop.AFTER, matching=add_data)

    steps = await harness.destroy()

    assert (Action.LEAVE, Kind.DATASET) in actions(steps)
    assert (Action.LEAVE, Kind.SCHEMA) in actions(steps)
    assert not harness.is_complete


async def test_another_dataset_cannot_be_named(harness: Harness) -> None:
    """A typing error in the name must not be taken for consent."""
    await harness.set_up()

    with pytest.raises(PlatformError, match="the dataset of this set-up is 'Pendo Events'"):
        await harness.destroy(delete_data="Pendo events")

    assert len(harness.state.flows) == 1


@pytest.mark.parametrize("kind", [Kind.DATASET, Kind.SCHEMA, Kind.FIELD_GROUP])
async def test_what_others_have_created_stays(harness: Harness, kind: Kind) -> None:
    """A dataset without our tag, a schema without our fields, a field group of another shape."""
    await harness.set_up()
    if kind is Kind.DATASET:
        only(harness.state.datasets).body["tags"] = {}
    else:
        harness.state.datasets.clear()
    if kind is Kind.SCHEMA:
        only(harness.state.schemas).body["allOf"].pop()
    if kind is Kind.FIELD_GROUP:
        harness.state.schemas.clear()
        only(harness.state.field_groups).body["meta:intendedToExtend"] = []

    steps = await harness.destroy()

    assert (Action.LEAVE, kind) in actions(steps)
    assert not harness.is_complete


async def test_a_schema_of_profile_stays(harness: Harness) -> None:
    """AEP does not delete it; the dataset is deleted, and the reason is reported."""
    await harness.set_up(Choices(profile=True))

    steps = await harness.destroy()

    kept = {step.kind: step.details for step in steps if step.action is Action.LEAVE}
    assert "Profile" in kept[Kind.SCHEMA][0]
    assert not harness.is_complete
    assert (len(harness.state.datasets), len(harness.state.schemas)) == (0, 1)


async def test_a_mapping_set_may_stay(harness: Harness) -> None:
    """Adobe documents no way to delete one: if AEP refuses, the next apply uses it again."""
    await harness.set_up()

    def is_mapping_set(call: Call) -> bool:
        return call.method == "DELETE" and "/mappingSets/" in call.path

    harness.platform.fail(Answering(405), matching=is_mapping_set)

    steps = await harness.destroy()

    assert (Action.LEAVE, Kind.MAPPING_SET) in actions(steps)
    assert harness.is_complete
    again = await harness.apply()
    assert (Action.CHANGE, Kind.MAPPING_SET) in actions(again)
    params = only(harness.state.flows).body["transformations"][0]["params"]
    assert params["mappingVersion"] == 1


async def test_an_interrupted_run_is_finished_by_the_next() -> None:
    """AEP becomes unreachable at each call in turn; the next run deletes what is left.

    A call that AEP did not get leaves what the call before it has left, if only its answer was
    lost: the next run need not finish both.
    """
    choices = ALL_CHOICES["http raw"]
    async with new_harness() as harness:
        await harness.set_up(choices)
        await harness.destroy()
        calls = harness.state.changing_calls
    left: dict[int, dict[str, list[Any]]] = {}

    for number, drop in product(different_calls(calls), Drop):
        done = number + (drop is Drop.AFTER)
        async with new_harness() as harness:
            await harness.set_up(choices)
            harness.cut_off(drop, number)
            with pytest.raises(PlatformError):
                await harness.destroy()
            assert harness.reported[-1].action is Action.UNKNOWN
            assert len(harness.state.changing_calls) == done
            if done in left:
                assert shape(harness.state) == left[done], number
                continue
            left[done] = shape(harness.state)

            harness.platform.heal()
            await harness.destroy()

            assert_all_deleted(harness)
