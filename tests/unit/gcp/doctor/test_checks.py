"""What the doctor says of what gcloud has shown it: every failure that it can name."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.examination import judge
from pendo_aep.gcp.doctor.finding import Verdict
from pendo_aep.gcp.doctor.look import Absent
from pendo_aep.gcp.doctor.values import DAY
from tests.cases import Case
from tests.unit.gcp.doctor.clinic import DEPLOYMENT, LOOKS, VALUES, cases, ill, judged, well

PUSH_ALONE = replace(
    DEPLOYMENT,
    drain="",
    drain_account="",
    drain_subscription="",
    drain_job="",
    scheduler_account="",
)
DRAIN_ALONE = replace(DEPLOYMENT, deliver="", deliver_account="", push="", push_account="")

_FUNCTION = "functions describe {} --gen2 --region=europe-west1"
_SUBSCRIPTION = "pubsub subscriptions describe"
_TOPIC = "pubsub topics describe"
_TOPICS = ("pendo-events", "pendo-events-dead")
_HALF_A_DAY = {"messageRetentionDuration": "43200s"}
_DAY = {"messageRetentionDuration": "86400s"}
_GIVES_UP_LATER = {"deadLetterPolicy": {"maxDeliveryAttempts": 90}}
_DEPLOYED: dict[str, Any] = {
    f"{_TOPIC} pendo-events": _HALF_A_DAY,
    f"{_SUBSCRIPTION} pendo-events-deliver": {**_HALF_A_DAY, **_GIVES_UP_LATER},
    f"{_SUBSCRIPTION} pendo-events-drain": {**_HALF_A_DAY, **_GIVES_UP_LATER},
    f"{_TOPIC} pendo-events-dead": _DAY,
    f"{_SUBSCRIPTION} pendo-events-dead-kept": _DAY,
}
_MEDDLED_WITH: dict[str, Any] = {
    f"{_TOPIC} pendo-events": {"messageRetentionDuration": "43199s"},
    f"{_SUBSCRIPTION} pendo-events-drain": {**_HALF_A_DAY, "deadLetterPolicy": None},
    f"{_SUBSCRIPTION} pendo-events-dead-kept": {"messageRetentionDuration": "600s"},
}


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


def test_a_deployment_is_judged_by_its_configuration() -> None:
    """A legal one with other times than ours: what it says is well, and what mends is what it says.

    Else the doctor would advise what the next deployment undoes.
    """
    values = replace(
        VALUES, events_kept=12 * 3600, letters_kept=DAY, attempts=90, longest_pause=500
    )
    deployment = replace(DEPLOYMENT, values=values)

    assert mends(deployment, _DEPLOYED) == []
    assert mends(deployment, {**_DEPLOYED, **_MEDDLED_WITH}) == [
        "gcloud pubsub topics update pendo-events --message-retention-duration=43200s "
        "--project=demo",
        "gcloud pubsub subscriptions update pendo-events-drain --min-retry-delay=10s "
        "--max-retry-delay=500s --dead-letter-topic=pendo-events-dead --max-delivery-attempts=90 "
        "--project=demo",
        "gcloud pubsub subscriptions update pendo-events-dead-kept "
        "--message-retention-duration=1d --project=demo",
    ]


def test_where_messages_may_be_stored_anywhere_nothing_is_asked_of_a_topic() -> None:
    """Neither the one that a topic is limited to, nor that it is not limited, is a finding."""
    deployment = replace(DEPLOYMENT, values=replace(VALUES, regions=()))
    anywhere = {f"{_TOPIC} {name}": {"messageStoragePolicy": None} for name in _TOPICS}

    assert mends(deployment, {}) == []
    assert mends(deployment, anywhere) == []


def test_of_several_regions_a_topic_may_use_each() -> None:
    """In whatever order Google lists them; one less is a difference, which is named."""
    deployment = replace(DEPLOYMENT, values=replace(VALUES, regions=("us-east1", "us-east4")))
    both = {"messageStoragePolicy": {"allowedPersistenceRegions": ["us-east4", "us-east1"]}}
    one = {"messageStoragePolicy": {"allowedPersistenceRegions": ["us-east4"]}}
    well_, less = ({f"{_TOPIC} {name}": policy for name in _TOPICS} for policy in (both, one))

    assert mends(deployment, well_) == []
    assert mends(deployment, less) == [
        f"gcloud pubsub topics update {name} "
        "--message-storage-policy-allowed-regions=us-east1,us-east4 --project=demo"
        for name in _TOPICS
    ]


@pytest.mark.parametrize("access", ["auto", "all-users", "no-iam-check"])
def test_receive_is_opened_in_the_way_that_the_configuration_says(access: str) -> None:
    """Where it is not public, the command is the one that the next deployment would run."""
    deployment = replace(DEPLOYMENT, values=replace(VALUES, receive_access=access))
    private: dict[str, Any] = {
        "run services get-iam-policy receive --region=europe-west1": {"bindings": []}
    }
    place = "receive --region=europe-west1"

    assert mends(deployment, private) == [
        f"gcloud run services update {place} --no-invoker-iam-check --project=demo"
        if access == "no-iam-check"
        else f"gcloud run services add-iam-policy-binding {place} --member=allUsers "
        "--role=roles/run.invoker --project=demo"
    ]


def test_a_configuration_that_gives_up_too_early_is_to_be_changed_first() -> None:
    """What it says is legal, and no outage lasts so short: to deploy it again would not help."""
    deployment = replace(DEPLOYMENT, values=replace(VALUES, attempts=5))
    policy = {"deadLetterPolicy": {"maxDeliveryAttempts": 5}}
    deployed = {f"{_SUBSCRIPTION} pendo-events-{name}": policy for name in ("deliver", "drain")}

    assert mends(deployment, deployed) == 2 * [
        "deploy/deploy.sh my.env  # with more MAX_DELIVERY_ATTEMPTS (now 5) or "
        "longer RETRY_MAX_SECONDS (now 600) in my.env"
    ]


def test_internal_functions_are_called_where_google_takes_a_call_for_internal() -> None:
    """With INGRESS=internal-only, at the run.app address and at no other."""
    deployment = replace(DEPLOYMENT, values=replace(VALUES, ingress="internal-only"))
    internal = {"serviceConfig": {"ingressSettings": "ALLOW_INTERNAL_ONLY"}}
    functions = {f"{_FUNCTION.format(name)}": internal for name in ("deliver", "drain")}
    elsewhere = {"pushEndpoint": "https://europe-west1-demo.cloudfunctions.net/deliver"}
    push = {f"{_SUBSCRIPTION} pendo-events-deliver": {"pushConfig": elsewhere}}

    assert mends(deployment, functions) == []
    assert mends(DEPLOYMENT, push) == []
    assert mends(deployment, {}) == 2 * ["deploy/deploy.sh my.env"]
    assert mends(deployment, {**functions, **push}) == [
        "gcloud pubsub subscriptions update pendo-events-deliver "
        "--push-endpoint=https://deliver-x-ew.a.run.app "
        "--push-auth-service-account=pendo-push@demo.iam.gserviceaccount.com --project=demo"
    ]


def test_where_drain_is_alone_the_rights_of_pubsub_are_looked_at() -> None:
    """It makes dead letters of pulled events; who it is, only the number of the project tells."""
    looks = {**well(), ("projects", "describe", "demo"): Absent()}

    texts = [f.text for f in judge(DRAIN_ALONE, looks) if not f.is_well]

    assert texts == ["project demo is not there"]
    assert any("pendo-events-drain for service-" in f.text for f in judge(DRAIN_ALONE, well()))


def mends(deployment: Deployment, changes: dict[str, Any]) -> list[str]:
    """What mends a deployment that is well but for these changes."""
    findings = judge(deployment, ill({"gcloud": changes}))
    return [finding.mend for finding in findings if not finding.is_well]


@pytest.mark.parametrize("case", cases("functions"))
def test_no_secret_is_shown(case: Case) -> None:
    """A secret that stands in plain text is not repeated."""
    assert "canary-secret" not in str(judged(case))
