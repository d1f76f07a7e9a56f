"""What the doctor says of what gcloud has shown it: every failure that it can name."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from pendo_aep.doctor.deployment import Deployment
from pendo_aep.doctor.examination import judge
from pendo_aep.doctor.finding import Verdict
from tests.cases import Case
from tests.doctor.clinic import DEPLOYMENT, LOOKS, cases, judged, well

PUSH_ALONE = replace(
    DEPLOYMENT,
    drain="",
    drain_account="",
    drain_subscription="",
    drain_job="",
    scheduler_account="",
)
DRAIN_ALONE = replace(DEPLOYMENT, deliver="", deliver_account="", push="", push_account="")


@pytest.mark.parametrize("case", [case for name in LOOKS for case in cases(name)])
def test_each_failure_is_named_with_what_mends_it(case: Case) -> None:
    """One thing is changed: the findings that are not well are exactly those of the table."""
    findings = judged(case)

    assert [asdict(f) for f in findings if f.verdict is not Verdict.OK] == case["findings"]


def test_a_deployment_that_is_well_is_called_so() -> None:
    """Nothing is wrong, nothing unknown, and no finding has anything to mend."""
    findings = judge(DEPLOYMENT, well())

    assert {f.verdict for f in findings} == {Verdict.OK}
    assert not any(f.mend for f in findings)
    assert len(findings) == len(set(findings))


@pytest.mark.parametrize(
    ("deployment", "unused"),
    [(PUSH_ALONE, ("drain", "scheduler")), (DRAIN_ALONE, ("deliver", "pendo-push"))],
    ids=["push alone", "drain alone"],
)
def test_what_is_not_used_is_not_looked_for(
    deployment: Deployment, unused: tuple[str, ...]
) -> None:
    """Where events go one way, the parts of the other may be missing."""
    looks = {
        command: look
        for command, look in well().items()
        if not any(word in str(command) for word in unused)
    }

    findings = judge(deployment, looks)

    assert {f.verdict for f in findings} == {Verdict.OK}
    assert not any(word in f.text for f in findings for word in unused)


@pytest.mark.parametrize("case", cases("functions"))
def test_no_secret_is_shown(case: Case) -> None:
    """A secret that stands in plain text is not repeated."""
    assert "canary-secret" not in str(judged(case))
