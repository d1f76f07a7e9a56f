"""What Google refuses for a while is repeated, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pendo_aep.gcp.deploy.gcloud import GcloudFailed
from pendo_aep.gcp.deploy.transient import find
from tests.cases import Case
from tests.unit.gcp.deploy.fake_gcloud import PROJECT, FakeGcloud, Rule

CASES = json.loads(Path(__file__).with_name("data").joinpath("transient.json").read_text("utf-8"))
_PASSING = [case for case in CASES if case["awaited"]]
_DEPLOY = ("functions", "deploy", "receive")
_DENIED = "ERROR: (gcloud) PERMISSION_DENIED: no"


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in CASES])
def test_each_text_is_told_from_the_others(case: Case) -> None:
    """A refusal that passes says what is awaited; one that stays is none."""
    found = find(case["said"])

    assert (found.awaited if found else None) == case["awaited"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in _PASSING])
def test_a_command_is_repeated_until_it_is_no_longer_refused(case: Case, fake: FakeGcloud) -> None:
    """What is awaited is told once, and the change counts as one."""
    fake.answer(Rule("deploy receive", err=case["said"], times=2))

    fake.gcloud.change(*_DEPLOY)

    typed = f"gcloud functions deploy receive --project={PROJECT}"
    waiting = f". waiting until {case['awaited']}, at most 15 minutes: {typed}"
    assert fake.said == [f"+ {typed}", waiting]
    assert fake.asked == [[*_DEPLOY]] * 3
    assert fake.gcloud.changes == 1


def test_several_things_are_awaited_one_after_the_other(fake: FakeGcloud) -> None:
    """Each is told: a first deployment often meets more than one."""
    fake.answer(*(Rule("deploy receive", err=case["said"], times=1) for case in _PASSING))

    fake.gcloud.change(*_DEPLOY)

    told = [line for line in fake.said if line.startswith(". ")]
    assert len(told) == len({case["awaited"] for case in _PASSING})


def test_after_a_quarter_of_an_hour_it_is_a_failure(fake: FakeGcloud) -> None:
    """A right that nobody grants is not waited for without end; Google's words are shown."""
    case = _PASSING[2]
    fake.answer(Rule("deploy receive", err=case["said"]))

    with pytest.raises(GcloudFailed, match="actAs"):
        fake.gcloud.change(*_DEPLOY)

    assert 900 <= fake.clock.seconds < 910
    assert fake.gcloud.changes == 0


def test_what_stays_refused_is_not_repeated(fake: FakeGcloud) -> None:
    """It fails at once."""
    fake.answer(Rule("deploy receive", err=_DENIED))

    with pytest.raises(GcloudFailed, match="PERMISSION_DENIED"):
        fake.gcloud.change(*_DEPLOY)

    assert fake.asked == [[*_DEPLOY]]
    assert fake.clock.seconds == 0


def test_deleting_waits_for_other_edits(fake: FakeGcloud) -> None:
    """Alerting policies are deleted one at a time, too."""
    (edits,) = (case["said"] for case in CASES if "Too many concurrent edits" in case["said"])
    fake.answer(Rule("policies delete", err=edits, times=2))

    fake.gcloud.delete(("monitoring", "policies", "delete", "7"))

    assert len(fake.asked) == 3
    assert fake.gcloud.changes == 1


def test_deleting_what_was_never_there_waits_for_nothing(fake: FakeGcloud) -> None:
    """An API that is disabled has nothing to delete."""
    fake.answer(Rule("topics delete", err=_PASSING[0]["said"]))

    fake.gcloud.delete(("pubsub", "topics", "delete", "pendo-events"))

    assert len(fake.asked) == 1
    assert fake.clock.seconds == 0
