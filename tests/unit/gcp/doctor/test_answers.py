"""What the doctor says of what `receive` answers, and of what the log tells."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from pendo_aep.gcp.doctor.door import Door, find_door
from pendo_aep.gcp.doctor.finding import Finding
from tests.cases import Case
from tests.unit.gcp.doctor.clinic import (
    DEPLOYMENT,
    Told,
    cases,
    followed,
    found,
    probed,
    stored,
    well,
)


@pytest.mark.parametrize("case", cases("probes"))
def test_each_answer_to_a_ping_is_judged(case: Case) -> None:
    """A pong to Pendo, a refusal to others, and what is wrong with everything else."""
    assert asdict(probed(case)) == case["finding"]


@pytest.mark.parametrize("case", cases("stored"))
def test_each_answer_to_the_test_event_is_judged(case: Case) -> None:
    """Only `accepted` says that the event is stored."""
    assert asdict(stored(case)) == case["finding"]


@pytest.mark.parametrize("case", cases("followed"))
def test_the_log_tells_what_became_of_the_event(case: Case) -> None:
    """The end of an event is told at once; that there is none, when the time is up."""
    finding = followed(case)

    assert (asdict(finding) if finding else None) == case["finding"]


@pytest.mark.parametrize("case", cases("doors"))
def test_without_an_address_or_a_secret_nobody_knocks(case: Case) -> None:
    """What cannot be signed or sent is told, with what mends it."""
    finding = found(case)

    assert isinstance(finding, Finding)
    assert asdict(finding) == case["finding"]


async def test_every_active_secret_opens_the_door() -> None:
    """While a secret is rotated there are two, and each is tried; neither is ever shown."""
    door = await find_door(DEPLOYMENT, looks := well(), Told(looks))

    assert isinstance(door, Door)
    assert door.secrets == ["first-sécret", "second-secret"]
    assert "sécret" not in repr(door)
