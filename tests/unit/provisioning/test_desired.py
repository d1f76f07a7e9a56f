"""The choices, and the standard field groups: without one, the set-up leaves its fields out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from pendo_aep.provisioning.desired import read_choices
from pendo_aep.provisioning.errors import Conflict, PlatformError
from pendo_aep.provisioning.plan import Action
from pendo_aep.provisioning.resource import Kind
from pendo_aep.provisioning.schema import STANDARD_GROUPS, StandardGroup
from tests.cases import Case, cases
from tests.unit.provisioning.harness import (
    ALL_CHOICES,
    BROWSER,
    SAMPLES,
    Harness,
    changes,
    only,
    remove_group,
    send_samples,
)


@pytest.mark.parametrize("case", cases("aep_choices"))
def test_choices(case: Case, tmp_path: Path) -> None:
    """Options override the file; choices that do not go together are rejected."""
    file = None
    if "file" in case:
        file = tmp_path / "aep.toml"
        file.write_text(case["file"], "utf-8")
    if "is" in case:
        assert asdict(read_choices(case["given"], file)) == case["is"]
        return

    with pytest.raises(PlatformError) as error:
        read_choices(case["given"], file)

    assert case["wrong"] in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """With its path."""
    with pytest.raises(PlatformError, match=r"nowhere\.toml cannot be read"):
        read_choices({}, tmp_path / "nowhere.toml")


@pytest.mark.parametrize("group", STANDARD_GROUPS, ids=lambda group: group.root)
async def test_a_missing_group_is_left_out(harness: Harness, group: StandardGroup) -> None:
    """Neither the schema nor the mapping set has its fields; the other groups are used."""
    remove_group(harness.state, group)

    steps = await harness.apply()

    assert {step.action for step in steps} == {Action.CREATE}
    used = {part["$ref"] for part in only(harness.state.schemas).body["allOf"]}
    assert {one for one in STANDARD_GROUPS if one.id in used} == {*STANDARD_GROUPS} - {group}
    mappings = only(harness.state.mapping_sets).versions[0]["body"]["mappings"]
    roots = {one["destination"].partition(".")[0] for one in mappings}
    assert roots.isdisjoint({group.root})
    assert roots.issuperset({one.root for one in STANDARD_GROUPS} - {group.root})
    assert {step.action for step in await harness.plan()} == {Action.KEEP}


async def test_a_group_that_comes_later_is_added(harness: Harness) -> None:
    """Until then events are stored without its fields; the next `apply` adds it."""
    group = harness.state.standard[BROWSER.id]
    expected = [sample.xdm for sample in SAMPLES if sample.xdm]
    assert any(BROWSER.root in xdm for xdm in expected)
    remove_group(harness.state, BROWSER)
    await harness.apply()
    without = [{k: v for k, v in xdm.items() if k != BROWSER.root} for xdm in expected]
    assert await send_samples(harness) == without
    harness.state.standard = {**harness.state.standard, BROWSER.id: group}

    steps = await harness.apply()

    assert changes(steps).keys() == {
        Kind.SCHEMA,
        Kind.MAPPING_SET,
        Kind.FLOW,
        Kind.FRIENDLY_NAMES,
    }
    assert (await send_samples(harness))[len(SAMPLES) :] == expected


async def test_xdm_needs_all_groups(harness: Harness) -> None:
    """`deliver` sends their fields in the format xdm, so this fails before anything is created."""
    remove_group(harness.state, BROWSER)

    with pytest.raises(Conflict, match=r"'Environment Details'.*choose --format raw"):
        await harness.apply(ALL_CHOICES["http xdm"])

    assert harness.state.changing_calls == []
