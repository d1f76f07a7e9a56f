"""Checks the job that looks whether everything is stored: deployed, scheduled, and allowed to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pendo_aep.gcp import iam
from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.deployment import Deployment, Reconcile
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, wrong
from pendo_aep.gcp.doctor.iam_bindings import check_binding
from pendo_aep.gcp.doctor.observe import Found, Observations, not_observed
from pendo_aep.gcp.gcloud import field_at


def check_reconcile(deployment: Deployment, observations: Observations) -> Iterator[Finding]:
    """Checks the job, what runs it, and their rights; nothing without `RECONCILE_SCHEDULE`."""
    reconcile = deployment.reconcile
    if reconcile is None:
        return
    job = observations[commands.run_job(deployment, reconcile.job)]
    if isinstance(job, Found):
        yield _check_account(deployment, reconcile, job.value)
    else:
        what = f"Cloud Run job {reconcile.job}"
        yield not_observed(Subject.SCHEDULER, what, job, deployment.deploy_command)
    schedule = observations[commands.job(deployment, reconcile.job)]
    if isinstance(schedule, Found):
        yield _check_schedule(deployment, reconcile, schedule.value)
    else:
        what = f"schedule of {reconcile.job}"
        yield not_observed(Subject.SCHEDULER, what, schedule, deployment.deploy_command)
    for binding, needed in _required_bindings(deployment, reconcile):
        yield check_binding(deployment, binding, needed, observations)


def _check_account(deployment: Deployment, reconcile: Reconcile, job: Any) -> Finding:
    task = ("spec", "template", "spec", "template", "spec")
    found = field_at(job, *task, "serviceAccountName")
    wanted = deployment.address(reconcile.account)
    if found != wanted:
        text = f"Cloud Run job {reconcile.job} runs as {found or 'nobody'}, not as {wanted}"
        return wrong(Subject.SCHEDULER, text, deployment.deploy_command)
    return ok(Subject.SCHEDULER, f"Cloud Run job {reconcile.job} runs as {wanted}")


def _check_schedule(deployment: Deployment, reconcile: Reconcile, schedule: Any) -> Finding:
    name, state = reconcile.job, field_at(schedule, "state")
    if state != "ENABLED":
        return wrong(
            Subject.SCHEDULER,
            f"job {name} is {str(state).lower()}: nobody looks whether everything is stored",
            f"gcloud scheduler jobs resume {name} --location={deployment.region} "
            f"--project={deployment.project}",
        )
    wanted = f"/jobs/{name}:run"
    if not str(field_at(schedule, "httpTarget", "uri") or "").endswith(wanted):
        text = f"job {name} does not run the Cloud Run job {name}"
        return wrong(Subject.SCHEDULER, text, deployment.deploy_command)
    text = f"job {name} runs reconcile: {field_at(schedule, 'schedule')}"
    return ok(Subject.SCHEDULER, text)


def _required_bindings(
    deployment: Deployment, reconcile: Reconcile
) -> Iterator[tuple[iam.IamBinding, str]]:
    """Yields each with what does not work without it."""
    project, account = deployment.project, deployment.member(reconcile.account)
    role = f"projects/{project}/roles/{reconcile.role}"
    yield iam.on_project(project, role, account), "reconcile could not read the topics"
    yield iam.access(reconcile.secret, account), "reconcile could not start"
    caller = deployment.member(reconcile.caller)
    yield (
        iam.run_job(reconcile.job, deployment.region, caller),
        "the scheduler could not run reconcile",
    )
