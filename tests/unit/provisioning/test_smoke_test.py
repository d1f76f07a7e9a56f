"""The smoke test sends as `deliver` does, in the mode that the inlet accepts."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from local.aep import RawMode, refusing
from pendo_aep.provisioning.desired import Choices
from pendo_aep.provisioning.smoke_test import SmokeTest, run_smoke_test
from pendo_aep.settings import DeliverSettings, load
from tests.unit.provisioning.harness import ALL_CHOICES, Harness, only

ENVELOPE: Final = {"AEP_DATASET_ID": "d", "AEP_IMS_ORG_ID": "ACME@AdobeOrg"}
SETTINGS: Final = {
    RawMode.BATCH: {},
    RawMode.ENVELOPED: {"AEP_RAW_MODE": "enveloped", **ENVELOPE},
    RawMode.SINGLE: {"AEP_RAW_MODE": "single"},
}


async def smoke_test(harness: Harness, choices: Choices, *modes: RawMode) -> SmokeTest:
    """Sends the test events to an inlet that accepts raw events in these modes only."""
    await harness.apply(choices)
    harness.aep.behaviour = replace(harness.aep.behaviour, raw_modes=frozenset(modes))
    async with harness.connected() as platform:
        tokens = platform.tokens if choices.authenticated else None
        return await run_smoke_test(platform.session, await harness.show(), tokens, ENVELOPE)


@pytest.mark.parametrize("name", ["pendo", "http raw"])
@pytest.mark.parametrize("mode", RawMode)
async def test_the_mode_of_the_inlet_is_found(harness: Harness, mode: RawMode, name: str) -> None:
    """Both events are stored, and what `deliver` needs besides is complete."""
    result = await smoke_test(harness, ALL_CHOICES[name], mode)

    assert (result.is_accepted, result.settings) == (True, SETTINGS[mode])
    assert len(set(result.event_ids)) == 2
    rows = only(harness.state.datasets).rows
    assert [row["_id"] for row in rows] == [*result.event_ids]
    environment = {"GOOGLE_CLOUD_PROJECT": "p", **await harness.show(), **result.settings}
    assert load(DeliverSettings, environment).aep_raw_mode == mode.value


async def test_an_envelope_is_tried_before_single_requests(harness: Harness) -> None:
    """An inlet that accepts both gets batches."""
    result = await smoke_test(harness, Choices(), RawMode.ENVELOPED, RawMode.SINGLE)

    assert result.settings == SETTINGS[RawMode.ENVELOPED]


async def test_an_inlet_may_accept_no_mode(harness: Harness) -> None:
    """The result has AEP's answer to what `deliver` would send."""
    result = await smoke_test(harness, Choices())

    assert (result.is_accepted, result.wants_header, result.settings) == (False, True, {})
    assert "The 'header' field is mandatory" in result.body


async def test_another_rejection_tries_no_other_mode(harness: Harness) -> None:
    """If one of the events is rejected for another reason, every mode would do the same."""
    harness.aep.faults.add(refusing(lambda _: True, reason="Schema validation failed"))

    result = await smoke_test(harness, Choices(), *RawMode)

    assert (result.is_accepted, result.wants_header) == (False, False)
    assert len(harness.aep.requests) == 1


async def test_xdm_has_no_modes(harness: Harness) -> None:
    """XDM always has a header."""
    result = await smoke_test(harness, ALL_CHOICES["http xdm"], RawMode.SINGLE)

    assert (result.is_accepted, result.settings) == (True, {})
