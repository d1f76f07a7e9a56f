"""The test events: sent as `deliver` sends, and where the inlet wants it, in another mode."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from local.aep import RawMode, refusing
from pendo_aep.provisioning.choices import Choices
from pendo_aep.provisioning.trial import Trial, send_trial
from pendo_aep.settings import DeliverSettings, load
from tests.unit.provisioning.desk import ALL_CHOICES, Desk, only

ENVELOPE: Final = {"AEP_DATASET_ID": "d", "AEP_IMS_ORG_ID": "ACME@AdobeOrg"}
SETTINGS: Final = {
    RawMode.BATCH: {},
    RawMode.ENVELOPED: {"AEP_RAW_MODE": "enveloped", **ENVELOPE},
    RawMode.SINGLE: {"AEP_RAW_MODE": "single"},
}


async def try_out(desk: Desk, choices: Choices, *modes: RawMode) -> Trial:
    """Sends the test events to an inlet that takes raw events in these modes only."""
    await desk.apply(choices)
    desk.aep.behaviour = replace(desk.aep.behaviour, raw_modes=frozenset(modes))
    async with desk.connected() as platform:
        tokens = platform.tokens if choices.authenticated else None
        return await send_trial(platform.session, await desk.show(), tokens, ENVELOPE)


@pytest.mark.parametrize("name", ["pendo", "http raw"])
@pytest.mark.parametrize("mode", RawMode)
async def test_the_mode_that_the_inlet_takes_is_found(desk: Desk, mode: RawMode, name: str) -> None:
    """Both events are stored, and what `deliver` must be told besides is complete."""
    trial = await try_out(desk, ALL_CHOICES[name], mode)

    assert (trial.is_taken, trial.settings) == (True, SETTINGS[mode])
    assert len(set(trial.event_ids)) == 2
    rows = only(desk.state.datasets).rows
    assert [row["_id"] for row in rows] == [*trial.event_ids]
    environment = {"GOOGLE_CLOUD_PROJECT": "p", **await desk.show(), **trial.settings}
    assert load(DeliverSettings, environment).aep_raw_mode == mode.value


async def test_an_envelope_goes_before_single_requests(desk: Desk) -> None:
    """An inlet that takes both gets batches."""
    trial = await try_out(desk, Choices(), RawMode.ENVELOPED, RawMode.SINGLE)

    assert trial.settings == SETTINGS[RawMode.ENVELOPED]


async def test_an_inlet_that_takes_no_mode_is_told(desk: Desk) -> None:
    """With AEP's answer to what `deliver` would send."""
    trial = await try_out(desk, Choices())

    assert (trial.is_taken, trial.wants_header, trial.settings) == (False, True, {})
    assert "The 'header' field is mandatory" in trial.body


async def test_another_refusal_tries_no_other_mode(desk: Desk) -> None:
    """One of the two events is refused for something else: it would be so in every mode."""
    desk.aep.faults.add(refusing(lambda _: True, reason="Schema validation failed"))

    trial = await try_out(desk, Choices(), *RawMode)

    assert (trial.is_taken, trial.wants_header) == (False, False)
    assert len(desk.aep.requests) == 1


async def test_xdm_has_no_modes(desk: Desk) -> None:
    """It always has a header."""
    trial = await try_out(desk, ALL_CHOICES["http xdm"], RawMode.SINGLE)

    assert (trial.is_taken, trial.settings) == (True, {})
