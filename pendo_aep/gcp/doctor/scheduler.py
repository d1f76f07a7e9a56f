"""Checks the job that calls `drain`: enabled, with the right address, token and deadline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, wrong
from pendo_aep.gcp.doctor.functions import drain_seconds, function_urls
from pendo_aep.gcp.doctor.observe import Found, Observations, not_observed, parse_duration
from pendo_aep.gcp.gcloud import field_at

# Google: Cloud Scheduler, the default attemptDeadline of HTTP targets.
_DEFAULT_DEADLINE: Final = "180s"


def check_scheduler(deployment: Deployment, observations: Observations) -> Iterator[Finding]:
    """Checks the job, if there should be one."""
    if not deployment.drain:
        return
    observed = observations[commands.job(deployment, deployment.drain_job)]
    if not isinstance(observed, Found):
        what = f"job {deployment.drain_job}"
        yield not_observed(Subject.SCHEDULER, what, observed, deployment.deploy_command)
        return
    drain = observations[commands.function(deployment, deployment.drain)]
    described = drain.value if isinstance(drain, Found) else None
    yield _check_state(deployment, observed.value)
    yield _check_target(deployment, observed.value, function_urls(described))
    yield _check_token(deployment, observed.value)
    yield _check_deadline(deployment, observed.value, drain_seconds(described))


def _check_state(deployment: Deployment, job: Any) -> Finding:
    state = field_at(job, "state")
    if state != "ENABLED":
        text = f"job {deployment.drain_job} is {str(state).lower()}: nobody calls drain"
        mend = (
            f"gcloud scheduler jobs resume {deployment.drain_job} "
            f"--location={deployment.region} --project={deployment.project}"
        )
        return wrong(Subject.SCHEDULER, text, mend)
    text = f"job {deployment.drain_job} calls drain: {field_at(job, 'schedule')}"
    return ok(Subject.SCHEDULER, text)


def _check_target(deployment: Deployment, job: Any, expected: list[str]) -> Finding:
    found = str(field_at(job, "httpTarget", "uri") or "").rstrip("/")
    if found not in expected:
        text = f"job {deployment.drain_job} calls {found or 'nobody'}, not {deployment.drain}"
        return wrong(Subject.SCHEDULER, text, deployment.deploy_command)
    return ok(Subject.SCHEDULER, f"job {deployment.drain_job} calls {found}")


def _check_token(deployment: Deployment, job: Any) -> Finding:
    found = field_at(job, "httpTarget", "oidcToken", "serviceAccountEmail")
    wanted = deployment.address(deployment.scheduler_account)
    if found != wanted:
        text = f"job {deployment.drain_job} calls as {found or 'nobody'}, not as {wanted}"
        return wrong(Subject.SCHEDULER, text, deployment.deploy_command)
    return ok(Subject.SCHEDULER, f"job {deployment.drain_job} calls as {wanted}")


def _check_deadline(deployment: Deployment, job: Any, needed: float) -> Finding:
    given = parse_duration(field_at(job, "attemptDeadline") or _DEFAULT_DEADLINE)
    if given <= needed:
        text = f"job {deployment.drain_job} waits {given:g} s, while drain works for {needed:g} s"
        return wrong(Subject.SCHEDULER, text, deployment.deploy_command)
    return ok(Subject.SCHEDULER, f"job {deployment.drain_job} waits {given:g} s for an answer")
