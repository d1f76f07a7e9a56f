"""Adobe's standard field groups: what the registry does not have, the set-up does without."""

from __future__ import annotations

import pytest

from local.aep_platform import PlatformState
from pendo_aep.provisioning.errors import Conflict
from pendo_aep.provisioning.part import Kind
from pendo_aep.provisioning.plan import Action
from pendo_aep.provisioning.standard_groups import STANDARD_GROUPS, StandardGroup
from tests.unit.provisioning.desk import ALL_CHOICES, Desk, only
from tests.unit.provisioning.test_upgrade import SAMPLES, send_samples

BROWSER = next(group for group in STANDARD_GROUPS if group.root == "environment")


def remove_group(state: PlatformState, group: StandardGroup) -> None:
    """Has the registry not know one of Adobe's field groups."""
    state.standard = {key: one for key, one in state.standard.items() if key != group.id}


@pytest.mark.parametrize("group", STANDARD_GROUPS, ids=lambda group: group.root)
async def test_nothing_is_mapped_to_a_group_that_is_missing(
    desk: Desk, group: StandardGroup
) -> None:
    """Neither the schema nor the mapping set has its fields; the other groups stay."""
    remove_group(desk.state, group)

    steps = await desk.apply()

    assert {step.action for step in steps} == {Action.CREATE}
    used = {part["$ref"] for part in only(desk.state.schemas).body["allOf"]}
    assert {one for one in STANDARD_GROUPS if one.id in used} == {*STANDARD_GROUPS} - {group}
    mappings = only(desk.state.mapping_sets).versions[0]["body"]["mappings"]
    roots = {one["destination"].partition(".")[0] for one in mappings}
    assert roots.isdisjoint({group.root})
    assert roots.issuperset({one.root for one in STANDARD_GROUPS} - {group.root})
    assert {step.action for step in await desk.plan()} == {Action.KEEP}


async def test_events_are_stored_without_the_fields_of_a_missing_group(desk: Desk) -> None:
    """Every sample becomes a row, with all but those fields."""
    remove_group(desk.state, BROWSER)
    await desk.apply()

    rows = await send_samples(desk)

    expected = [sample.xdm for sample in SAMPLES if sample.xdm]
    assert any(BROWSER.root in xdm for xdm in expected)
    without = [{k: v for k, v in xdm.items() if k != BROWSER.root} for xdm in expected]
    assert rows == without


async def test_a_group_that_comes_later_is_added(desk: Desk) -> None:
    """The next `apply` finds it, and adds it to the schema and the mapping set."""
    group = desk.state.standard[BROWSER.id]
    remove_group(desk.state, BROWSER)
    await desk.apply()
    desk.state.standard = {**desk.state.standard, BROWSER.id: group}

    changed = {step.kind for step in await desk.apply() if step.action is Action.CHANGE}

    assert changed == {Kind.SCHEMA, Kind.MAPPING_SET, Kind.FLOW}
    assert await send_samples(desk) == [sample.xdm for sample in SAMPLES]


async def test_xdm_needs_all_groups(desk: Desk) -> None:
    """`deliver` sends their fields in the format xdm, so this stops before anything is made."""
    remove_group(desk.state, BROWSER)

    with pytest.raises(Conflict, match=r"'Environment Details'.*choose --format raw"):
        await desk.apply(ALL_CHOICES["http xdm"])

    assert desk.state.changing_calls == []
