"""What the doctor reports of each observation, response and log: every failure that it can name."""

from __future__ import annotations

import ast
import asyncio
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import pendo_aep.gcp.doctor
from pendo_aep.gcp.doctor.delivery import judge_log, judge_receipt
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.endpoint import Endpoint, Probe, Response, find_endpoint, judge_probe
from pendo_aep.gcp.doctor.finding import Finding, Verdict, deployment_remediation
from pendo_aep.gcp.doctor.observe import DAY, Found, NotFound
from pendo_aep.gcp.doctor.run import check_deployment
from tests.cases import Case, rows
from tests.unit.gcp.doctor.doctor_fixtures import (
    DEPLOYMENT,
    RECONCILE,
    UNAVAILABLE,
    VALUES,
    FakeObserver,
    changed,
    healthy,
    table,
)

PUSH_ALONE = replace(
    DEPLOYMENT,
    drain="",
    drain_account="",
    drain_subscription="",
    drain_job="",
    scheduler_account="",
)
DRAIN_ALONE = replace(
    DEPLOYMENT, deliver="", deliver_account="", push_subscription="", push_account=""
)

_OBSERVED = [
    *(
        row
        for name in ("functions", "pubsub", "scheduler", "iam_bindings", "secrets")
        for row in table(name)
    ),
    *table("delivery")["dead_letters"],
    *({**row, "reconciles": True} for row in table("reconcile")),
]
_DESCRIBE_FUNCTION = "functions describe {} --gen2 --region=europe-west1"
_DESCRIBE_SUBSCRIPTION = "pubsub subscriptions describe"
_DESCRIBE_TOPIC = "pubsub topics describe"
_TOPICS = ("pendo-events", "pendo-events-dead")


def endpoint(*, allows_unsigned: bool = False) -> Endpoint:
    """Returns the endpoint of the deployment."""
    remediation = deployment_remediation(DEPLOYMENT, "pendo-webhook-secrets")
    return Endpoint("https://receive-x-ew.a.run.app", [], allows_unsigned, frozenset(), remediation)


def check_observed(case: Case) -> list[Finding]:
    """Returns the findings of what gcloud shows."""
    deployment = replace(DEPLOYMENT, reconcile=RECONCILE if "reconciles" in case else None)
    return check_deployment(deployment, changed(case))


def check_probe(case: Case) -> Finding:
    """Returns the finding of the response to a ping."""
    response = Response(case["status"], case["body"], why="TimeoutError")
    at = endpoint(allows_unsigned=case["allowsUnsigned"])
    return judge_probe(Probe[case["probe"]], response, at)


def check_receipt(case: Case) -> Finding:
    """Returns the finding of the response to the test event."""
    return judge_receipt(Response(case["status"], case["body"], why="TimeoutError"), endpoint())


def check_log(case: Case) -> Finding | None:
    """Returns the finding of the log."""
    entries = case["entries"]
    observed = UNAVAILABLE if entries == "unavailable" else Found(entries)
    header = Found(case["header"]) if "header" in case else None
    return judge_log(DEPLOYMENT, "test-1", observed, header, is_over=case["isOver"])


def check_endpoint(case: Case) -> Endpoint | Finding:
    """Returns the endpoint, or why there is none."""
    observations = changed(case)
    return asyncio.run(find_endpoint(DEPLOYMENT, observations, FakeObserver(observations)))


def mends(deployment: Deployment, changes: dict[str, Any]) -> list[str]:
    """Returns the commands that fix a deployment with these changes."""
    findings = check_deployment(deployment, changed({"gcloud": changes}))
    return [finding.mend for finding in findings if not finding.is_ok]


@pytest.mark.parametrize("case", rows(_OBSERVED))
def test_each_failure_is_reported_with_its_fix(case: Case) -> None:
    """One thing is changed: the findings that are not ok are exactly those of the table."""
    findings = check_observed(case)

    assert [asdict(f) for f in findings if f.verdict is not Verdict.OK] == case["findings"]
    assert "canary-secret" not in str(findings)


_SINGLE: dict[str, tuple[list[Case], Callable[[Case], Any]]] = {
    "probe": (table("endpoint")["probes"], check_probe),
    "endpoint": (table("endpoint")["not_found"], check_endpoint),
    "receipt": (table("delivery")["receipts"], check_receipt),
    "log": (table("delivery")["logs"], check_log),
}


@pytest.mark.parametrize(
    ("check", "case"),
    [
        pytest.param(check, case, id=f"{name}: {case['case']}")
        for name, (cases, check) in _SINGLE.items()
        for case in cases
    ],
)
def test_each_response_is_judged(check: Callable[[Case], Any], case: Case) -> None:
    """Responses to pings and the test event, log lines, and endpoints that cannot be called."""
    finding = check(case)

    assert (asdict(finding) if finding else None) == case["finding"]


async def test_every_active_secret_is_used() -> None:
    """While a secret is rotated there are two, and both are tried; neither is ever shown."""
    observations = healthy()
    found = await find_endpoint(DEPLOYMENT, observations, FakeObserver(observations))

    assert isinstance(found, Endpoint)
    assert found.secrets == ["first-sécret", "second-secret"]
    assert "sécret" not in repr(found)


def test_a_healthy_deployment_is_ok() -> None:
    """Nothing is wrong, nothing unknown, and no finding has anything to fix."""
    findings = check_deployment(DEPLOYMENT, healthy())

    assert {f.verdict for f in findings} == {Verdict.OK}
    assert not any(f.mend for f in findings)
    assert len(findings) == len(set(findings))


@pytest.mark.parametrize(
    ("deployment", "unused"),
    [(PUSH_ALONE, ("drain", "scheduler")), (DRAIN_ALONE, ("deliver", "pendo-push"))],
    ids=["push alone", "drain alone"],
)
def test_what_is_not_used_is_not_checked(deployment: Deployment, unused: tuple[str, ...]) -> None:
    """Where events are only pushed or only pulled, the resources of the other may be missing."""
    observations = {
        command: observed
        for command, observed in healthy().items()
        if not any(word in str(command) for word in unused)
    }

    findings = check_deployment(deployment, observations)

    assert {f.verdict for f in findings} == {Verdict.OK}
    assert not any(word in f.text for f in findings for word in unused)


def test_a_deployment_is_judged_by_its_configuration() -> None:
    """With other values than ours, what the config says is ok, and the fixes set what it says.

    Otherwise the doctor would advise what the next deployment reverts.
    """
    values = replace(
        VALUES,
        events_retention=12 * 3600,
        dead_letters_retention=DAY,
        max_delivery_attempts=90,
        max_retry_seconds=500,
    )
    deployment = replace(DEPLOYMENT, values=values)
    half_a_day = {"messageRetentionDuration": "43200s"}
    pulled = {**half_a_day, "deadLetterPolicy": {"maxDeliveryAttempts": 90}}
    a_day = {"messageRetentionDuration": "86400s"}
    deployed: dict[str, Any] = {
        f"{_DESCRIBE_TOPIC} pendo-events": half_a_day,
        f"{_DESCRIBE_SUBSCRIPTION} pendo-events-deliver": pulled,
        f"{_DESCRIBE_SUBSCRIPTION} pendo-events-drain": pulled,
        f"{_DESCRIBE_TOPIC} pendo-events-dead": a_day,
        f"{_DESCRIBE_SUBSCRIPTION} pendo-events-dead-kept": a_day,
    }
    edited: dict[str, Any] = {
        f"{_DESCRIBE_TOPIC} pendo-events": {"messageRetentionDuration": "43199s"},
        f"{_DESCRIBE_SUBSCRIPTION} pendo-events-drain": {**half_a_day, "deadLetterPolicy": None},
        f"{_DESCRIBE_SUBSCRIPTION} pendo-events-dead-kept": {"messageRetentionDuration": "600s"},
    }

    assert mends(deployment, deployed) == []
    assert mends(deployment, {**deployed, **edited}) == [
        "gcloud pubsub topics update pendo-events --message-retention-duration=43200s "
        "--project=demo",
        "gcloud pubsub subscriptions update pendo-events-drain --min-retry-delay=10s "
        "--max-retry-delay=500s --dead-letter-topic=pendo-events-dead --max-delivery-attempts=90 "
        "--project=demo",
        "gcloud pubsub subscriptions update pendo-events-dead-kept "
        "--message-retention-duration=1d --project=demo",
    ]


def test_without_regions_in_the_config_a_topic_may_store_messages_anywhere() -> None:
    """Neither a topic with a limit nor one without is a finding."""
    deployment = replace(DEPLOYMENT, values=replace(VALUES, message_regions=()))
    anywhere = {f"{_DESCRIBE_TOPIC} {name}": {"messageStoragePolicy": None} for name in _TOPICS}

    assert mends(deployment, {}) == []
    assert mends(deployment, anywhere) == []


def test_regions_are_compared_without_their_order() -> None:
    """Google may list them in any order; one that is missing is reported."""
    regions = ("us-east1", "us-east4")
    deployment = replace(DEPLOYMENT, values=replace(VALUES, message_regions=regions))
    both = {"messageStoragePolicy": {"allowedPersistenceRegions": ["us-east4", "us-east1"]}}
    one = {"messageStoragePolicy": {"allowedPersistenceRegions": ["us-east4"]}}

    assert mends(deployment, {f"{_DESCRIBE_TOPIC} {name}": both for name in _TOPICS}) == []
    assert mends(deployment, {f"{_DESCRIBE_TOPIC} {name}": one for name in _TOPICS}) == [
        f"gcloud pubsub topics update {name} "
        "--message-storage-policy-allowed-regions=us-east1,us-east4 --project=demo"
        for name in _TOPICS
    ]


@pytest.mark.parametrize("access", ["auto", "all-users", "no-iam-check"])
def test_receive_is_made_public_as_the_configuration_says(access: str) -> None:
    """The command is the one that the next deployment would run."""
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


def test_a_configuration_with_too_few_attempts_must_be_changed_first() -> None:
    """Five attempts are legal, and too few for any outage: to deploy again would not help."""
    deployment = replace(DEPLOYMENT, values=replace(VALUES, max_delivery_attempts=5))
    policy = {"deadLetterPolicy": {"maxDeliveryAttempts": 5}}
    names = ("pendo-events-deliver", "pendo-events-drain")

    assert mends(deployment, {f"{_DESCRIBE_SUBSCRIPTION} {name}": policy for name in names}) == [
        "deploy/deploy.sh my.env  # with more MAX_DELIVERY_ATTEMPTS (now 5) or "
        "longer RETRY_MAX_SECONDS (now 600) in my.env"
    ] * len(names)


def test_internal_functions_are_called_at_their_internal_address() -> None:
    """With INGRESS=internal-only, Google lets in calls of the run.app address and of no other."""
    deployment = replace(DEPLOYMENT, values=replace(VALUES, ingress="internal-only"))
    internal = {"serviceConfig": {"ingressSettings": "ALLOW_INTERNAL_ONLY"}}
    functions = {_DESCRIBE_FUNCTION.format(name): internal for name in ("deliver", "drain")}
    other = {"pushEndpoint": "https://europe-west1-demo.cloudfunctions.net/deliver"}
    push = {f"{_DESCRIBE_SUBSCRIPTION} pendo-events-deliver": {"pushConfig": other}}

    assert mends(deployment, functions) == []
    assert mends(DEPLOYMENT, push) == []
    assert mends(deployment, {}) == 2 * ["deploy/deploy.sh my.env"]
    assert mends(deployment, {**functions, **push}) == [
        "gcloud pubsub subscriptions update pendo-events-deliver "
        "--push-endpoint=https://deliver-x-ew.a.run.app "
        "--push-auth-service-account=pendo-push@demo.iam.gserviceaccount.com --project=demo"
    ]


def test_with_drain_alone_the_rights_of_pubsub_are_checked() -> None:
    """Pub/Sub makes dead letters of pulled events too; the project's number names its account."""
    observations = {**healthy(), ("projects", "describe", "demo"): NotFound()}

    texts = [f.text for f in check_deployment(DRAIN_ALONE, observations) if not f.is_ok]

    assert texts == ["project demo is not there"]
    findings = check_deployment(DRAIN_ALONE, healthy())
    assert any("pendo-events-drain for service-" in f.text for f in findings)


_SOURCES = sorted(Path(pendo_aep.gcp.doctor.__file__).parent.glob("*.py"))
_REPORTS = frozenset({"wrong", "unknown", "not_observed"})


def test_every_finding_has_a_case() -> None:
    """Each call in the code that reports a failure is reached by a row of a table."""

    def run_all_cases() -> None:
        for case in _OBSERVED:
            check_observed(case)
        for cases, check in _SINGLE.values():
            for case in cases:
                check(case)

    run = lines_run(run_all_cases)

    calls = report_calls()
    assert len(calls) > len(_SOURCES)
    assert [
        name
        for name, (file, lines) in calls.items()
        if not any((file, line) in run for line in lines)
    ] == []


def report_calls() -> dict[str, tuple[str, range]]:
    """Returns the file and lines of each call that reports a failure, by a name."""
    return {
        f"{source.name}:{node.lineno} {node.func.id}": (
            str(source),
            range(node.lineno, (node.end_lineno or node.lineno) + 1),
        )
        for source in _SOURCES
        for node in ast.walk(ast.parse(source.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _REPORTS
    }


def lines_run(act: Callable[[], object]) -> set[tuple[str, int]]:
    """Returns the lines of the doctor that something runs."""
    run: set[tuple[str, int]] = set()
    watched = set(map(str, _SOURCES))

    def trace(frame: FrameType, _event: str, _argument: Any) -> Any:
        if frame.f_code.co_filename not in watched:
            return None
        run.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return run
