"""The mapping set is tried on our sample events: AEP must make of them what `deliver` makes."""

from __future__ import annotations

from typing import Any, Final

import pytest

from local.aep_platform import Answering, Call
from local.samples import load_samples
from pendo_aep.provisioning.choices import Choices
from pendo_aep.provisioning.mapping_check import CannotTry, MappingDiffers, check_mapping
from pendo_aep.provisioning.wanted import with_groups_found
from tests.unit.provisioning.desk import Desk, only
from tests.unit.provisioning.test_standard_groups import BROWSER, remove_group

SAMPLES: Final = [sample for sample in load_samples() if sample.event is not None]
# The first that is tried.
NAME: Final = SAMPLES[0].name
XDM: Final[dict[str, Any]] = SAMPLES[0].xdm or {}


def is_preview(call: Call) -> bool:
    """Is it the call that tries a mapping set?"""
    return call.path.endswith("/mappingSets/preview")


async def check(desk: Desk) -> int:
    """Tries the mapping for the schema that is there."""
    async with desk.connected() as platform:
        tenant = await with_groups_found(platform.client, platform.tenant, Choices())
        return await check_mapping(platform.client, tenant, only(desk.state.schemas).id)


async def test_every_sample_is_mapped_as_deliver_does(desk: Desk) -> None:
    """All are tried, and nothing is changed by that."""
    await desk.apply()
    changes = len(desk.state.changing_calls)

    assert await check(desk) == len(SAMPLES) > 10

    assert len(desk.state.changing_calls) == changes


async def test_a_missing_field_group_is_no_difference(desk: Desk) -> None:
    """Nobody maps its fields."""
    remove_group(desk.state, BROWSER)
    await desk.apply()

    assert await check(desk) == len(SAMPLES)


PENDO: Final = XDM["_acme"]["pendo"]
SAME: Final = {
    "no list": {"data": XDM, "errors": []},
    "no errors": [{"data": XDM}],
    "nulls": [
        {"data": {**XDM, "surveyResponse": {"surveyID": None}, "marketing": None}, "errors": None}
    ],
    "another offset": [{"data": {**XDM, "timestamp": XDM["timestamp"].replace("Z", "+00:00")}}],
}


@pytest.mark.parametrize("answer", SAME.values(), ids=SAME)
async def test_what_adobe_leaves_open_is_no_difference(desk: Desk, answer: object) -> None:
    """The shape of the answer, nulls for what is not mapped, how a date is written."""
    await desk.apply()
    desk.platform.fail(Answering(200, answer), matching=is_preview)

    assert await check(desk) == len(SAMPLES)


DIFFERENT: Final = {
    "missing": (
        {key: value for key, value in XDM.items() if key != "eventType"},
        f'{NAME}: eventType: pendo-to-aep makes "{XDM["eventType"]}", AEP makes nothing',
    ),
    "too much": (
        {**XDM, "surveyResponse": {"surveyID": "x"}},
        f'{NAME}: surveyResponse: pendo-to-aep makes nothing, AEP makes {{"surveyID":"x"}}',
    ),
    "another type": (
        {**XDM, "_acme": {"pendo": {**PENDO, "schemaVersion": "1"}}},
        f'{NAME}: _acme.pendo.schemaVersion: pendo-to-aep makes 1, AEP makes "1"',
    ),
    "another moment": (
        {**XDM, "timestamp": "2020-01-01T00:00:00Z"},
        f'{NAME}: timestamp: pendo-to-aep makes "{XDM["timestamp"]}", AEP makes "2020-01-01T00',
    ),
}


@pytest.mark.parametrize(("made", "line"), DIFFERENT.values(), ids=DIFFERENT)
async def test_a_difference_is_shown_with_both_sides(
    desk: Desk, made: dict[str, Any], line: str
) -> None:
    """The sample and the field, and what either makes of it."""
    await desk.apply()
    desk.platform.fail(Answering(200, [{"data": made, "errors": None}]), matching=is_preview)

    with pytest.raises(MappingDiffers) as differs:
        await check(desk)

    assert line in str(differs.value)


async def test_a_mapping_that_fails_is_shown(desk: Desk) -> None:
    """With AEP's own words."""
    await desk.apply()
    wrong = {"destination": "_id", "exception": "no such function", "source": "id"}
    made = [{"data": XDM, "errors": [wrong]}]
    desk.platform.fail(Answering(200, made), matching=is_preview)

    with pytest.raises(MappingDiffers, match=f"{NAME}: _id: AEP cannot map it: no such function"):
        await check(desk)


async def test_a_refused_mapping_set_is_shown(desk: Desk) -> None:
    """AEP would refuse to make it, too."""
    await desk.apply()
    refusal = Answering(400, {"detail": "there is no function contains_key"})
    desk.platform.fail(refusal, matching=is_preview)

    with pytest.raises(MappingDiffers, match="there is no function contains_key"):
        await check(desk)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answering(403), id="not allowed"),
        pytest.param(Answering(404), id="no such call"),
        pytest.param(Answering(500), id="failing"),
        pytest.param(Answering(200, {"message": "ok"}), id="another answer"),
    ],
)
async def test_an_api_that_does_not_preview_says_nothing_of_the_mapping(
    desk: Desk, answer: Answering
) -> None:
    """Which is told apart from a difference."""
    await desk.apply()
    desk.platform.fail(answer, matching=is_preview, times=None)

    with pytest.raises(CannotTry, match=r"^try the mapping set: "):
        await check(desk)
