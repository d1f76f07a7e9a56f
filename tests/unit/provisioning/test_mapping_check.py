"""The mapping preview: AEP must make of our sample events what `deliver` makes of them."""

from __future__ import annotations

from typing import Any, Final

import pytest

from local.aep_platform import Answering
from local.samples import load_samples
from pendo_aep.provisioning.desired import Choices, with_available_groups
from pendo_aep.provisioning.mapping_check import (
    MappingMismatch,
    PreviewUnavailable,
    check_mapping,
)
from tests.unit.provisioning.harness import BROWSER, Harness, is_preview, only, remove_group

SAMPLES: Final = [sample for sample in load_samples() if sample.event is not None]
# The first that is previewed.
NAME: Final = SAMPLES[0].name
XDM: Final[dict[str, Any]] = SAMPLES[0].xdm or {}
PENDO: Final = XDM["_acme"]["pendo"]


async def check(harness: Harness) -> int:
    """Previews the mapping for the schema that exists."""
    async with harness.connected() as platform:
        tenant = await with_available_groups(platform.client, platform.tenant, Choices())
        return await check_mapping(platform.client, tenant, only(harness.state.schemas).id)


@pytest.mark.parametrize("is_group_missing", [False, True])
async def test_every_sample_is_mapped_as_deliver_does(
    harness: Harness, is_group_missing: bool
) -> None:
    """All are previewed, and nothing is changed; a missing field group is no difference."""
    if is_group_missing:
        remove_group(harness.state, BROWSER)
    await harness.apply()
    changes = len(harness.state.changing_calls)

    assert await check(harness) == len(SAMPLES) > 10

    assert len(harness.state.changing_calls) == changes


SAME: Final = {
    "no list": {"data": XDM, "errors": []},
    "no errors": [{"data": XDM}],
    "nulls": [
        {"data": {**XDM, "surveyResponse": {"surveyID": None}, "marketing": None}, "errors": None}
    ],
    "another offset": [{"data": {**XDM, "timestamp": XDM["timestamp"].replace("Z", "+00:00")}}],
}


@pytest.mark.parametrize("answer", SAME.values(), ids=SAME)
async def test_what_adobe_leaves_open_is_no_difference(harness: Harness, answer: object) -> None:
    """The shape of the answer, nulls for what is not mapped, how a date is written."""
    await harness.set_up()
    harness.platform.fail(Answering(200, answer), matching=is_preview)

    assert await check(harness) == len(SAMPLES)


DIFFERENT: Final = {
    "missing": (
        {"data": {key: value for key, value in XDM.items() if key != "eventType"}},
        f'eventType: pendo-to-aep makes "{XDM["eventType"]}", AEP makes nothing',
    ),
    "too much": (
        {"data": {**XDM, "surveyResponse": {"surveyID": "x"}}},
        'surveyResponse: pendo-to-aep makes nothing, AEP makes {"surveyID":"x"}',
    ),
    "another type": (
        {"data": {**XDM, "_acme": {"pendo": {**PENDO, "schemaVersion": "1"}}}},
        '_acme.pendo.schemaVersion: pendo-to-aep makes 1, AEP makes "1"',
    ),
    "another moment": (
        {"data": {**XDM, "timestamp": "2020-01-01T00:00:00Z"}},
        f'timestamp: pendo-to-aep makes "{XDM["timestamp"]}", AEP makes "2020-01-01T00',
    ),
    "a failed mapping": (
        {"data": XDM, "errors": [{"destination": "_id", "exception": "no such function"}]},
        "_id: AEP cannot map it: no such function",
    ),
}


@pytest.mark.parametrize(("answer", "line"), DIFFERENT.values(), ids=DIFFERENT)
async def test_a_difference_is_shown_with_both_sides(
    harness: Harness, answer: dict[str, Any], line: str
) -> None:
    """The sample and the field, and what either makes of it, or AEP's own words."""
    await harness.set_up()
    harness.platform.fail(Answering(200, [{"errors": None, **answer}]), matching=is_preview)

    with pytest.raises(MappingMismatch) as mismatch:
        await check(harness)

    assert f"{NAME}: {line}" in str(mismatch.value)


async def test_a_rejected_mapping_set_is_shown(harness: Harness) -> None:
    """AEP would reject it on creation, too."""
    await harness.set_up()
    rejection = Answering(400, {"detail": "there is no function contains_key"})
    harness.platform.fail(rejection, matching=is_preview)

    with pytest.raises(MappingMismatch, match="there is no function contains_key"):
        await check(harness)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answering(403), id="not allowed"),
        pytest.param(Answering(404), id="no such call"),
        pytest.param(Answering(500), id="failing"),
        pytest.param(Answering(200, {"message": "ok"}), id="another answer"),
    ],
)
async def test_without_a_preview_nothing_is_said_about_the_mapping(
    harness: Harness, answer: Answering
) -> None:
    """It is another error than a difference."""
    await harness.set_up()
    harness.platform.fail(answer, matching=is_preview, times=None)

    with pytest.raises(PreviewUnavailable, match=r"^try the mapping set: "):
        await check(harness)
