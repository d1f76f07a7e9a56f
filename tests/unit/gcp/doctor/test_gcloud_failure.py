"""What gcloud means when it fails."""

from __future__ import annotations

import pytest

from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.gcloud_failure import read_failure
from pendo_aep.gcp.doctor.look import Absent, Unseen
from tests.cases import Case
from tests.unit.gcp.doctor.clinic import cases

_ASKED = {
    "topic": commands.topic("pendo-events"),
    "policy": commands.topic_policy("pendo-events"),
    "secret": commands.secret_value("pendo-webhook-secrets", "latest"),
    "log": commands.log_lines("e"),
}


@pytest.mark.parametrize("case", cases("failures"))
def test_each_way_to_fail_is_told_from_the_others(case: Case) -> None:
    """Not enabled, not allowed, not there, not logged in: each has another mend."""
    said = read_failure(case["stderr"], _ASKED[case["asked"]], "demo")

    assert said == (Unseen(case["why"], case["mend"]) if case["why"] else Absent())
