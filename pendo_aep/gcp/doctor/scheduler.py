"""What calls `drain`: enabled, at the right address, with a token, and with patience."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, wrong
from pendo_aep.gcp.doctor.functions import addresses, drain_seconds
from pendo_aep.gcp.doctor.look import Looks, Seen, not_seen
from pendo_aep.gcp.doctor.values import seconds, within

# Google: Cloud Scheduler, attemptDeadline of HTTP targets where it is not given.
_GOOGLES_DEADLINE = "180s"


def check_scheduler(deployment: Deployment, looks: Looks) -> Iterator[Finding]:
    """The job, where there is to be one."""
    if not deployment.drain:
        return
    look = looks[commands.job(deployment)]
    if not isinstance(look, Seen):
        what = f"job {deployment.drain_job}"
        yield not_seen(Subject.SCHEDULER, what, look, deployment.deploy)
        return
    drain = looks[commands.function(deployment, deployment.drain)]
    described = drain.value if isinstance(drain, Seen) else None
    yield _state(deployment, look.value)
    yield _target(deployment, look.value, addresses(described))
    yield _token(deployment, look.value)
    yield _patience(deployment, look.value, drain_seconds(described))


def _state(deployment: Deployment, job: Any) -> Finding:
    state = within(job, "state")
    if state != "ENABLED":
        text = f"job {deployment.drain_job} is {str(state).lower()}: nobody calls drain"
        mend = (
            f"gcloud scheduler jobs resume {deployment.drain_job} "
            f"--location={deployment.region} --project={deployment.project}"
        )
        return wrong(Subject.SCHEDULER, text, mend)
    text = f"job {deployment.drain_job} calls drain: {within(job, 'schedule')}"
    return ok(Subject.SCHEDULER, text)


def _target(deployment: Deployment, job: Any, expected: list[str]) -> Finding:
    found = str(within(job, "httpTarget", "uri") or "").rstrip("/")
    if found not in expected:
        text = f"job {deployment.drain_job} calls {found or 'nobody'}, not {deployment.drain}"
        return wrong(Subject.SCHEDULER, text, deployment.deploy)
    return ok(Subject.SCHEDULER, f"job {deployment.drain_job} calls {found}")


def _token(deployment: Deployment, job: Any) -> Finding:
    found = within(job, "httpTarget", "oidcToken", "serviceAccountEmail")
    wanted = deployment.address(deployment.scheduler_account)
    if found != wanted:
        text = f"job {deployment.drain_job} calls as {found or 'nobody'}, not as {wanted}"
        return wrong(Subject.SCHEDULER, text, deployment.deploy)
    return ok(Subject.SCHEDULER, f"job {deployment.drain_job} calls as {wanted}")


def _patience(deployment: Deployment, job: Any, needed: float) -> Finding:
    given = seconds(within(job, "attemptDeadline") or _GOOGLES_DEADLINE)
    if given <= needed:
        text = f"job {deployment.drain_job} waits {given:g} s, while drain works for {needed:g} s"
        return wrong(Subject.SCHEDULER, text, deployment.deploy)
    return ok(Subject.SCHEDULER, f"job {deployment.drain_job} waits {given:g} s for an answer")
